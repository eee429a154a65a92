"""The seam of an index: vectors by number, and which of them are nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32] | NDArray[np.int8]
"""(d,): unit-norm float32, or a row that `cache.index.rows.pack` made of one."""

Found = list[tuple[int, float]]
"""Ids with their cosine similarity, -1 to 1, nearest first."""


class Index(Protocol):
    """Keeps vectors by id. Ids are integers from 0 to 2**63 - 1. For the thread that made it."""

    @property
    def bytes(self) -> int:
        """Return about how much memory it takes."""

    def __len__(self) -> int: ...

    def __contains__(self, entry_id: object) -> bool: ...

    def add(self, entry_id: int, vector: Vector) -> None:
        """Keep a vector; one of the same id is replaced, and counts as new.

        Raises:
            ValueError: the vector has another length than the index was made for.
        """

    def search(self, vector: Vector, k: int) -> Found:
        """Return the k nearest, or as many as there are.

        Raises:
            ValueError: as `add`.
        """

    def remove(self, entry_id: int) -> bool:
        """Forget a vector; False where there was none."""

    def oldest(self, count: int) -> list[int]:
        """Return the ids that were added first, oldest first."""

    def export(self) -> tuple[Sequence[int], NDArray[np.int8]]:
        """Return every id, oldest first, and the rows that go with them: (n, d) int8, a copy."""
