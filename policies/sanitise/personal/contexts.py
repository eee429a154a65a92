"""Looks at the words around a candidate."""

from __future__ import annotations

import re


def compile_words(words: str) -> re.Pattern[str]:
    """Return an expression for words given with spaces between; a trailing `*` lets a word go on."""
    alternatives = "|".join(re.escape(word).replace(r"\*", "[a-z]*").replace("_", r"[\s_-]?") for word in words.split())
    return re.compile(rf"(?<![a-z])(?:{alternatives})(?![a-z])", re.IGNORECASE)


def stands_before(words: re.Pattern[str], text: str, start: int, reach: int) -> bool:
    """Whether one of the words stands in the `reach` characters before `start`."""
    return words.search(text, max(0, start - reach), start) is not None


def stands_around(words: re.Pattern[str], text: str, place: tuple[int, int], reach: int) -> bool:
    """Whether one of the words stands in the `reach` characters before or after a place."""
    start, end = place
    return stands_before(words, text, start, reach) or words.search(text, end, min(len(text), end + reach)) is not None
