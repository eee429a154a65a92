"""The entries of all scopes: vectors to search in, and what is known of each, within one bound of memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.index.base import Vector
from cache.index.growing import Spawn
from cache.index.hnsw import ENTRY_BYTES
from cache.index.scoped import Evicted, ScopedIndex
from cache.index.settings import IndexSettings
from cache.semantic.hints import EVERYTHING, hints_of, is_plausible
from cache.semantic.readings import restore
from cache.verifier.reading import Reading

_ENTRY_BYTES: Final = 300
"""What an entry takes here besides its two texts: the record, its id, its times, and its place (measured)."""

_SCOPE_BYTES: Final = 900
"""What a scope takes here when it is empty: its places, and its hints once some words are known."""

_WAITING_BYTES: Final = ENTRY_BYTES + 40
"""What a row that waits for the end of loading is counted with, besides its length: its later place in a graph."""

HINTED: Final = 256
"""Entries of a scope from which on anything is plausible, as its hints would say so of most questions anyway."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What is known of an entry besides its vector.

    Attributes:
        reading: as `cache.semantic.readings.shrink` made it.
        answer, stored_at, expires_at: as in `Stored`.
    """

    reading: bytes
    answer: bytes
    stored_at: float
    expires_at: float

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes."""
        return _ENTRY_BYTES + len(self.reading) + len(self.answer)


class _Shelf:
    """The entries of one scope by their ids, the oldest first.

    Attributes:
        waiting: ids whose rows are not in the index yet; `rows` has the rows.
    """

    __slots__ = ("hints", "kept", "rows", "waiting")

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}
        self.hints = 0
        self.waiting = array("q")
        self.rows = bytearray()

    def note(self, reading: Reading) -> None:
        """Take in what words a new entry has."""
        self.hints = EVERYTHING if len(self.kept) > HINTED else self.hints | hints_of(reading)


class ScopedEntries:
    """Keeps entries by scope. For one thread, such as the event loop's.

    Entries of different scopes never meet: each scope has an index and a shelf of its own. When all together take more
    than the bound, the scope that was not searched or added to for longest goes as a whole; if that is the last, its
    oldest entries go. What has gone from here may still stand in the log.

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
        self._shelves: dict[bytes, _Shelf] = {}
        self._kept_bytes = self._count = 0
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
        return self._index.bytes + self._kept_bytes

    def holds(self, scope: bytes) -> bool:
        """Tell whether a scope has entries."""
        return scope in self._shelves

    def is_plausible(self, scope: bytes, reading: Reading) -> bool:
        """Tell whether a scope may hold something like a question."""
        shelf = self._shelves.get(scope)
        return shelf is not None and is_plausible(reading, shelf.hints)

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
        self._put(scope, entry_id, kept, reading)
        self._make_room(gone)

    def extend(self, scope: bytes, entries: Mapping[int, tuple[Kept, NDArray[np.int8]]]) -> None:
        """Keep entries that were written down earlier; of one that is here what is known is renewed if it is older.

        Of a large scope only the first are found before `finish`: its graph is built once, of all of them.

        Args:
            scope: exact key.
            entries: by their ids, oldest first, with rows as for `add`.

        Raises:
            ValueError: a row has another length; nothing is changed.
        """
        shelf = self._shelves.get(scope)
        here = shelf.kept if shelf is not None else {}
        new = {entry_id: entry for entry_id, entry in entries.items() if entry_id not in here}
        for entry_id in entries.keys() - new.keys():
            self._renew(scope, entry_id, entries[entry_id][0])
        if not new:
            return
        rows = np.stack([row for _, row in new.values()])
        if rows.shape[1] != self._dimension:
            raise ValueError(f"rows of {rows.shape[1]}, the index holds {self._dimension}")
        count = len(here)
        is_waiting = count + len(new) > self._exact_up_to
        gone = [] if is_waiting else self._index.extend(scope, list(new), rows)
        for entry_id, (kept, _) in new.items():
            self._put(scope, entry_id, kept, _hinting(kept) if count <= HINTED else None)
        if is_waiting:
            self._wait(self._shelves[scope], list(new), rows)
        self._make_room(gone)

    def finish(self) -> None:
        """End the loading: have the graphs of large scopes built on a thread."""
        for scope, shelf in [(scope, shelf) for scope, shelf in self._shelves.items() if shelf.waiting]:
            if self._shelves.get(scope) is not shelf:  # it had to go for the one before it
                continue
            ids, rows = shelf.waiting.tolist(), np.frombuffer(shelf.rows, np.int8).reshape(-1, self._dimension)
            self._kept_bytes -= len(ids) * (self._dimension + _WAITING_BYTES)
            shelf.waiting, shelf.rows = array("q"), bytearray()
            places = {entry_id: at for at, entry_id in enumerate(ids) if entry_id in shelf.kept}  # the last of each
            if places:
                self._make_room(self._index.extend(scope, list(places), rows[list(places.values())]))

    def search(self, scope: bytes, vector: Vector, k: int) -> list[tuple[int, float, Kept]]:
        """Return the nearest entries of a scope, nearest first: id, cosine, and what is known.

        Raises:
            ValueError: the vector has another length.
        """
        shelf = self._shelves.get(scope)
        if shelf is None:
            return []
        found = self._index.search(scope, vector, k)
        return [(entry_id, near, kept) for entry_id, near in found if (kept := shelf.kept.get(entry_id)) is not None]

    def has(self, scope: bytes, entry_id: int) -> bool:
        """Tell whether an entry is here."""
        shelf = self._shelves.get(scope)
        return shelf is not None and entry_id in shelf.kept

    def is_older(self, scope: bytes, entry_id: int, stored_at: float) -> bool:
        """Tell whether an entry is not here, or was stored before a moment."""
        shelf = self._shelves.get(scope)
        kept = None if shelf is None else shelf.kept.get(entry_id)
        return kept is None or kept.stored_at < stored_at

    def find(self, entry_id: int) -> bytes | None:
        """Return the scope of an entry, in time that grows with the number of scopes; None where it is not here."""
        return next((scope for scope, shelf in self._shelves.items() if entry_id in shelf.kept), None)

    def remove(self, scope: bytes, entry_id: int) -> bool:
        """Forget an entry; False where it is not here."""
        self._index.remove(scope, entry_id)  # also one that is on its way into a graph
        return self._drop(scope, entry_id)

    def _put(self, scope: bytes, entry_id: int, kept: Kept, reading: Reading | None) -> None:
        """Put an entry on its shelf; without its reading anything is plausible from then on."""
        self._drop(scope, entry_id)
        shelf = self._shelves.get(scope)
        if shelf is None:
            shelf = self._shelves[scope] = _Shelf()
            self._kept_bytes += _SCOPE_BYTES
        shelf.kept[entry_id] = kept
        if reading is None:
            shelf.hints = EVERYTHING
        else:
            shelf.note(reading)
        self._count += 1
        self._kept_bytes += kept.size

    def _renew(self, scope: bytes, entry_id: int, kept: Kept) -> None:
        """Renew what is known of an entry that is here. Its question is the same, and so is its row."""
        if self.is_older(scope, entry_id, kept.stored_at):
            self._put(scope, entry_id, kept, _hinting(kept))

    def _wait(self, shelf: _Shelf, ids: list[int], rows: NDArray[np.int8]) -> None:
        shelf.waiting.extend(ids)
        shelf.rows += rows.tobytes()
        self._kept_bytes += len(ids) * (self._dimension + _WAITING_BYTES)

    def _drop(self, scope: bytes, entry_id: int) -> bool:
        shelf = self._shelves.get(scope)
        kept = None if shelf is None else shelf.kept.pop(entry_id, None)
        if shelf is None or kept is None:
            return False
        self._count -= 1
        self._kept_bytes -= kept.size
        if not shelf.kept:
            del self._shelves[scope]
            self._kept_bytes -= _SCOPE_BYTES + len(shelf.waiting) * (self._dimension + _WAITING_BYTES)
        return True

    def _make_room(self, gone: Evicted) -> None:
        """Forget what the index dropped, and more until the bound is kept."""
        self._forget(gone)
        if self.size > self._max_bytes:
            self.finish()
        while self.size > self._max_bytes:
            scope = next((scope for scope, _ in self._index.sizes()), None)
            if scope is None:
                break
            shelf = self._shelves.get(scope)
            if shelf is not None and self._index.scopes == 1:
                entry_id = next(iter(shelf.kept))
                self._index.remove(scope, entry_id)
                self._forget([(scope, entry_id)])
            else:
                self._index.drop(scope)
                self._forget([(scope, entry_id) for entry_id in (shelf.kept if shelf is not None else ())])

    def _forget(self, gone: Iterable[tuple[bytes, int]]) -> None:
        for scope, entry_id in gone:
            self.evicted += self._drop(scope, entry_id)


def _hinting(kept: Kept) -> Reading | None:
    """Return the reading of an entry, or None where another version of the reader wrote it."""
    try:
        return restore(kept.reading)
    except ValueError:
        return None
