"""A ledger on Redis, one stream for all replicas: entries stand in the order in which they came."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.redis.connection import RedisConnection, load_script, pack
from gateway.redis.slot import slot_key
from policies.stores.ledgers.base import (
    BadCursorError,
    Page,
    Selection,
    UsageQuery,
    UsageRecord,
    UsageRow,
    decode,
    encode,
)
from policies.stores.ledgers.retention import DAY_S, RETENTION_DAYS, prune_hourly
from policies.stores.ledgers.summing import BATCH, Sums, every_page
from policies.windows import milliseconds

REMEMBERED_MS: Final = 3_600_000
"""How long an id is remembered. A record comes twice when its answer was lost with the connection; after an outage of
more than an hour those few that were under way when it began may then be recorded twice."""

TRIMMED_AT_ONCE: Final = 10_000
"""Entries that one step of pruning drops at most, so that Redis answers others in between."""

_DAY_MS: Final = 86_400_000
_APPEND: Final = load_script(Path(__file__).parent.parent / "lua" / "ledger_append.lua")


class RedisLedger:
    """Keeps records on a Redis that replicas share; see `Ledger`.

    While Redis is out of reach records wait in the connection's backlog, which the end of the process loses. An entry
    takes about 210 bytes of Redis's memory, and 120 more for as long as its id is remembered.

    Args:
        connection: closed with the ledger, so that stores which share it are to be closed before. For a cluster, its
            slot key must be that of the organisation.
        organisation: whose records; see `slot_key`.
        clock: seconds since the epoch.
        retention_days: how long records are kept.
    """

    def __init__(
        self,
        connection: RedisConnection,
        organisation: str,
        clock: Callable[[], float] = time.time,
        *,
        retention_days: float = RETENTION_DAYS,
    ) -> None:
        self.written = self.failed = 0
        self._redis, self._clock, self._retention_days = connection, clock, retention_days
        connection.add_scripts((_APPEND,))
        prefix = slot_key(organisation)
        self._stream, self._state, self._marker = f"{prefix}ledger", f"{prefix}ledger:state", f"{prefix}ledger:id:"

    @property
    def lag(self) -> int:
        """Return how many commands wait for a connection, those of other stores among them."""
        return self._redis.queued

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        return f"{self.lag} writes wait for Redis" if self.lag else ""

    async def append(self, record: UsageRecord) -> None:
        """Keep a record; see `Ledger.append`."""
        await self.append_now(record)

    def append_now(self, record: UsageRecord) -> asyncio.Future[Any]:
        """Send a record with the pipeline of this turn of the loop; see `Ledger.append_now`."""
        at_ms = max(1, milliseconds(record.at)) if math.isfinite(record.at) else 1  # no entry may be 0-0
        keys = (f"{self._marker}{record.id}", self._stream, self._state)
        kept = self._redis.keep(pack("EVALSHA", _APPEND.sha, 3, *keys, encode(record), at_ms, REMEMBERED_MS))
        kept.add_done_callback(self._count)
        return kept

    def _count(self, kept: asyncio.Future[Any]) -> None:
        # Without an answer it waits in the backlog, or was refused.
        if kept.cancelled() or (kept.result() is None and not self._redis.queued):
            self.failed += 1
        else:
            self.written += 1

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up, batch by batch in a thread; see `LedgerView.usage`."""
        sums, place = Sums(query), ""
        end = await self._end(query)
        while True:
            entries = await self._entries(query, place, end, BATCH)
            if entries:
                await asyncio.to_thread(lambda entries=entries: sums.add(_records(entries)))  # type: ignore[misc]
            if len(entries) < BATCH:
                return sums.rows()
            place = entries[-1][0].decode()

    async def page(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Return some records, by the time at which they came; see `LedgerView.page`."""
        if after and not after.replace("-", "", 1).isdecimal():
            raise BadCursorError("no page was named so")
        found: list[UsageRecord] = []
        end = await self._end(selection)
        while True:
            entries = await self._entries(selection, after, end, min(BATCH, limit - len(found)))
            if not entries:
                return Page(found, "")
            records = await asyncio.to_thread(_records, entries)
            found += filter(selection.admits, records)
            after = entries[-1][0].decode()
            if len(found) >= limit:
                return Page(found, after)

    def records(self, since: float | None = None, until: float | None = None) -> AsyncIterator[list[UsageRecord]]:
        """Read records in batches; see `Ledger.records`."""
        selection = Selection(since=since, until=until)
        return every_page(lambda after: self.page(selection, limit=BATCH, after=after))

    async def prune(self, before: float) -> int:
        """Forget old records; see `Ledger.prune`. Those that came late stay until then."""
        before_ms = max(0, milliseconds(before))
        days = [int(day) for day in await self._redis.call(pack("HKEYS", self._state)) if day.isdigit()]
        old = [str(day) for day in days if (day + 1) * DAY_S <= before]
        dropped, trim = 0, ("XTRIM", self._stream, "MINID")
        while some := await self._redis.call(pack(*trim, "~", before_ms, "LIMIT", TRIMMED_AT_ONCE)):
            dropped += int(some)
        dropped += int(
            await self._redis.call(pack(*trim, before_ms))
        )  # the rest of the oldest node, 100 entries at most
        if old:
            await self._redis.call(pack("HDEL", self._state, *old))
        return dropped

    async def run(self) -> None:
        """Forget what is older than the retention, now and every hour, until cancelled."""
        await prune_hourly(self.prune, self._clock, self._retention_days)

    async def close(self) -> None:
        """Send what waits, for two seconds at most, and disconnect; twice is harmless."""
        await self._redis.close()

    async def _end(self, selection: Selection) -> str:
        """Return up to where records of before a moment may stand: the latest of their days came so late."""
        if selection.until is None:
            return "+"
        until_ms = max(0, milliseconds(selection.until))
        pairs = await self._redis.call(pack("HGETALL", self._state))
        state = dict(zip(pairs[::2], pairs[1::2], strict=True)) if isinstance(pairs, list) else pairs
        first_day = 0 if selection.since is None else milliseconds(selection.since) // _DAY_MS
        late = [int(ms) for day, ms in state.items() if day.isdigit() and first_day <= int(day) <= until_ms // _DAY_MS]
        return str(until_ms + max(late, default=0))

    async def _entries(self, selection: Selection, after: str, end: str, count: int) -> list[Any]:
        since_ms = 0 if selection.since is None else max(0, milliseconds(selection.since))
        start = f"({after}" if after else str(since_ms)
        entries: list[Any] = await self._redis.call(pack("XRANGE", self._stream, start, end, "COUNT", count))
        return entries


def _records(entries: list[Any]) -> list[UsageRecord]:
    """Decode entries; what is no record of this version is left out."""
    records = []
    for _, fields in entries:
        try:
            records.append(decode(fields[1]))
        except msgspec.MsgspecError:
            continue
    return records
