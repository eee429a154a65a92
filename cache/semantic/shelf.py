"""What is known of the entries of one scope, besides their vectors."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.semantic.hints import Clues, Hints, clues_of
from cache.semantic.readings import restore

_ENTRY_BYTES: Final = 300
"""What an entry takes here besides its two texts: the record, its id, its times, and its place (measured)."""

_SCOPE_BYTES: Final = 500
"""What a scope takes here when it is empty, besides its hints: its places."""


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


class Shelf:
    """The entries of one scope by their ids, the oldest first.

    Args:
        row_bytes: what a row that waits is counted with.

    Attributes:
        hints: of those entries whose readings can be read; the others are never found.
        waiting: ids whose rows are not in the index yet; `rows` has the rows.
    """

    __slots__ = ("__weakref__", "_is_torn", "_kept_bytes", "_row_bytes", "hints", "kept", "rows", "waiting")

    def __init__(self, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._kept_bytes = _SCOPE_BYTES
        self._is_torn = False
        self.kept: dict[int, Kept] = {}
        self.hints = Hints()
        self.waiting = array("q")
        self.rows = bytearray()

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes."""
        return self._kept_bytes + self.hints.size + len(self.waiting) * self._row_bytes

    def put(self, entry_id: int, kept: Kept, clues: Clues | None) -> None:
        """Keep an entry that is not here."""
        self.kept[entry_id] = kept
        self._kept_bytes += kept.size
        if clues is not None:
            self.hints.add(entry_id, clues)

    def drop(self, entry_id: int) -> bool:
        """Forget an entry; False where it is not here."""
        kept = self.kept.pop(entry_id, None)
        if kept is None:
            return False
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
        ids, rows = self.waiting, np.frombuffer(self.rows, np.int8).reshape(len(self.waiting), -1)
        self.waiting, self.rows = array("q"), bytearray()
        if not self._is_torn:
            return ids, rows
        self._is_torn = False
        last = {entry_id: at for at, entry_id in enumerate(ids) if entry_id in self.kept}
        return list(last), rows[list(last.values())]

    def clear(self, count: int) -> bool:
        """Give a number of entries back to the system; True once all are. For a scope that had to go."""
        for _ in range(min(count, len(self.kept))):
            self.kept.popitem()
        return not self.kept and self.hints.clear(count)


def clues_in(kept: Kept) -> Clues | None:
    """Return what counts of an entry's words, or None where another version of the reader wrote them."""
    try:
        return clues_of(restore(kept.reading))
    except ValueError:
        return None
