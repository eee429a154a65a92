"""Records in one SQLite file in WAL mode, behind one thread that writes what came in meanwhile in one commit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from gateway.domain.errors import StageUnavailableError
from gateway.sqlite.file import Connection, SqliteFile
from gateway.sqlite.thread import FileThread
from gateway.stored.base import Record, is_sound

log = logging.getLogger("tierway")

_T = TypeVar("_T")

_MIGRATIONS: Final = (
    """
    CREATE TABLE record (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        upstream TEXT NOT NULL,
        model TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        size INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX record_by_age ON record (created_at, size);
    CREATE INDEX record_by_end ON record (expires_at);
    """,
)
"""The statements that lead from each version of the schema to the next; the file's `user_version` counts them."""

_MAX_WAITING: Final = 4096
_MAX_WAITING_BYTES: Final = 64 << 20
"""Records, and bytes of them, that wait to be written before further ones are refused."""

_BATCH: Final = 256
"""Records of one commit: reads take turns with commits on the one thread and wait for no more than this."""

_EXPIRED_AT_ONCE: Final = 1000
"""Rows of one step of a sweep, for the same reason."""


class SqliteResponseStore:
    """Keeps records in a file of its own, which is made with the first of them; the oldest go first.

    A put waits in memory, where `get` sees it, until the thread is free: a few milliseconds, which a killed process
    loses. A crash of the process loses nothing that was committed; a power cut may lose the last commits, never the
    file's integrity (SQLite's `synchronous = NORMAL` in WAL mode).

    Args:
        path: where; its folder must exist. The file is readable by its owner only.
        clock: seconds since the epoch.
        max_bytes: the bound over all records. A record larger than that is not kept.
        max_records: the bound on their number.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        *,
        max_bytes: int = 1 << 30,
        max_records: int = 1_000_000,
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._thread = FileThread("responses", "the response store's file")
        self._file = _File(path, max_bytes, max_records)
        self._waiting: dict[str, Record] = {}
        self._writing: dict[str, Record] = {}
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._complaint = ""
        self._is_closed = False
        self.failed = 0

    async def put(self, record: Record) -> None:
        """Keep a record; see `ResponseStore.put`."""
        refusal = self._refusal(record)
        if refusal:
            self._lose([record], refusal)
            return
        self._take_back(record.id)
        self._waiting[record.id] = record
        self._waiting_bytes += record.size
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def get(self, record_id: str) -> Record | None:
        """Return a record; see `ResponseStore.get`."""
        record = self._waiting.get(record_id) or self._writing.get(record_id)
        if record is None and is_sound(record_id):
            record = await self._ask(lambda: self._file.get(record_id))
        return None if record is None or record.expires_at <= self._clock() else record

    async def delete(self, record_id: str) -> bool:
        """Forget a record; see `ResponseStore.delete`."""
        if not is_sound(record_id):
            return False
        now = self._clock()
        written_soon = self._writing.pop(record_id, None)
        unwritten = self._take_back(record_id) or written_soon
        # The thread works in order: a row that is being written is there when it is deleted.
        was_in_file = await self._ask(lambda: self._file.delete(record_id, now))
        return was_in_file if unwritten is None else unwritten.expires_at > now

    async def sweep(self) -> int:
        """Drop what has expired; see `ResponseStore.sweep`."""
        dropped, now = 0, self._clock()
        try:
            while step := await self._ask(lambda: self._file.expire(now)):
                dropped += step
            await self._ask(self._file.checkpoint)
        except StageUnavailableError as error:
            self._complain(f"expired records stay for now: {error}")
        return dropped

    async def close(self) -> None:
        """Write what waits and close the file; see `ResponseStore.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is not None:
            await asyncio.wait((self._writer,))  # unlike `await`, neither cancels it nor raises what it raised
        await self._thread.end(self._file.close)

    def _refusal(self, record: Record) -> str:
        if self._is_closed:
            return "the store is closed"
        if record.size > self._max_bytes or not record.is_sound:
            return "too large, or not text"
        is_full = len(self._waiting) >= _MAX_WAITING or self._waiting_bytes + record.size > _MAX_WAITING_BYTES
        return "the disk is too slow" if is_full else ""

    def _take_back(self, record_id: str) -> Record | None:
        record = self._waiting.pop(record_id, None)
        if record is not None:
            self._waiting_bytes -= record.size
        return record

    async def _write(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting.values(), _BATCH))
            self._writing = {record.id: record for record in batch}
            for record in batch:
                self._take_back(record.id)
            try:
                await self._thread.run(lambda batch=batch: self._file.put(batch))  # type: ignore[misc]
                self._complaint = ""
            except StageUnavailableError as error:
                self._lose(batch, str(error))
            self._writing = {}

    async def _ask(self, verb: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise StageUnavailableError("the store is closed")
        return await self._thread.run(verb)

    def _lose(self, records: Sequence[Record], why: str) -> None:
        self.failed += len(records)
        self._complain(f"{len(records)} records of {sum(one.size for one in records)} bytes were not kept: {why}")

    def _complain(self, message: str) -> None:
        """Say what is wrong once until it is well again: a broken disk must not fill the log too."""
        reason = message.rpartition(": ")[2]
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s", message)


class _File:
    """The file and what is known of it; every method belongs to the store's one thread.

    Methods fail as those of `SqliteFile` do.
    """

    def __init__(self, path: Path, max_bytes: int, max_records: int) -> None:
        self._file = SqliteFile(path, _MIGRATIONS, on_open=self._count)
        self._max_bytes = max_bytes
        self._max_records = max_records
        self._bytes = 0
        self._records = 0

    def put(self, records: Sequence[Record]) -> None:
        """Write records in one commit, and drop the oldest beyond the bounds."""

        def write(connection: Connection) -> None:
            for record in records:
                self._delete(connection, "id = ?", record.id)
                connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _to_row(record))
                self._records += 1
                self._bytes += record.size
            self._trim(connection)

        self._file.transact(write)

    def get(self, record_id: str) -> Record | None:
        """Read one record, expired or not."""
        query = "SELECT id, owner, upstream, model, created_at, expires_at, sealed FROM record WHERE id = ?"
        rows = self._file.rows(query, (record_id,))
        return Record(**dict(zip(Record.__struct_fields__, rows[0], strict=True))) if rows else None

    def delete(self, record_id: str, now: float) -> bool:
        """Delete one record; False when it is not there or had expired by `now`."""
        if not self._file.is_there:
            return False
        ends = self._file.transact(lambda connection: self._delete(connection, "id = ?", record_id))
        return any(end > now for end in ends)

    def expire(self, now: float) -> int:
        """Delete some of the records that have expired by `now`; returns how many that were."""
        if not self._file.is_there:
            return 0
        some = "rowid IN (SELECT rowid FROM record WHERE expires_at <= ? LIMIT ?)"
        return len(self._file.transact(lambda connection: self._delete(connection, some, now, _EXPIRED_AT_ONCE)))

    def checkpoint(self) -> None:
        """Empty the write-ahead log, which holds what was deleted since the last time."""
        if self._file.is_there:
            self._file.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; the next call would open it again."""
        self._file.close()

    def _count(self, connection: Connection) -> None:
        self._records, self._bytes = connection.execute("SELECT count(*), ifnull(sum(size), 0) FROM record").fetchone()

    def _delete(self, connection: Connection, which: str, *values: float | str) -> list[float]:
        """Delete the rows for which `which` holds, and return when they expire."""
        statement = f"DELETE FROM record WHERE {which} RETURNING expires_at, size"  # noqa: S608  conditions of this file
        rows = connection.execute(statement, values).fetchall()
        self._records -= len(rows)
        self._bytes -= sum(size for _, size in rows)
        return [end for end, _ in rows]

    def _trim(self, connection: Connection) -> None:
        while self._records > self._max_records or self._bytes > self._max_bytes:
            oldest = connection.execute("SELECT rowid FROM record ORDER BY created_at, rowid LIMIT 1").fetchone()
            self._delete(connection, "rowid = ?", *oldest)


def _to_row(record: Record) -> tuple[str | float | bytes, ...]:
    return (
        record.id, record.owner, record.upstream, record.model,
        record.created_at, record.expires_at, record.size, record.sealed,
    )  # fmt: skip
