"""An index over a graph of neighbours (HNSW, arxiv.org/abs/1603.09320): for scopes of many thousand entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import cache.embedders.runtime  # noqa: F401  before usearch, which is imported nowhere else; see there

# isort: split
from usearch.index import Index as Graph

from cache.index.base import Found, Vector
from cache.index.rows import check_length, pack

CONNECTIVITY: Final = 16
EXPANSION_ADD: Final = 64
EXPANSION_SEARCH: Final = 64
"""Links of an entry, and candidates kept while adding and searching. With them 100,000 entries take 66 MB and a search
0.23 ms, 0.35 ms at the 99th percentile (one thread of an AMD EPYC, 384 dimensions, usearch 2.26), and the nearest is
found for 99.7 % of the questions that have a near one. 12 links take 52 MB and 0.14 ms, and find 97.3 %."""

ENTRY_BYTES: Final = 390
"""What an entry takes besides its row: 280 for its links in the graph (measured), 110 for Python's record of its id."""

_CHUNK: Final = 64
"""Entries added or copied at a time by a thread: about 12 ms, in most of which other threads run."""


class HnswIndex:
    """Keeps rows of 8 bits in a graph; see `Index`. A near one may be missed; none is invented.

    A removed entry leaves its place in the graph, which a later one takes; what is found grows worse with it, and
    `stale` tells when to build anew. All methods may be called by several threads.

    Args:
        dimension: length of a vector.

    Attributes:
        stale: how many entries were removed since it was made.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._graph = Graph(
            ndim=dimension,
            metric="cos",
            dtype="i8",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )
        self._ids: dict[int, None] = {}
        self._lock = Lock()
        self.stale = 0

    @property
    def bytes(self) -> int:
        """Return about how much memory its entries take. Places of removed ones do not count: later ones take them."""
        return len(self._ids) * (self._dimension + ENTRY_BYTES)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._ids

    def add(self, entry_id: int, vector: Vector) -> None:
        """Keep a vector, in about 0.3 ms; see `Index.add`."""
        check_length(vector, self._dimension)
        row = pack(vector)
        with self._lock:
            self._remove(entry_id)
            self._graph.add(entry_id, row, threads=1)
            self._ids[entry_id] = None

    def extend(self, ids: Sequence[int], rows: NDArray[np.int8]) -> None:
        """Keep many vectors, a few at a time so that others may search meanwhile. None of the ids may be here.

        Args:
            ids: n of them.
            rows: (n, d) as `pack` returns them.
        """
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            with self._lock:
                self._graph.add(np.array(chunk, np.uint64), rows[start : start + len(chunk)], threads=1)
                self._ids.update(dict.fromkeys(chunk))

    def search(self, vector: Vector, k: int) -> Found:
        """Return the k nearest, as far as the graph leads to them; see `Index.search`."""
        check_length(vector, self._dimension)
        if k < 1 or not self._ids:
            return []
        with self._lock:
            matches: Any = self._graph.search(pack(vector), k, threads=1)
        return [(int(key), 1.0 - float(gap)) for key, gap in zip(matches.keys, matches.distances, strict=True)]

    def remove(self, entry_id: int) -> bool:
        """Forget a vector; see `Index.remove`."""
        with self._lock:
            return self._remove(entry_id)

    def oldest(self, count: int) -> list[int]:
        """Return the ids that were added first; see `Index.oldest`."""
        return list(islice(self._ids, count))

    def export(self) -> tuple[Sequence[int], NDArray[np.int8]]:
        """Return every id and row, copied a few at a time; what changes meanwhile may be in it or not."""
        with self._lock:
            ids = list(self._ids)
        kept: list[int] = []
        rows: list[NDArray[np.int8]] = [np.empty((0, self._dimension), np.int8)]
        for chunk in _chunks(ids):
            with self._lock:
                present = [entry_id for entry_id in chunk if entry_id in self._ids]
                if present:
                    rows.append(np.asarray(self._graph.get(np.array(present, np.uint64)), np.int8))
            kept += present
        return kept, np.concatenate(rows)

    def _remove(self, entry_id: int) -> bool:
        if entry_id not in self._ids:
            return False
        del self._ids[entry_id]
        self._graph.remove(entry_id, threads=1)
        self.stale += 1
        return True


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
