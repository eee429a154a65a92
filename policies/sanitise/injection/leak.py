"""Tells whether an answer gives away the system message: by how many runs of its words stand in the answer."""

from __future__ import annotations

import re
from typing import Final

import msgspec

RUN: Final = 6
"""Words of a run: shorter ones are shared by chance, as in phrases of politeness."""

FEWEST: Final = 4
"""Runs that must stand in the answer: nine words of the system message one after the other, or several pieces."""

SHARE: Final = 0.1
"""Share of the system message's runs, or of the answer's, that must be shared."""

LONGEST: Final = 1 << 16
"""Characters of either text that are looked at."""

_WORD: Final = re.compile(r"\w+")
_RARE: Final = 4
"""Letters from which a word counts as one that tells texts apart; a run needs two of them."""


class Leak(msgspec.Struct, frozen=True, gc=False):
    """What an answer has of a system message.

    Attributes:
        leaked: that it gives it away.
        runs: how many runs of words it has.
        share: 0 to 1, of the system message's runs.
    """

    leaked: bool
    runs: int
    share: float


class Prompt:
    """A system message, ready to be looked for in answers. It keeps hashes of runs of words, not the text.

    Args:
        system: the message.
        known: what a user said or a document had: an answer may repeat that.
    """

    __slots__ = ("_known", "_runs")

    def __init__(self, system: str, known: str = "") -> None:
        self._runs = _runs(system)
        self._known = _runs(known) if known else frozenset()

    def within(self, answer: str) -> Leak:
        """Return what an answer has of the message."""
        said = _runs(answer)
        shared = len((self._runs & said) - self._known)
        share = shared / len(self._runs) if self._runs else 0.0
        of_answer = shared / len(said) if said else 0.0
        return Leak(shared >= FEWEST and max(share, of_answer) >= SHARE, shared, share)


def _runs(text: str) -> frozenset[int]:
    """Return hashes of the runs of words that have at least two rarer words."""
    words = _WORD.findall(text[:LONGEST].casefold())
    rare = [len(word) >= _RARE or not word.isascii() for word in words]
    return frozenset(
        hash(tuple(words[at : at + RUN])) for at in range(len(words) - RUN + 1) if sum(rare[at : at + RUN]) > 1
    )
