"""The most recent scores of live traffic: a ring of bounded size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLUMNS = 3
"""Score, probability that the simple tier fails, probability that the medium tier fails."""

Scores = NDArray[np.float64]
"""Shape (n, COLUMNS)."""


class Sample:
    """Keeps the last rows it was given.

    Args:
        capacity: how many it keeps, at least 1.
    """

    __slots__ = ("_rows", "_seen")

    def __init__(self, capacity: int) -> None:
        self._rows = np.zeros((capacity, COLUMNS))
        self._seen = 0

    def __len__(self) -> int:
        return min(self._seen, len(self._rows))

    def add(self, score: float, simple_fails: float, medium_fails: float) -> None:
        """Keep a row in the place of the oldest one."""
        row = self._rows[self._seen % len(self._rows)]
        row[0], row[1], row[2] = score, simple_fails, medium_fails
        self._seen += 1

    def rows(self) -> Scores:
        """Return what is kept, oldest first; a copy."""
        if self._seen <= len(self._rows):
            return self._rows[: self._seen].copy()
        return np.roll(self._rows, -(self._seen % len(self._rows)), axis=0)
