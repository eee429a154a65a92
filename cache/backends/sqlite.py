"""Answers in one SQLite file in WAL mode, sealed there; the most used of them in memory too, as they are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from cache.backends.memory import MemoryBackend
from cache.base import Entry, Selection
from cache.entry_file import EntryFile, EntryWriter
from cache.sealed import UnreadableEntryError
from gateway.domain.errors import StageUnavailableError
from gateway.sealing import Sealer
from gateway.sqlite.thread import FileThread

log = logging.getLogger("tierway")

_BATCH: Final = 256
"""Changes of one commit."""

_MAX_WAITING_BYTES: Final = 64 << 20
"""Bytes of entries that wait to be written before further ones are not kept."""

_MAX_TOUCHED: Final = 1024
"""Entries whose use is noted in memory before it is written, so that a hit costs no write of its own."""

_AT_ONCE: Final = 1000
"""Entries dropped before others get a turn: about 1 ms."""


class SqliteBackend:
    """Keeps entries in a file, which is made with the first of them; the least recently used go first.

    A put waits in memory, where `get` sees it, until the writing thread is free: a few milliseconds, which a killed
    process loses. What was committed survives the process; a power cut may lose the last commits, never the file's
    integrity (SQLite's `synchronous = NORMAL` in WAL mode). Which numbers there are is read in the background when the
    first is asked for; until that is known, the file itself is asked.

    Args:
        path: where; its folder must exist. The file is readable by its owner only.
        max_bytes: the bound over all entries.
        sealer: what they are sealed with in the file, in its threads: a hit in memory opens nothing.
        memory_bytes: how much of that is held in memory too.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        sealer: Sealer,
        *,
        memory_bytes: int = 8 << 20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.failed = self.unreadable = 0
        self._max_bytes, self._clock = max_bytes, clock
        self._hot = MemoryBackend(memory_bytes)
        self._writer = FileThread("cache-writer", "the cache's file")
        self._reader = FileThread("cache-reader", "the cache's file")
        self._written, self._read = EntryWriter(path, sealer), EntryFile(path, sealer)
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._bytes = 0
        self._is_known = self._is_closed = False
        self._changed: set[int] = set()
        self._waiting: dict[int, Entry | None] = {}
        self._writing: Mapping[int, Entry | None] = {}
        self._waiting_bytes = 0
        self._touched: set[int] = set()
        self._work: asyncio.Task[None] | None = None
        self._complaint = ""

    @property
    def bytes(self) -> int:
        """About how much is kept, as far as it is known."""
        return self._bytes

    async def get(self, entry_id: int) -> Entry | None:
        """Return an entry; see `Backend.get`."""
        if entry_id in self._sizes:
            self._touch(entry_id)
        elif self._is_known:
            return None
        else:
            self._begin()
        entry = self._hot.get_now(entry_id)
        return entry if entry is not None else await self._cold(entry_id)

    async def put(self, entry_id: int, entry: Entry) -> None:
        """Keep an entry; see `Backend.put`."""
        if self._is_closed:
            return
        is_too_large = entry.size > self._max_bytes // 10
        if is_too_large or self._waiting_bytes + entry.size > _MAX_WAITING_BYTES:
            self.failed += not is_too_large
            await self.delete(entry_id)
            return
        self._forget_size(entry_id)
        self._sizes[entry_id] = entry.size
        self._bytes += entry.size
        self._hot.put_now(entry_id, entry)
        self._change(entry_id, entry)
        self._make_room()

    async def delete(self, entry_id: int) -> bool:
        """Forget an entry; see `Backend.delete`."""
        was_there = entry_id in self._sizes if self._is_known else await self.get(entry_id) is not None
        if was_there and not self._is_closed:
            self._drop(entry_id)
        return was_there

    async def clear(self, selection: Selection) -> int:
        """Forget some entries; see `Backend.clear`."""
        before = list(self._unwritten())
        found = set(await self._writer.run(lambda: self._written.select(selection)))
        for number, entry in (*before, *self._unwritten()):
            if entry is not None and selection.has(entry):
                found.add(number)
            else:
                found.discard(number)
        numbers = iter(found)
        while some := list(islice(numbers, _AT_ONCE)):
            for number in some:
                self._drop(number)
            await asyncio.sleep(0)
        return len(found)

    async def close(self) -> None:
        """Write what waits and close the file; see `Backend.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._settle()
        await self._reader.end(self._read.close)
        await self._writer.end(self._written.close)

    async def _cold(self, entry_id: int) -> Entry | None:
        """Return an entry that is not in memory, and have it there from now on."""
        for entries in (self._waiting, self._writing):
            if entry_id in entries:
                return entries[entry_id]
        entry = await self._read_one(entry_id)
        if entry is None or entry_id in self._waiting or entry_id in self._writing:
            return self._waiting.get(entry_id) or self._writing.get(entry_id)
        if not self._is_known or entry_id in self._sizes:
            self._hot.put_now(entry_id, entry)
            return entry
        return None

    async def _read_one(self, entry_id: int) -> Entry | None:
        try:
            return await self._reader.run(lambda: self._read.get(entry_id))
        except UnreadableEntryError:
            self.unreadable += 1
            if self.unreadable == 1:
                log.warning("an answer is forgotten: sealed with another `encryption_key`, or damaged")
            if entry_id not in self._waiting and entry_id not in self._writing and not self._is_closed:
                self._drop(entry_id)
            return None

    def _unwritten(self) -> Iterator[tuple[int, Entry | None]]:
        """Yield the changes that the file does not have yet, oldest first."""
        yield from list(self._writing.items())
        yield from list(self._waiting.items())

    def _begin(self) -> None:
        """Start the task that reads which entries there are and writes changes, unless it is at work."""
        if (self._work is None or self._work.done()) and not self._is_closed:
            self._work = asyncio.get_running_loop().create_task(self._run(), name="cache-file")

    async def _settle(self) -> None:
        """Wait until everything that was changed until now is in the file."""
        while self._work is not None and not self._work.done():
            await asyncio.wait((self._work,))
        if self._waiting or self._touched:
            self._work = asyncio.get_running_loop().create_task(self._run(), name="cache-file")
            await asyncio.wait((self._work,))

    async def _run(self) -> None:
        if not self._is_known:
            await self._learn()
        while self._waiting or self._touched:
            batch = dict(islice(self._waiting.items(), _BATCH))
            for number in batch:
                self._take_back(number)
            self._writing = batch
            touched, self._touched = self._touched, set()
            await self._write(batch, touched)
            self._writing = {}

    async def _learn(self) -> None:
        """Read which entries there are. What was changed meanwhile is newer than the file."""
        try:
            known, total = await self._writer.run(self._written.sizes)
        except StageUnavailableError as error:
            self._complain(f"what was cached is not known: {error}")
            known, total = OrderedDict(), 0
        for number in self._changed:
            total -= known.pop(number, 0)
        for number, size in self._sizes.items():
            known[number] = size
            total += size
        self._sizes, self._bytes = known, total
        self._is_known = True
        self._changed.clear()
        self._make_room()

    async def _write(self, batch: Mapping[int, Entry | None], touched: Iterable[int]) -> None:
        now = self._clock()
        try:
            expired = await self._writer.run(lambda: self._written.write(batch, touched, now))
            self._complaint = ""
        except StageUnavailableError as error:
            self.failed += sum(entry is not None for entry in batch.values())
            self._complain(f"{len(batch)} changes of the cache were not written: {error}")
            return
        for number in expired:
            if number not in self._waiting:
                self._forget_size(number)
                self._hot.delete_now(number)

    def _change(self, entry_id: int, entry: Entry | None) -> None:
        self._take_back(entry_id)
        self._waiting[entry_id] = entry
        self._waiting_bytes += 0 if entry is None else entry.size
        if not self._is_known:
            self._changed.add(entry_id)
        self._begin()

    def _take_back(self, entry_id: int) -> None:
        entry = self._waiting.pop(entry_id, None)
        if entry is not None:
            self._waiting_bytes -= entry.size

    def _drop(self, entry_id: int) -> None:
        self._forget_size(entry_id)
        self._hot.delete_now(entry_id)
        self._touched.discard(entry_id)
        self._change(entry_id, None)

    def _forget_size(self, entry_id: int) -> None:
        self._bytes -= self._sizes.pop(entry_id, 0)

    def _make_room(self) -> None:
        for _ in range(_AT_ONCE):  # more than that only where the bound was lowered
            if self._bytes <= self._max_bytes:
                return
            self._drop(next(iter(self._sizes)))

    def _touch(self, entry_id: int) -> None:
        self._sizes.move_to_end(entry_id)
        self._touched.add(entry_id)
        if len(self._touched) >= _MAX_TOUCHED:
            self._begin()

    def _complain(self, message: str) -> None:
        """Say what is wrong once until it is well again: a broken disk must not fill the log too."""
        reason = message.rpartition(": ")[2]
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s", message)
