"""A log on Redis, one stream for all replicas of an organisation. Plain Redis, 6.2 or newer."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from typing import Any, Final

from cache.semantic.events import Event, Written, decode, encode
from cache.semantic.logs.base import BATCH, MAX_EVENTS, Batch
from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import RedisConnection, pack
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer

log = logging.getLogger("tierway")

BLOCK_MS: Final = 250
"""How long Redis holds an idle read back before it answers with nothing."""

CUT_AT_ONCE: Final = 10_000
"""Entries that one step of trimming drops at most, so that Redis answers others in between."""

_BEGINNING: Final = "0-0"
_FIELD: Final = b"e"


class RedisEntryLog:
    """Keeps events on a Redis that replicas share; see `EntryLog`.

    While Redis is out of reach events wait in the connection's backlog, which the end of the process loses. How durable
    the stream is beyond that is up to the server's persistence. A deleted entry's event stays until it is cut, with its
    deletion after it.

    Events are sealed, for this stream: Redis numbers them, and each says itself which entry of which scope it is about.
    One that does not open is counted and left to those replicas that may have its key, until it is cut.

    Args:
        connection: sends events; closed with the log. For a cluster, its slot key must be that of the organisation.
        tail: reads them; closed with the log. It must be a connection of its own, as a read that waits holds up
            what shares its pipeline, and its command timeout must be longer than `BLOCK_MS`.
        organisation: whose entries; see `slot_key`.
        sealer: what events are sealed with, under a key that all replicas have.
        max_events: about how many the stream keeps.
    """

    def __init__(
        self,
        connection: RedisConnection,
        tail: RedisConnection,
        organisation: str,
        sealer: Sealer,
        *,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.written = self.failed = 0
        self._redis, self._tail, self._sealer, self._max_events = connection, tail, sealer, max_events
        self._stream = f"{slot_key(organisation)}semantic"
        self._place = self._stream.encode()
        self.origin = os.urandom(8)
        self._is_closed = False
        self._complaint = ""

    @property
    def complaint(self) -> str:
        """Return what is wrong; see `EntryLog.complaint`."""
        waiting = self._redis.queued
        return f"{waiting} entries of the cache wait for Redis" if waiting else self._complaint

    def append(self, event: Event) -> None:
        """Send an event with the pipeline of this turn of the loop; see `EntryLog.append`."""
        if self._is_closed:
            self.failed += 1
            return
        sealed = self._sealer.seal(encode(Written(self.origin, event)), about=self._place)
        add = ("XADD", self._stream, "MAXLEN", "~", self._max_events, "*", _FIELD, sealed)
        self._redis.keep(pack(*add)).add_done_callback(self._count)

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        """Read the stream from a position on; see `EntryLog.follow`."""
        position = _checked(position)
        is_told = False
        while not self._is_closed:
            entries = await self._read(position)
            if entries:
                position = entries[-1][0].decode()
            is_last = len(entries) < BATCH
            if entries or not is_told:
                is_told = is_told or is_last
                yield Batch(self._decoded(entries), position, is_last)

    async def trim(self, before: float) -> int:
        """Cut what is old; see `EntryLog.trim`."""
        dropped, cut = 0, ("XTRIM", self._stream, "MINID")
        before_ms = max(0, int(before * 1000))
        while some := int(await self._redis.call(pack(*cut, "~", before_ms, "LIMIT", CUT_AT_ONCE))):
            dropped += some
        # What is left to cut stands in the oldest node of the stream, of 100 entries at most.
        return dropped + int(await self._redis.call(pack(*cut, before_ms)))

    async def close(self) -> None:
        """Send what waits, for two seconds at most, and disconnect; see `EntryLog.close`."""
        self._is_closed = True
        await self._redis.close()
        await self._tail.close()

    async def _read(self, position: str) -> list[Any]:
        command = ("XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS", self._stream, position)
        try:
            reply = await self._tail.call(pack(*command))
        except StageUnavailableError:
            if self._is_closed:
                return []
            raise
        entries: list[Any] = reply[0][1] if reply else []
        return entries

    def _decoded(self, entries: list[Any]) -> list[Written]:
        found = [self._opened(fields[1]) for _, fields in entries]
        self.failed += found.count(None)
        return [written for written in found if written is not None]

    def _opened(self, sealed: bytes) -> Written | None:
        encoded = self._sealer.open(sealed, about=self._place)
        return None if encoded is None else decode(encoded)

    def _count(self, kept: asyncio.Future[Any]) -> None:
        if not kept.cancelled() and kept.result() is not None:
            self.written += 1
            self._complaint = ""
        elif not self._redis.queued:  # without an answer it waits in the backlog, or was refused
            self.failed += 1
            if not self._complaint:
                self._complaint = "Redis refuses entries of the cache"
                log.warning("%s", self._complaint)


def _checked(position: str) -> str:
    if not position:
        return _BEGINNING
    if not position.replace("-", "", 1).isdecimal():
        raise ValueError(f"{position!r} is no position of a stream")
    return position
