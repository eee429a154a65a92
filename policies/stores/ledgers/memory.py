"""A ledger in memory, for tests and for a process that keeps nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from itertools import islice

from policies.stores.ledgers.base import BadCursorError, Page, Selection, UsageQuery, UsageRecord, UsageRow, sound
from policies.stores.ledgers.retention import RETENTION_DAYS, prune_hourly
from policies.stores.ledgers.summing import BATCH, Sums, every_page


class MemoryLedger:
    """Keeps the newest records for the life of the process; see `Ledger`.

    Args:
        clock: seconds since the epoch.
        retention_days: how long records are kept.
        max_records: the bound on their number; the oldest go first.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        retention_days: float = RETENTION_DAYS,
        max_records: int = 100_000,
    ) -> None:
        self._clock, self._retention_days, self._max_records = clock, retention_days, max_records
        self._records: dict[str, UsageRecord] = {}
        self.written = self.failed = 0

    @property
    def lag(self) -> int:
        """Return 0: a record is in its last place at once."""
        return 0

    @property
    def complaint(self) -> str:
        """Return nothing: memory does not fail."""
        return ""

    async def append(self, record: UsageRecord) -> None:
        """Keep a record; see `Ledger.append`. The end of the process loses it."""
        self.append_now(record)

    def append_now(self, record: UsageRecord) -> None:
        """Keep a record; see `Ledger.append_now`."""
        self.written += 1
        self._records.setdefault(record.id, sound(record))
        if len(self._records) > self._max_records:
            del self._records[next(iter(self._records))]

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up; see `LedgerView.usage`."""
        sums = Sums(query)
        sums.add(self._records.values())
        return sums.rows()

    async def page(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Return some records; see `LedgerView.page`."""
        if after and not (after.isascii() and after.isdigit()):
            raise BadCursorError("no page was named so")
        meant = sorted(filter(selection.admits, self._records.values()), key=lambda one: (one.at, one.id))
        start = int(after or 0)
        found = list(islice(meant, start, start + limit))
        return Page(found, str(start + limit) if start + limit < len(meant) else "")

    def records(self, since: float | None = None, until: float | None = None) -> AsyncIterator[list[UsageRecord]]:
        """Read records in batches; see `Ledger.records`."""
        selection = Selection(since=since, until=until)
        return every_page(lambda after: self.page(selection, limit=BATCH, after=after))

    async def prune(self, before: float) -> int:
        """Forget old records; see `Ledger.prune`."""
        old = [record.id for record in self._records.values() if record.at < before]
        for record_id in old:
            del self._records[record_id]
        return len(old)

    async def run(self) -> None:
        """Forget what is older than the retention, now and every hour, until cancelled."""
        await prune_hourly(self.prune, self._clock, self._retention_days)

    async def close(self) -> None:
        """Nothing to let go of."""
