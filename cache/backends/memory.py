"""Answers in this process's memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import islice
from typing import Final

from cache.base import Entry, Selection

_AT_ONCE: Final = 2000
"""Entries looked at before others get a turn: about 0.5 ms."""


class MemoryBackend:
    """Keeps entries up to a number of bytes; the least recently used go first.

    Args:
        max_bytes: the bound over all entries.
    """

    failed = unreadable = 0

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self.bytes = 0

    async def get(self, entry_id: int) -> Entry | None:
        """Return an entry; see `Backend.get`."""
        return self.get_now(entry_id)

    def get_now(self, entry_id: int) -> Entry | None:
        """Do as `get` does."""
        entry = self._entries.get(entry_id)
        if entry is not None:
            self._entries.move_to_end(entry_id)
        return entry

    async def put(self, entry_id: int, entry: Entry) -> None:
        """Keep an entry; see `Backend.put`."""
        self.put_now(entry_id, entry)

    def put_now(self, entry_id: int, entry: Entry) -> None:
        """Do as `put` does."""
        self.delete_now(entry_id)
        if entry.size > self._max_bytes // 10:
            return
        self._entries[entry_id] = entry
        self.bytes += entry.size
        while self.bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size

    async def delete(self, entry_id: int) -> bool:
        """Forget an entry; see `Backend.delete`."""
        return self.delete_now(entry_id)

    def delete_now(self, entry_id: int) -> bool:
        """Do as `delete` does."""
        entry = self._entries.pop(entry_id, None)
        if entry is not None:
            self.bytes -= entry.size
        return entry is not None

    async def clear(self, selection: Selection) -> int:
        """Forget some entries; see `Backend.clear`."""
        cleared, entries = 0, iter(list(self._entries.items()))
        while some := list(islice(entries, _AT_ONCE)):
            cleared += sum(self.delete_now(number) for number, entry in some if selection.has(entry))
            await asyncio.sleep(0)
        return cleared

    async def close(self) -> None:
        """Nothing to let go of."""
