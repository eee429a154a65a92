"""Finds words in letters of another style or with marks piled upon them, as no language writes them."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Final

from policies.sanitise.copies.mixtures import is_disguise, is_half_disguise, mixed_words

_STYLED_LETTERS: Final = (
    "\u249c-\u24e9\U0001d400-\U0001d7cb\U0001f110-\U0001f12b\U0001f130-\U0001f149\U0001f150-\U0001f169"
)
_STYLED: Final = re.compile(f"(?:[{_STYLED_LETTERS}][\u0300-\u036f]?){{3,}}")
_WIDE: Final = re.compile("[\uff21-\uff3a\uff41-\uff5a]{3,}")
_EAST_ASIAN: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MARKS: Final = "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_PILED: Final = re.compile(f"[{_MARKS}]{{3,}}")
_TURNED_LETTERS: Final = "\u0250\u0254\u0258\u025f\u0265\u026f\u0279\u0287\u028c\u028d\u028e\u029e\u01dd\u1d09"
_TURNED: Final = re.compile(f"[a-z]{{0,32}}[{_TURNED_LETTERS}][a-z{_TURNED_LETTERS}\u0183]{{1,32}}")
_STYLES: Final = (
    re.compile(f"[{_STYLED_LETTERS}]"),
    re.compile("[\uff21-\uff3a\uff41-\uff5a]"),
    re.compile(f"[{_MARKS}]"),
    re.compile(f"[{_TURNED_LETTERS}]"),
)
_LEAST_WORDS: Final = 2
_MOST_WORDS: Final = 128
"""Of one kind in one text; a text with more is flagged long before."""

_LEAST_TURNED: Final = 4
_LEAST_HALVES: Final = 3

Place = tuple[str, int, int]


def find_styled(text: str, unusual: Collection[str]) -> list[Place]:
    """Return rule, start and end of words in disguise.

    Args:
        unusual: of the text's copy; only what is among them is looked for.
    """
    found = _mixtures(text)
    has_styled, has_wide, has_marks, has_turned = (any(map(style.match, unusual)) for style in _STYLES)
    if has_styled:
        found += _named("styled_letters", _STYLED, text)
    if has_wide and _EAST_ASIAN.search(text) is None:
        found += _several(_named("wide_letters", _WIDE, text), _LEAST_WORDS)
    if has_marks:
        piled = _named("piled_marks", _PILED, text)
        found += _several(piled, 1 if any(end - start > 5 for _, start, end in piled) else _LEAST_WORDS)
    if has_turned and "/" not in text:
        found += _several(_named("turned_letters", _TURNED, text), _LEAST_TURNED)
    return found


def _named(rule: str, expression: re.Pattern[str], text: str) -> list[Place]:
    return [(rule, *match.span()) for match in islice(expression.finditer(text), _MOST_WORDS)]


def _several(places: list[Place], least: int) -> list[Place]:
    return places if len(places) >= least else []


def _mixtures(text: str) -> list[Place]:
    disguised: list[Place] = []
    halves: list[Place] = []
    for start, end in islice(mixed_words(text), _MOST_WORDS):
        word = text[start:end]
        if is_disguise(word):
            disguised.append(("homoglyph", start, end))
        elif is_half_disguise(word):
            halves.append(("homoglyph", start, end))
    return disguised + halves if disguised or len(halves) >= _LEAST_HALVES else []
