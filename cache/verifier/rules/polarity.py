"""Rules about yes and no, and about words that turn an answer round."""

from __future__ import annotations

from typing import ClassVar, Final

from cache.verifier.reading import Reading
from cache.verifier.words import opposites_of

_DENYING: Final = ("un", "in", "im", "il", "ir", "non", "dis", "de", "mis", "ab", "anti")


class Negation:
    """Refuses when one text denies an odd number of times more than the other."""

    name: ClassVar = "negation"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the parity of denials differs."""
        return (a.negations - b.negations) % 2 == 1


class Antonyms:
    """Refuses when a word stands in one text and its opposite in the other, listed or made by a prefix."""

    name: ClassVar = "antonyms"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether a word faces its opposite."""
        ours, theirs = a.stems - b.stems, b.stems - a.stems
        if not ours or not theirs:
            return False
        if any(not opposites_of(stem).isdisjoint(theirs) for stem in a.polar & ours):
            return True
        return _faces_denied(ours | a.content, theirs) or _faces_denied(theirs | b.content, ours)


def _faces_denied(plain: frozenset[str], others: frozenset[str]) -> bool:
    return any(_is_denied(stem, plain) for stem in others)


def _is_denied(stem: str, plain: frozenset[str]) -> bool:
    if stem.startswith(_DENYING):
        return any(stem.startswith(prefix) and stem.removeprefix(prefix) in plain for prefix in _DENYING)
    if stem.endswith("less"):
        return stem.removesuffix("less") in plain or stem.removesuffix("less") + "ful" in plain
    return False
