"""Finds words that mix Latin letters with look-alikes of other scripts."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import Final

from policies.sanitise.copies.confusables import OTHER_SCRIPTS, folding

_OTHER: Final = re.compile(f"[{OTHER_SCRIPTS}]")
_OTHERS: Final = re.compile(f"[{OTHER_SCRIPTS}]+")
_LATIN: Final = re.compile("[A-Za-z]+")
_BORDER: Final = re.compile(f"[A-Za-z][{OTHER_SCRIPTS}]|[{OTHER_SCRIPTS}][A-Za-z]")
_FOLDED_AT_ONCE: Final = 8_192
_WORDS_AT_ONCE: Final = 256
_LONGEST_WORD: Final = 64
_LEAST_LETTERS: Final = 4


def mixed_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words stand that have letters of both kinds; longer than 64 letters they are cut."""
    position = 0
    if _OTHER.search(text) is None:
        return
    while (match := _BORDER.search(text, position)) is not None:
        start, end = match.span()
        floor = max(position, start - _LONGEST_WORD)
        while start > floor and text[start - 1].isalpha():
            start -= 1
        ceiling = min(len(text), end + _LONGEST_WORD)
        while end < ceiling and text[end].isalpha():
            end += 1
        yield start, end
        position = end


def fold_mixtures(text: str) -> Generator[None, None, str]:
    """Put look-alikes into Latin letters, with pauses; the length stays.

    Where Latin letters outnumber those of other scripts, a mixed word makes every look-alike suspect; elsewhere only
    the mixed words are folded. A text without mixed words is left alone.
    """
    if _OTHER.search(text) is None or _BORDER.search(text) is None:
        return text
    parts: list[str] = []
    excess = 0
    for start in range(0, len(text), _FOLDED_AT_ONCE):
        part = text[start : start + _FOLDED_AT_ONCE]
        excess += sum(map(len, _LATIN.findall(part))) - sum(map(len, _OTHERS.findall(part)))
        yield
    if excess > 0:
        for start in range(0, len(text), _FOLDED_AT_ONCE):
            parts.append(text[start : start + _FOLDED_AT_ONCE].translate(folding()))
            yield
        return "".join(parts)
    position = 0
    for number, (start, end) in enumerate(mixed_words(text), start=1):
        if number % _WORDS_AT_ONCE == 0:
            yield
        parts += [text[position:start], text[start:end].translate(folding())]
        position = end
    return "".join([*parts, text[position:]])


def is_disguise(word: str) -> bool:
    """Whether a mixed word is one in disguise: scripts change to and fro, as in no loan word with an ending."""
    if len(word) < _LEAST_LETTERS:
        return False
    kinds = [_OTHER.match(character) is not None for character in word]
    changes = sum(first != second for first, second in pairwise(kinds))
    return changes >= 2


def is_half_disguise(word: str) -> bool:
    """Whether a mixed word changes its script once and every foreign letter is a look-alike."""
    return len(word) >= _LEAST_LETTERS - 1 and all(
        character.isascii() or ord(character) in folding() for character in word
    )
