"""An index that compares with every row: for scopes of up to some thousand entries, down to one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cache.index.base import Found, Vector
from cache.index.rows import check_length, pack

_BLOCK: Final = 512
"""Rows that are turned into float32 at a time: 0.75 MB at 384 dimensions, which stays in the cache of a core."""

_OVERHEAD_BYTES: Final = 400
"""Of an empty index: the object and its three buffers."""


class ExactIndex:
    """Keeps rows of 8 bits in one buffer, oldest first; see `Index`.

    Plain buffers and not numpy arrays, as most scopes hold a handful of entries: they grow by an eighth and cost little
    when empty. A search takes 5 us for 20 entries, 0.05 ms for 1,000 and 0.45 ms for 8,000 at 384 dimensions.

    Args:
        dimension: length of a vector.
    """

    __slots__ = ("_dimension", "_ids", "_norms", "_rows")

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._ids = array("q")
        self._norms = array("f")
        self._rows = bytearray()

    @property
    def bytes(self) -> int:
        """Return about how much memory it takes, with the room that buffers keep for growth."""
        held = len(self._ids) * (self._dimension + self._ids.itemsize + self._norms.itemsize)
        return _OVERHEAD_BYTES + held + held // 8

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, entry_id: object) -> bool:
        return isinstance(entry_id, int) and self._place(entry_id) is not None

    def add(self, entry_id: int, vector: Vector) -> None:
        """Keep a vector; see `Index.add`."""
        check_length(vector, self._dimension)
        row = pack(vector)
        self.remove(entry_id)
        self._ids.append(entry_id)
        self._norms.append(float(np.linalg.norm(row.astype(np.float32))))
        self._rows += row.tobytes()

    def extend(self, ids: Sequence[int], rows: NDArray[np.int8]) -> None:
        """Keep many vectors at once. None of the ids may be here or come twice.

        Args:
            ids: n of them.
            rows: (n, d) as `pack` returns them.
        """
        self._ids.extend(ids)
        self._norms.extend(np.linalg.norm(rows.astype(np.float32), axis=1).tolist())
        self._rows += rows.tobytes()

    def search(self, vector: Vector, k: int) -> Found:
        """Return the k nearest, of equal ones the oldest first; see `Index.search`."""
        check_length(vector, self._dimension)
        count = len(self._ids)
        if k < 1 or not count:
            return []
        scores = self._scores(vector.astype(np.float32))
        near = np.argpartition(-scores, k - 1)[:k] if k < count else np.arange(count)
        near.sort()
        near = near[np.argsort(-scores[near], kind="stable")]
        return [(self._ids[place], float(scores[place])) for place in near]

    def remove(self, entry_id: int) -> bool:
        """Forget a vector; see `Index.remove`. Later ones move up, so that the order stays that of adding."""
        place = self._place(entry_id)
        if place is None:
            return False
        del self._ids[place], self._norms[place]
        del self._rows[place * self._dimension : (place + 1) * self._dimension]
        return True

    def oldest(self, count: int) -> list[int]:
        """Return the ids that were added first; see `Index.oldest`."""
        return self._ids[:count].tolist()

    def export(self) -> tuple[Sequence[int], NDArray[np.int8]]:
        """Return every id and row; see `Index.export`."""
        return self._ids.tolist(), self._matrix().copy()

    def _matrix(self) -> NDArray[np.int8]:
        """Return the rows in place. While this is alive the buffer cannot grow."""
        return np.frombuffer(self._rows, np.int8).reshape(-1, self._dimension)  # an empty buffer gives no rows

    def _scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine of a vector to each row."""
        rows = self._matrix()
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _BLOCK):
            # Not `@`: on machines with many cores that may wake BLAS's threads, which spin.
            np.vecdot(rows[start : start + _BLOCK].astype(np.float32), vector, out=scores[start : start + _BLOCK])
        scores /= np.frombuffer(self._norms, np.float32) * np.linalg.norm(vector)
        return scores

    def _place(self, entry_id: int) -> int | None:
        if not self._ids:
            return None
        places = np.flatnonzero(np.frombuffer(self._ids, np.int64) == entry_id)
        return int(places[0]) if places.size else None
