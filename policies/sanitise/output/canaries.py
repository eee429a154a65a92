"""Finds words that no answer may have, where they stand: in any letter case, spaced out, or backwards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from policies.sanitise.finding import Finding

_NO_WORD: Final = re.compile(r"[^0-9a-z]+")
_WORD: Final = re.compile(r"[0-9a-z]")


class CanaryFinder:
    """Finds the canaries of one plan.

    Args:
        canaries: letters and digits count, whatever stands between them.
    """

    __slots__ = ("_words",)

    def __init__(self, canaries: Iterable[str]) -> None:
        plain = (_NO_WORD.sub("", canary.casefold()) for canary in canaries)
        words = [word for word in plain if word]
        self._words = tuple(dict.fromkeys(words + [word[::-1] for word in words]))

    def __repr__(self) -> str:
        return f"CanaryFinder({len(self._words) // 2} canaries)"

    def find(self, text: str) -> list[Finding]:
        """Return where canaries stand, by start; what lies between their letters belongs to them."""
        folded = text.casefold() if text.isascii() else "".join(map(_folded, text))
        written = _NO_WORD.sub("", folded)
        found = {at: word for word in self._words for at in _places(written, word)}
        if not found:
            return []
        origin = [match.start() for match in _WORD.finditer(folded)]
        return [
            Finding("canary", "canary", origin[at], origin[at + len(word) - 1] + 1, 1.0)
            for at, word in sorted(found.items())
        ]


def _folded(character: str) -> str:
    """Return a character in lower case, one for one, so that places stay what they are."""
    folded = character.casefold()
    return folded if len(folded) == 1 else character


def _places(text: str, word: str) -> Iterable[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))
