"""Finds characters and spellings that hide or disguise what a text says."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

from policies.sanitise.copies.detection_copy import DetectionCopy
from policies.sanitise.copies.segments import Segment
from policies.sanitise.finding import Finding
from policies.sanitise.unicode.invisible import find_invisible, has_invisible
from policies.sanitise.unicode.spelling import find_hidden, find_leet
from policies.sanitise.unicode.styled import find_styled

NAME: Final = "unicode"
_SCORES: Final = {
    "tag": 0.99,
    "variation_selector": 0.95,
    "bidi_override": 0.95,
    "control": 0.9,
    "zero_width": 0.9,
    "homoglyph": 0.9,
    "styled_letters": 0.9,
    "crowded": 0.9,
    "wide_letters": 0.8,
    "piled_marks": 0.8,
    "bidi": 0.8,
    "turned_letters": 0.8,
    "spaced_letters": 0.8,
    "encoded_text": 0.7,
    "leet": 0.6,
}


def find_disguises(
    copy: DetectionCopy, segments: Sequence[Segment], *, has_leet: bool
) -> Generator[None, None, list[Finding]]:
    """Look for what hides something in a text, with pauses.

    Args:
        copy: of the text; what is judged is the original.
        segments: what encodings hide, with offsets of the original.
        has_leet: whether the pass saw digits among letters.
    """
    text = copy.original
    places = find_hidden(segments)
    if has_leet:
        places += find_leet(copy.original)
        yield
    if copy.unusual and has_invisible(copy.unusual):
        places += yield from find_invisible(text)
    yield
    if not text.isascii():
        places += find_styled(text, copy.unusual)
    return [Finding(NAME, rule, start, end, _SCORES[rule]) for rule, start, end in places]
