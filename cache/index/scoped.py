"""The indexes of all scopes, within one bound of memory.

A scope is an exact key: vectors of different scopes never meet, as each has an index of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cache.index.base import Found, Vector
from cache.index.growing import GrowingIndex, Spawn
from cache.index.hnsw import ENTRY_BYTES
from cache.index.settings import IndexSettings

_SCOPE_BYTES: Final = 450
"""What a scope takes besides its vectors: its key, its place in the order, and the index around the form."""

Evicted = list[tuple[bytes, int]]
"""Scopes and ids whose vectors were dropped."""


class ScopedIndex:
    """Finds near vectors inside a scope. For one thread, such as the event loop's.

    When all scopes together take more than the bound, the one that was not used for longest goes as a whole; if that is
    the one under way, its oldest entries go. A graph being built is not counted: it adds the size of its scope.

    Args:
        dimension: length of a vector.
        settings: bounds.
        spawn: runs the building of a graph on a thread.

    Attributes:
        bytes: about how much memory all scopes take.
        evicted: vectors dropped to stay within the bound.
    """

    def __init__(self, dimension: int, settings: IndexSettings, spawn: Spawn) -> None:
        self._dimension, self._settings, self._spawn = dimension, settings, spawn
        self._max_bytes = settings.max_mb * 2**20
        self._scopes: OrderedDict[bytes, GrowingIndex] = OrderedDict()
        self.bytes = 0
        self._count = 0
        self.evicted = 0

    def __len__(self) -> int:
        return self._count

    @property
    def scopes(self) -> int:
        """Return how many scopes there are."""
        return len(self._scopes)

    def sizes(self) -> Iterator[tuple[bytes, int]]:
        """Go through the scopes with how many vectors they hold, the least recently used first."""
        return ((scope, len(index)) for scope, index in self._scopes.items())

    def add(self, scope: bytes, entry_id: int, vector: Vector) -> Evicted:
        """Keep a vector, and return what had to go for it.

        Raises:
            ValueError: see `Index.add`.
        """
        with self._changing(scope) as index:
            index.add(entry_id, vector)
        return self._evict()

    def extend(self, scope: bytes, ids: Sequence[int], rows: NDArray[np.int8]) -> Evicted:
        """Keep vectors that were written down earlier, and return what had to go; see `GrowingIndex.extend`.

        Of more than fit the bound, the oldest are not taken.
        """
        excess = max(0, len(ids) - self._max_bytes // (self._dimension + ENTRY_BYTES))
        if len(ids) > excess:
            with self._changing(scope) as index:
                index.extend(ids[excess:], rows[excess:])
        self.evicted += excess
        return [(scope, entry_id) for entry_id in ids[:excess]] + self._evict()

    def search(self, scope: bytes, vector: Vector, k: int) -> Found:
        """Return the k nearest of a scope; see `Index.search`."""
        index = self._scopes.get(scope)
        if index is None:
            return []
        self._scopes.move_to_end(scope)
        if not index.is_building:
            return index.search(vector, k)
        before = _measure(index)
        found = index.search(vector, k)
        self._recount(before, _measure(index))
        return found

    def remove(self, scope: bytes, entry_id: int) -> bool:
        """Forget a vector; False where there was none."""
        index = self._scopes.get(scope)
        if index is None:
            return False
        before = _measure(index)
        is_known = index.remove(entry_id)
        self._recount(before, _measure(index))
        if not len(index) and not index.is_building:
            self._forget(scope)
        return is_known

    def drop(self, scope: bytes) -> int:
        """Forget a scope; return how many vectors it held."""
        index = self._scopes.get(scope)
        if index is None:
            return 0
        self._forget(scope)
        return len(index)

    @contextmanager
    def _changing(self, scope: bytes) -> Iterator[GrowingIndex]:
        """Give the index of a scope, a new one where there is none, and count what was done to it."""
        index = self._scopes.get(scope)
        before = (0, 0) if index is None else _measure(index)
        if index is None:
            index = GrowingIndex(self._dimension, self._settings, self._spawn)
        yield index
        self._scopes[scope] = index
        self._scopes.move_to_end(scope)
        self._recount(before, _measure(index))

    def _forget(self, scope: bytes) -> None:
        self._recount(_measure(self._scopes.pop(scope)), (0, 0))

    def _recount(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        self._count += after[0] - before[0]
        self.bytes += after[1] - before[1]

    def _evict(self) -> Evicted:
        """Drop scopes, and of the last one the oldest vectors, until the bound is kept."""
        gone: Evicted = []
        while self.bytes > self._max_bytes:
            scope, index = next(iter(self._scopes.items()))
            is_last = len(self._scopes) == 1
            ids = index.oldest(1 if is_last else len(index))
            if not is_last:
                self._forget(scope)
            elif ids:
                self.remove(scope, ids[0])
            else:
                break
            gone += ((scope, entry_id) for entry_id in ids)
        self.evicted += len(gone)
        return gone


def _measure(index: GrowingIndex) -> tuple[int, int]:
    return len(index), index.bytes + _SCOPE_BYTES
