"""Answers in this process's memory."""

from __future__ import annotations

from collections import OrderedDict

from cache.base import Entry


class MemoryBackend:
    """Keeps entries up to a number of bytes; the least recently used go first.

    Args:
        max_bytes: the bound over all entries.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.bytes = 0

    async def get(self, key: bytes) -> Entry | None:
        """Return the entry of a key; see `Backend.get`."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry; one that is larger than a tenth of the bound is not worth its place."""
        if entry.size > self._max_bytes // 10:
            return
        await self.delete(key)
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size

    async def delete(self, key: bytes) -> None:
        """Forget a key."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
