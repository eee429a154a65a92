"""The lexicon, compiled: which of its groups the words and pairs of words of a text belong to.

An entry is found by 18 bits of its hash. One word in two hundred that is not in the lexicon is taken for one that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from router.scoring.lexicon import GROUPS, PAIRS, WORDS
from router.scoring.reading import read
from router.scoring.rows import runs_of

_A_PAIR: Final = 2.0
"""A pair of words tells as much as two words."""

_BITS: Final = 18
_SHIFT: Final = np.uint32(32 - _BITS)


class Vocabulary:
    """Finds entries of the lexicon by hash. It keeps no state: threads may share one."""

    __slots__ = ("_numbers", "_weights")

    def __init__(self) -> None:
        self._numbers = np.zeros(1 << _BITS, np.uint16)
        self._weights: list[list[tuple[int, float]]] = [[]]
        for column, group in enumerate(GROUPS):
            for text, weight in _entries(group):
                place = runs_of(read(text, 0).words)[-1] >> _SHIFT
                if not self._numbers[place]:
                    self._numbers[place] = len(self._weights)
                    self._weights.append([])
                self._weights[self._numbers[place]].append((column, weight))

    def find(self, runs: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Return the number of the entry of each run, 0 for none, shape (r,)."""
        return self._numbers.take(runs >> _SHIFT)

    def total(self, entries: Iterable[int]) -> list[float]:
        """Return what each group of the lexicon weighs, shape (len(GROUPS),).

        Args:
            entries: numbers from `find`, each counted as often as it is given.
        """
        found = list(_NOTHING)
        for entry in entries:
            for column, weight in self._weights[entry]:
                found[column] += weight
        return found


def _entries(group: str) -> list[tuple[str, float]]:
    pairs = [pair.strip() for pair in PAIRS.get(group, "").split(",") if pair.strip()]
    return [(word, 1.0) for word in WORDS.get(group, "").split()] + [(pair, _A_PAIR) for pair in pairs]


_NOTHING: Final = (0.0,) * len(GROUPS)
