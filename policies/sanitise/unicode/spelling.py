"""Finds words spelt with digits for letters (leet), and texts that an encoding hides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from policies.sanitise.copies.segments import Segment
from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.randomness import has_drawn_letters

_DIGITS: Final = str.maketrans("0134578@$", "oieastbas")
_LEET: Final = re.compile(
    r"(?<![\w./:@#&=%+-])(?=[a-z]*[0134578@$])(?=[0-9@$']*[a-z])[a-z0134578@$']{3,20}(?![\w/:@#&=%+-]|\.\w)",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Za-z0-9@$']{2,}")
_INNER: Final = re.compile(r"[a-z][0134578@$]+[a-z]|[0134578@$][a-z]+[0134578@$]", re.IGNORECASE)
_LEAST_WORDS: Final = 3
_MOST_WORDS: Final = 512
_LEAST_SHARE: Final = 0.25
LEET_ANCHOR: Final = Pattern(
    r"[013457@$][a-z][a-z0-9@$]{0,10} [a-z]{0,4}[013457@$]{1,2}[a-z]",
    is_caseless=True,
    is_once=True,
    group="encoded",
)
"""Two words in a row with digits before letters."""

_SENTENCE: Final = re.compile(r"(?:[A-Za-z]{1,20}[ ,.'!?:;\n-]+){2,}[A-Za-z]{2,}")
_LEAST_SPACED: Final = 10
Place = tuple[str, int, int]


def find_leet(text: str) -> list[Place]:
    """Return the words in which digits stand for letters, if a good part of the text is so written."""
    found: list[Place] = []
    for match in _LEET.finditer(text):
        if len(found) == _MOST_WORDS:
            break
        word = match.group()
        plain = word.translate(_DIGITS)
        if _INNER.search(word) is not None and plain.isalpha() and not has_drawn_letters(plain, 3):
            found.append(("leet", *match.span()))
    if len(found) < _LEAST_WORDS or len(found) < min(_MOST_WORDS, _LEAST_SHARE * sum(1 for _ in _WORD.finditer(text))):
        return []
    return found


def without_leet(text: str) -> str:
    """Return a text with letters for the digits that stand for them in leet, numbers among them."""
    return text.translate(_DIGITS)


def find_hidden(segments: Iterable[Segment]) -> list[Place]:
    """Return the segments that say something in words."""
    return [
        ("encoded_text" if segment.kind == "base64" else "spaced_letters", segment.start, segment.end)
        for segment in segments
        if (segment.kind == "base64" and _is_sentence(segment.text))
        or (segment.kind == "spaced" and _is_spelt(segment.text))
    ]


def _is_sentence(text: str) -> bool:
    return _SENTENCE.search(text) is not None and not has_drawn_letters(text, 8)


def _is_spelt(text: str) -> bool:
    letters = sum(character.isalpha() for character in text)
    return letters >= _LEAST_SPACED and letters >= 0.7 * len(text) and not has_drawn_letters(text, 8)
