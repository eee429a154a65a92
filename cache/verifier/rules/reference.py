"""Rules about who, where and what exactly is spoken of."""

from __future__ import annotations

from typing import ClassVar, Final

from cache.verifier.alignment import unmatched
from cache.verifier.reading import Reading

_FEW: Final = 3
"""Words without a counterpart, on each side, from which on two texts are phrased too differently to compare places."""

_SHORT: Final = 3
"""Content words of a short statement."""


class Contrasts:
    """Refuses when each text has a word of one family that the other lacks: India and Chile, piano and violin."""

    name: ClassVar = "contrasts"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether two members of one family face each other."""
        ours, theirs = a.members - b.members, b.members - a.members
        if not ours or not theirs:
            return False
        families = {member.partition(":")[0] for member in ours}
        return any(member.partition(":")[0] in families for member in theirs)


class Names:
    """Refuses when one text has a name, by its capital or its place after a preposition, that the other lacks."""

    name: ClassVar = "names"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether a name is missing from the other."""
        return bool(a.names - b.stems) and bool(b.names - a.stems)


class Places:
    """Refuses when each text has a word after a preposition for which the other has nothing alike."""

    name: ClassVar = "places"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether something else stands where a name would."""
        ours, theirs = unmatched(a, b)
        if len(ours) > _FEW or len(theirs) > _FEW:
            return False
        return bool(a.places.intersection(ours)) and bool(b.places.intersection(theirs))


class Remarks:
    """Refuses when of two short statements each says a word that the other lacks: he is calm, he is gloomy.

    Little is left to be alike in, and two words that fit one place are often opposites no list knows.
    """

    name: ClassVar = "remarks"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether a word of a short statement was replaced."""
        if a.asks != "state" or b.asks != "state" or len(a.content) > _SHORT or len(b.content) > _SHORT:
            return False
        ours, theirs = unmatched(a, b)
        return bool(ours) and bool(theirs)


class Literals:
    """Refuses when a quoted text, path, flag, piece of code or address of one is not found in the other."""

    name: ClassVar = "literals"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether a literal is missing from the other."""
        if a.literals == b.literals:
            return False
        return _is_missing(a.literals, b) or _is_missing(b.literals, a)


def _is_missing(literals: frozenset[str], other: Reading) -> bool:
    return any(literal.lower() not in other.flat for literal in literals - other.literals)
