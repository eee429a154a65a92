"""A ledger on the local disk: records are appended to files that only grow, and moved into SQLite in the background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.sqlite.file import FILE_ERRORS
from gateway.sqlite.thread import FileThread, failure
from policies.segments import Segments, framed
from policies.stores.ledgers.base import Page, Selection, UsageQuery, UsageRecord, UsageRow, decode, encode
from policies.stores.ledgers.ledger_file import LedgerFile, LedgerWriter
from policies.stores.ledgers.retention import RETENTION_DAYS, prune_hourly
from policies.stores.ledgers.summing import BATCH, every_page

log = logging.getLogger("tierway")

MOVE_S: Final = 0.5
"""Seconds for which records gather before they are moved in one commit."""

LOSS_SHOWN_S: Final = 5.0
"""Seconds for which it is told that a record was lost: nothing announces that the next one would be kept."""

RETRY_S: Final = 5.0
"""Seconds between tries while they cannot be moved."""

_HELD_BACK_BYTES: Final = 8 << 20
"""How long a file grows while nothing can be moved, so that a broken disk is not filled with many small files."""

_FILE: Final = "the ledger's file"


class EmbeddedLedger:
    """Keeps records in `NAME.ledger.db`, and in `NAME.ledger/` until they are there. One process at a time.

    Appending is one write to a file, which a kill of the process does not undo; a power cut may lose the last half
    second. What a killed process left is moved when the ledger is opened again.

    Args:
        state: the file the gateway keeps its state in; the ledger stands beside it. Opening blocks: do it off the
            event loop.
        clock: seconds since the epoch.
        retention_days: how long records are kept.
        move_s: seconds for which records gather before they are moved.

    Raises:
        JournalInUseError: another ledger writes there.
        OSError: the folder cannot be made or read.
        ValueError: a file in it is of another kind or version.
    """

    def __init__(
        self,
        state: Path,
        clock: Callable[[], float] = time.time,
        *,
        retention_days: float = RETENTION_DAYS,
        move_s: float = MOVE_S,
    ) -> None:
        self.written = self.failed = 0
        self._complaint, self._lost_until = "", 0.0
        self._clock, self._retention_days, self._move_s = clock, retention_days, move_s
        self._moved = 0
        self._segments = Segments(folder_of(state))
        self._file = LedgerWriter(file_of(state))
        self._reader = LedgerReader(state)
        self._thread = FileThread("ledger", _FILE)
        self._mover: asyncio.Task[None] | None = None
        self._is_closed = False
        self._move(self._segments.number, has_ended=self._segments.begin())

    @property
    def lag(self) -> int:
        """Return how many records of this process wait to be moved into SQLite."""
        return self.written - self._moved

    @property
    def complaint(self) -> str:
        """Return why records cannot be moved, or that they are lost, empty when all is well."""
        is_losing = 0 < self._lost_until - self._clock() <= LOSS_SHOWN_S  # more after a clock has jumped back
        return self._complaint or ("usage cannot be written down, and is lost" if is_losing else "")

    async def append(self, record: UsageRecord) -> None:
        """Keep a record; see `Ledger.append`."""
        self.append_now(record)

    def append_now(self, record: UsageRecord) -> None:
        """Keep a record; see `Ledger.append`. It must be called in the event loop's thread."""
        if not self._segments.append(framed(encode(record))):
            self.failed += 1
            self._tell_of_loss()
            return
        self.written += 1
        if self._mover is None and not self._is_closed:
            self._mover = asyncio.get_running_loop().create_task(self._keep_moving(), name="ledger")

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up; see `LedgerView.usage`."""
        await self._catch_up()
        return await self._reader.usage(query)

    async def page(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Return some records; see `LedgerView.page`."""
        await self._catch_up()
        return await self._reader.page(selection, limit=limit, after=after)

    def records(self, since: float | None = None, until: float | None = None) -> AsyncIterator[list[UsageRecord]]:
        """Read records in batches; see `Ledger.records`."""
        selection = Selection(since=since, until=until)
        return every_page(lambda after: self.page(selection, limit=BATCH, after=after))

    def known(self, ids: Sequence[str]) -> list[UsageRecord]:
        """Return the records of these ids that a process before this one left. It blocks: for a start only.

        Raises:
            StageUnavailableError: the ledger cannot be read.
        """
        try:
            return self._file.of_ids(ids)
        except FILE_ERRORS as error:
            raise failure(_FILE, error) from error

    async def prune(self, before: float) -> int:
        """Forget old records; see `Ledger.prune`."""
        await self._catch_up()
        dropped = 0
        while some := await self._thread.run(lambda: self._file.drop_some(before)):
            dropped += some
        return dropped

    async def run(self) -> None:
        """Forget what is older than the retention, now and every hour, until cancelled."""
        await prune_hourly(self.prune, self._clock, self._retention_days)

    async def close(self) -> None:
        """Move what waits and let go of the files; twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._mover is not None:
            self._mover.cancel()
            await asyncio.wait((self._mover,))
        await self._flush()
        await self._reader.close()
        await self._thread.end(self._let_go)

    async def _keep_moving(self) -> None:
        """Move what gathers; this task ends when nothing is left, and the next record makes another."""
        while self.lag or self._complaint:
            await asyncio.sleep(RETRY_S if self._complaint else self._move_s)
            await self._flush()
        self._mover = None

    async def _catch_up(self) -> None:
        """Have everything that was appended until now moved, so that an answer has it.

        Raises:
            StageUnavailableError: it cannot be moved.
        """
        if self._is_closed:
            raise StageUnavailableError("the ledger is closed")
        await self._flush()
        if self._complaint:
            raise StageUnavailableError(self._complaint)

    async def _flush(self) -> None:
        """Move what was appended until now, unless all of it has been."""
        if not self.lag and not self._complaint:
            return
        number, written = self._segments.number, self.written
        is_held_back = bool(self._complaint) and self._segments.size < _HELD_BACK_BYTES
        has_ended = not is_held_back and self._segments.begin()
        if await self._thread.run(lambda: self._move(number, has_ended=has_ended)):
            self._moved = max(self._moved, written)

    def _move(self, number: int, *, has_ended: bool) -> bool:
        """Put the records of all files up to a number into SQLite, and drop those files that have ended."""
        try:
            self._file.add(self._records_until(number))
            self._segments.sync()
            if has_ended:
                self._segments.replace(number + 1, [])
        except (*FILE_ERRORS, ValueError) as error:
            self._complain(f"usage waits to be moved into the ledger: {type(error).__name__}")
            return False
        self._complain("")
        return True

    def _records_until(self, number: int) -> Iterator[UsageRecord]:
        first, _ = self._segments.snapshot(number)
        for one in range(first, number + 1):
            for encoded in self._segments.records(one):
                try:
                    yield decode(encoded)
                except msgspec.MsgspecError:
                    self.failed += 1
                    log.warning("%d bytes of a ledger's file are no record", len(encoded))

    def _let_go(self) -> None:
        self._file.close()
        try:
            self._segments.close()
        except OSError:
            log.exception("the ledger's files could not be put on the disk")

    def _tell_of_loss(self) -> None:
        now = self._clock()
        if now >= self._lost_until:
            log.warning("usage cannot be written down, and is lost")
        self._lost_until = now + LOSS_SHOWN_S

    def _complain(self, complaint: str) -> None:
        """Say what is wrong once until it is well again: a broken disk must not fill the log too."""
        if complaint and complaint != self._complaint:
            log.warning("%s", complaint)
        self._complaint = complaint


class LedgerReader:
    """Reads what stands in SQLite, beside the process that writes it or without one; see `LedgerView`.

    It changes no record. What was appended within the last half second may not be there yet.

    Args:
        state: the file the gateway keeps its state in.
    """

    def __init__(self, state: Path) -> None:
        self._file = LedgerFile(file_of(state))
        self._thread = FileThread("ledger-reader", _FILE)

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up; see `LedgerView.usage`."""
        return await self._thread.run(lambda: self._file.usage(query))

    async def page(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Return some records; see `LedgerView.page`."""
        return await self._thread.run(lambda: self._file.page(selection, limit, after))

    async def close(self) -> None:
        """Close the file; twice is harmless."""
        await self._thread.end(self._file.close)


def folder_of(state: Path) -> Path:
    """Return where records wait that are not yet in SQLite."""
    return state.with_name(f"{state.stem}.ledger")


def file_of(state: Path) -> Path:
    """Return the SQLite file of a ledger."""
    return state.with_name(f"{state.stem}.ledger.db")
