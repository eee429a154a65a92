"""What is known of the entries of one scope, besides their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.semantic.hints import Clues, Hints, clues_of
from cache.semantic.readings import restore

_ENTRY_BYTES: Final = 190
"""What an entry takes here besides its two texts: the rest of the record, its id, and its place (measured)."""

_SCOPE_BYTES: Final = 500
"""What a scope takes here when it is empty, besides its hints: its places."""


_HEAD: Final = Struct("<ddI")
"""Of a record: when it was stored, when it expires, and how many bytes its answer has."""


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

    def pack(self) -> bytes:
        """Return it as one record, in which 100,000 take 11 MB less, for `unpack`."""
        return _HEAD.pack(self.stored_at, self.expires_at, len(self.answer)) + self.answer + self.reading

    @classmethod
    def unpack(cls, record: bytes) -> Kept:
        """Return what was packed, in 1 us."""
        stored_at, expires_at, length = _HEAD.unpack_from(record)
        end = _HEAD.size + length
        return cls(record[end:], record[_HEAD.size : end], stored_at, expires_at)


class Shelf:
    """The entries of one scope by their ids, the oldest first.

    Args:
        row_bytes: what a row that waits is counted with.

    Attributes:
        hints: of those entries whose readings can be read; the others are never plausible.
        records: entries, each packed.
        waiting: ids whose rows are not in the index yet; `rows` has the rows.
    """

    __slots__ = ("__weakref__", "_is_torn", "_kept_bytes", "_row_bytes", "hints", "records", "rows", "waiting")

    def __init__(self, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._kept_bytes = _SCOPE_BYTES
        self._is_torn = False
        self.records: dict[int, bytes] = {}
        self.hints = Hints()
        self.waiting: list[int] = []
        self.rows = bytearray()

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes."""
        return self._kept_bytes + self.hints.size + len(self.waiting) * self._row_bytes

    def get(self, entry_id: int) -> Kept | None:
        """Return an entry, or None where it is not here."""
        record = self.records.get(entry_id)
        return None if record is None else Kept.unpack(record)

    def put(self, entry_id: int, kept: Kept, clues: Clues | None) -> None:
        """Keep an entry that is not here."""
        self.records[entry_id] = kept.pack()
        self._kept_bytes += kept.size
        if clues is not None:
            self.hints.add(entry_id, clues)

    def drop(self, entry_id: int) -> bool:
        """Forget an entry; False where it is not here."""
        kept = self.get(entry_id)
        if kept is None:
            return False
        del self.records[entry_id]
        self._kept_bytes -= kept.size
        self._is_torn = len(self.waiting) > 0
        clues = clues_in(kept)
        if clues is not None:
            self.hints.remove(entry_id, clues)
        return True

    def let_wait(self, ids: Iterable[int], rows: NDArray[np.int8]) -> None:
        """Keep rows for the end of loading: (n, d) for n ids."""
        self.waiting.extend(ids)
        self.rows += rows.tobytes()

    def take_waiting(self) -> tuple[Sequence[int], NDArray[np.int8]]:
        """Return ids and rows that wait, once; of an id that waits twice the last row, of one that was dropped none."""
        ids, length = self.waiting, len(self.rows) // max(len(self.waiting), 1)
        rows = np.frombuffer(self.rows, np.int8).reshape(len(ids), length)
        self.waiting, self.rows = [], bytearray()
        if not self._is_torn:
            return ids, rows
        self._is_torn = False
        last = {entry_id: at for at, entry_id in enumerate(ids) if entry_id in self.records}
        return list(last), rows[list(last.values())]

    def clear(self, count: int) -> bool:
        """Give a number of entries back to the system; True once all are. For a scope that had to go."""
        for _ in range(min(count, len(self.records))):
            self.records.popitem()
        return not self.records and self.hints.clear(count)


def clues_in(kept: Kept) -> Clues | None:
    """Return what counts of an entry's words, or None where another version of the reader wrote them."""
    try:
        return clues_of(restore(kept.reading))
    except ValueError:
        return None
