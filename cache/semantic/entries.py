"""The entries of all scopes: vectors to search in, and what is known of each, within one bound of memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cache.index.base import Vector
from cache.index.growing import Spawn
from cache.index.hnsw import ENTRY_BYTES
from cache.index.scoped import Evicted, ScopedIndex
from cache.index.settings import IndexSettings
from cache.semantic.hints import Clues, clues_of
from cache.semantic.shelf import Kept, Shelf, clues_in
from cache.verifier.reading import Reading

_WAITING_BYTES: Final = ENTRY_BYTES + 40
"""What a row that waits for the end of loading is counted with, besides its length: its later place in a graph."""

_CLEARED_AT_ONCE: Final = 256
"""Entries of a scope that had to go which a call gives back to the system: 0.1 ms. All of a large one take 60 ms."""


class ScopedEntries:
    """Keeps entries by scope. For one thread, such as the event loop's.

    Entries of different scopes never meet: each scope has an index and a shelf of its own. When all together take more
    than the bound, the scope that was not searched or added to for longest goes as a whole; if that is the last, its
    oldest entries go. What has gone from here may still stand in the log. A large scope that goes is not counted any
    more, but given back to the system bit by bit with the calls that follow, so that none takes long.

    Args:
        dimension: length of a vector.
        settings: of the index; its bound holds over the vectors and what is kept beside them.
        spawn: runs the building of a graph on a thread.
    """

    def __init__(self, dimension: int, settings: IndexSettings, spawn: Spawn) -> None:
        self._dimension = dimension
        self._exact_up_to = settings.exact_up_to
        self._max_bytes = settings.max_mb * 2**20
        self._index = ScopedIndex(dimension, settings, spawn)
        self._shelves: dict[bytes, Shelf] = {}
        self._going: list[Shelf] = []
        self._shelf_bytes = self._count = 0
        self.evicted = 0

    def __len__(self) -> int:
        return self._count

    @property
    def scopes(self) -> int:
        """Return how many scopes have entries."""
        return len(self._shelves)

    @property
    def size(self) -> int:
        """Return about how many bytes of memory all entries take. A graph being built is not counted."""
        return self._index.bytes + self._shelf_bytes

    def holds(self, scope: bytes) -> bool:
        """Tell whether a scope has entries."""
        return scope in self._shelves

    def is_plausible(self, scope: bytes, reading: Reading) -> bool:
        """Tell whether a scope may hold something like a question; see `cache.semantic.hints`."""
        shelf = self._shelves.get(scope)
        return shelf is not None and shelf.hints.is_plausible(clues_of(reading))

    def add(self, scope: bytes, entry_id: int, kept: Kept, row: NDArray[np.int8], reading: Reading) -> None:
        """Keep an entry, in 0.02 to 0.3 ms; one of the same id in the scope is replaced.

        Args:
            scope: exact key.
            entry_id: 0 to 2**63 - 1.
            kept: what is known of it.
            row: (d,) int8, as `cache.index.rows.pack` returns it.
            reading: what `kept.reading` is restored to.

        Raises:
            ValueError: the row has another length; nothing is changed.
        """
        gone = self._index.add(scope, entry_id, row)
        self._put(scope, entry_id, kept, clues_of(reading))
        self._make_room(gone)

    def extend(self, scope: bytes, entries: Mapping[int, tuple[Kept, NDArray[np.int8]]]) -> None:
        """Keep entries that were written down earlier; of one that is here what is known is renewed if it is older.

        Of a large scope only the first are found before `finish`: its graph is built once, of all of them. Those whose
        readings another version of the reader wrote are left out: the guard could not judge them.

        Args:
            scope: exact key.
            entries: by their ids, oldest first, with rows as for `add`.

        Raises:
            ValueError: a row has another length; nothing is changed.
        """
        shelf = self._shelves.get(scope)
        known = shelf.records if shelf is not None else {}
        for entry_id in entries.keys() & known.keys():
            self._renew(scope, entry_id, entries[entry_id][0])
        clues = {entry_id: clues_in(kept) for entry_id, (kept, _) in entries.items() if entry_id not in known}
        new = [entry_id for entry_id, found in clues.items() if found is not None]
        if not new:
            return
        rows = np.stack([entries[entry_id][1] for entry_id in new])
        if rows.shape[1] != self._dimension:
            raise ValueError(f"rows of {rows.shape[1]}, the index holds {self._dimension}")
        is_waiting = len(known) + len(new) > self._exact_up_to
        gone = [] if is_waiting else self._index.extend(scope, new, rows)
        for entry_id in new:
            self._put(scope, entry_id, entries[entry_id][0], clues[entry_id])
        if is_waiting:
            with self._counting(self._shelves[scope]) as here:
                here.let_wait(new, rows)
        self._make_room(gone)

    def finish(self) -> None:
        """End the loading: have the graphs of large scopes built on a thread."""
        for scope, shelf in [(scope, shelf) for scope, shelf in self._shelves.items() if shelf.waiting]:
            if self._shelves.get(scope) is not shelf:  # it had to go for the one before it
                continue
            with self._counting(shelf):
                ids, rows = shelf.take_waiting()
            if len(ids):
                self._make_room(self._index.extend(scope, ids, rows))

    def search(self, scope: bytes, vector: Vector, k: int) -> list[tuple[int, float, Kept]]:
        """Return the nearest entries of a scope, nearest first: id, cosine, and what is known.

        Raises:
            ValueError: the vector has another length.
        """
        shelf = self._shelves.get(scope)
        if shelf is None:
            return []
        found = self._index.search(scope, vector, k)
        return [(entry_id, near, kept) for entry_id, near in found if (kept := shelf.get(entry_id)) is not None]

    def has(self, scope: bytes, entry_id: int) -> bool:
        """Tell whether an entry is here."""
        shelf = self._shelves.get(scope)
        return shelf is not None and entry_id in shelf.records

    def is_older(self, scope: bytes, entry_id: int, stored_at: float) -> bool:
        """Tell whether an entry is not here, or was stored before a moment."""
        shelf = self._shelves.get(scope)
        kept = None if shelf is None else shelf.get(entry_id)
        return kept is None or kept.stored_at < stored_at

    def find(self, entry_id: int) -> bytes | None:
        """Return the scope of an entry, in time that grows with the number of scopes; None where it is not here."""
        return next((scope for scope, shelf in self._shelves.items() if entry_id in shelf.records), None)

    def remove(self, scope: bytes, entry_id: int) -> bool:
        """Forget an entry; False where it is not here."""
        self._index.remove(scope, entry_id)  # also one that is on its way into a graph
        return self._drop(scope, entry_id)

    def _put(self, scope: bytes, entry_id: int, kept: Kept, clues: Clues | None) -> None:
        self._drop(scope, entry_id)
        shelf = self._shelves.get(scope)
        if shelf is None:
            shelf = self._shelves[scope] = Shelf(self._dimension + _WAITING_BYTES)
            self._shelf_bytes += shelf.size
        with self._counting(shelf):
            shelf.put(entry_id, kept, clues)

    def _renew(self, scope: bytes, entry_id: int, kept: Kept) -> None:
        """Renew what is known of an entry that is here. Its question is the same, and so is its row."""
        if self.is_older(scope, entry_id, kept.stored_at):
            self._put(scope, entry_id, kept, clues_in(kept))

    def _drop(self, scope: bytes, entry_id: int) -> bool:
        shelf = self._shelves.get(scope)
        if shelf is None or entry_id not in shelf.records:
            return False
        with self._counting(shelf):
            shelf.drop(entry_id)
        if not shelf.records:
            self._drop_all(scope)
        return True

    def _drop_all(self, scope: bytes) -> None:
        """Forget what is known of a scope."""
        shelf = self._shelves.pop(scope, None)
        if shelf is not None:
            self._shelf_bytes -= shelf.size
            self._count -= len(shelf.records)
            self._going.append(shelf)

    @contextmanager
    def _counting(self, shelf: Shelf) -> Iterator[Shelf]:
        """Give a shelf, and count what is done to it."""
        count, size = len(shelf.records), shelf.size
        yield shelf
        self._count += len(shelf.records) - count
        self._shelf_bytes += shelf.size - size

    def _make_room(self, gone: Evicted) -> None:
        """Forget what the index dropped, and more until the bound is kept."""
        for scope, entry_id in gone:
            self.evicted += self._drop(scope, entry_id)
        if self.size > self._max_bytes:
            self.finish()
        while self.size > self._max_bytes and self._index.scopes:
            self._evict(next(self._index.sizes())[0])
        while self._going and self._going[-1].clear(_CLEARED_AT_ONCE):
            self._going.pop()

    def _evict(self, scope: bytes) -> None:
        """Forget a scope, or its oldest entry if it is the only one."""
        shelf = self._shelves.get(scope)
        if shelf is None or self._index.scopes > 1:
            self._index.drop(scope)
            self.evicted += len(shelf.records) if shelf is not None else 0
            self._drop_all(scope)
            return
        entry_id = next(iter(shelf.records))
        self._index.remove(scope, entry_id)
        self.evicted += self._drop(scope, entry_id)
