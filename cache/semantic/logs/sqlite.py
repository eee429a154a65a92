"""A log in one SQLite file in WAL mode, behind one thread that writes what came in meanwhile in one commit."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from cache.semantic.events import Deleted, Event, Stored, Written, decode, encode
from cache.semantic.logs.base import BATCH, MAX_EVENTS, Batch
from gateway.domain.errors import StageUnavailableError
from gateway.sealing import Sealer
from gateway.sqlite.file import Connection, SqliteFile
from gateway.sqlite.thread import FileThread

log = logging.getLogger("tierway")

_T = TypeVar("_T")

_MIGRATIONS: Final = (
    """
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        entry INTEGER,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX event_by_time ON event (at);
    CREATE INDEX event_by_entry ON event (entry) WHERE entry IS NOT NULL;
    """,
)
"""The statements that lead from each version of the schema to the next; the file's `user_version` counts them."""

MAX_WAITING: Final = 20_000
"""Events that wait to be written, about 17 MB, before further ones are lost."""

_COMMITTED_AT_ONCE: Final = 256
"""Events of one commit: reads take turns with commits on the one thread and wait for no more than this."""

_CUT_AT_ONCE: Final = 2000
"""Rows of one step of trimming, for the same reason."""


class SqliteEntryLog:
    """Keeps events in a file of its own, for one process; see `EntryLog`.

    An event waits in memory until the thread is free: a few milliseconds, which a killed process loses. A crash of the
    process loses nothing that was committed; a power cut may lose the last commits, never the file's integrity
    (SQLite's `synchronous = NORMAL` in WAL mode). What is deleted is overwritten.

    Args:
        path: where; its folder must exist. The file is readable by its owner only.
        sealer: what events are sealed with in the file, each for its number. Those that do not open are dropped.
        clock: seconds since the epoch.
        max_events: how many are kept; the oldest go first.
    """

    def __init__(
        self, path: Path, sealer: Sealer, clock: Callable[[], float] = time.time, *, max_events: int = MAX_EVENTS
    ) -> None:
        self.written = self.failed = 0
        self.origin = os.urandom(8)
        self._clock = clock
        self._thread = FileThread("entries", "the file of entries")
        self._file = _File(path, sealer, max_events)
        self._waiting: list[_Row] = []
        self._writer: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._complaint = ""
        self._is_closed = False

    @property
    def complaint(self) -> str:
        """Return why events are not kept; see `EntryLog.complaint`."""
        return self._complaint

    def append(self, event: Event) -> None:
        """Put an event in the next commit; see `EntryLog.append`."""
        if self._is_closed or len(self._waiting) >= MAX_WAITING:
            self._lose(1, "the log of entries is closed" if self._is_closed else "the disk is too slow")
            return
        self._waiting.append(_row(self._clock(), Written(self.origin, event)))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="entries")

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        """Read the file from a position on; see `EntryLog.follow`."""
        seq, is_told = _checked(position), False
        while not self._is_closed:
            news = self._news
            rows = await self._ask(lambda seq=seq: self._file.read(seq))  # type: ignore[misc]
            seq = rows[-1][0] if rows else seq
            is_last = len(rows) < BATCH
            if rows or not is_told:
                is_told = is_told or is_last
                yield Batch(self._sound(rows), str(seq), is_last)
            if is_last:
                await news.wait()

    async def trim(self, before: float) -> int:
        """Drop what is old; see `EntryLog.trim`."""
        dropped = 0
        while some := await self._ask(lambda: self._file.cut(before)):
            dropped += some
        return dropped

    async def close(self) -> None:
        """Write what waits and close the file; see `EntryLog.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is not None:
            await asyncio.wait((self._writer,))  # unlike `await`, neither cancels it nor raises what it raised
        self._tell()
        await self._thread.end(self._file.close)

    async def _write(self) -> None:
        while self._waiting:
            rows, self._waiting = self._waiting[:_COMMITTED_AT_ONCE], self._waiting[_COMMITTED_AT_ONCE:]
            try:
                await self._thread.run(lambda rows=rows: self._file.append(rows))  # type: ignore[misc]
            except StageUnavailableError as error:
                self._lose(len(rows), str(error))
                continue
            self.written += len(rows)
            self._complaint = ""
            self._tell()

    def _tell(self) -> None:
        """Wake who follows; whoever reads from now on waits for another event."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _ask(self, verb: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise StageUnavailableError("the log of entries is closed")
        return await self._thread.run(verb)

    def _sound(self, rows: Sequence[tuple[int, Written | None]]) -> list[Written]:
        sound = [written for _, written in rows if written is not None]
        self.failed += len(rows) - len(sound)
        return sound

    def _lose(self, count: int, why: str) -> None:
        """Count lost events, and say so once until it is well again: a broken disk must not fill the log too."""
        self.failed += count
        if why != self._complaint:
            self._complaint = why
            log.warning("entries of the cache are not kept: %s", why)


_Row = tuple[float, int | None, bytes, bool]
"""Time, entry, event, and whether the entry's earlier rows go."""


def _row(now: float, written: Written) -> _Row:
    event = written.event
    entry = event.entry_id if isinstance(event, Stored | Deleted) else None
    return now, entry, encode(written), isinstance(event, Deleted)


def _place(seq: int, entry: int | None) -> bytes:
    """Return what tells a row from every other, so that none opens in the place of another."""
    return f"{seq} {entry}".encode()


def _checked(position: str) -> int:
    if position and not (position.isascii() and position.isdecimal()):
        raise ValueError(f"{position!r} is no position of a file of entries")
    return int(position or 0)


class _File:
    """The file and how many rows it has; every method belongs to the log's one thread.

    Methods fail as those of `SqliteFile` do.
    """

    def __init__(self, path: Path, sealer: Sealer, max_events: int) -> None:
        self._file = SqliteFile(path, _MIGRATIONS, on_open=self._recount)
        self._sealer, self._max_events = sealer, max_events
        self._count = 0

    def append(self, rows: Sequence[_Row]) -> None:
        """Write rows in one commit, and drop the oldest beyond the bound."""

        def write(connection: Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")  # so that numbers are known before events are sealed for them
            (last,) = connection.execute("SELECT ifnull(max(seq), 0) FROM sqlite_sequence").fetchone()
            for seq, (at, entry, encoded, is_deletion) in enumerate(rows, start=last + 1):
                if is_deletion:
                    self._count -= connection.execute("DELETE FROM event WHERE entry = ?", (entry,)).rowcount
                sealed = self._sealer.seal(encoded, about=_place(seq, entry))
                connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (seq, at, entry, sealed))
                self._count += 1
            excess = self._count - self._max_events
            if excess > 0:
                self._drop(connection, "seq IN (SELECT seq FROM event ORDER BY seq LIMIT ?)", excess)

        self._file.transact(write)

    def read(self, after: int) -> list[tuple[int, Written | None]]:
        """Read some rows after a number, oldest first; None, once, for one that is no event or does not open.

        A file that is damaged, or of a newer version, is begun anew: answers are asked for again.
        """
        query = "SELECT seq, entry, sealed FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = [(row[0], self._opened(*row)) for row in self._file.rows_or_anew(query, (after, BATCH))]
        unsound = [seq for seq, written in rows if written is None]
        if unsound:
            self._file.transact(lambda connection: [self._drop(connection, "seq = ?", seq) for seq in unsound])
        return rows

    def cut(self, before: float) -> int:
        """Drop some of the rows from before a moment; returns how many that were."""
        some = "seq IN (SELECT seq FROM event WHERE at < ? LIMIT ?)"
        return self._file.transact(lambda connection: self._drop(connection, some, before, _CUT_AT_ONCE))

    def close(self) -> None:
        """Close the file; the next call would open it again."""
        self._file.close()

    def _recount(self, connection: Connection) -> None:
        (self._count,) = connection.execute("SELECT count(*) FROM event").fetchone()

    def _opened(self, seq: int, entry: int | None, sealed: bytes) -> Written | None:
        encoded = self._sealer.open(sealed, about=_place(seq, entry))
        return None if encoded is None else decode(encoded)

    def _drop(self, connection: Connection, which: str, *values: float) -> int:
        dropped = connection.execute(f"DELETE FROM event WHERE {which}", values).rowcount  # noqa: S608  conditions of this file
        self._count -= dropped
        return dropped
