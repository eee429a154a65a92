"""Records on the Redis that replicas share: any of them finds what another has put."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import Part, RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key
from gateway.stored.base import Record, is_sound

log = logging.getLogger("tierway")

_AT_ONCE: Final = 256
"""Records dropped in one step: 1 to 2 ms (measured, Redis 7.0), for which every other caller of Redis waits."""

_LONGEST_S: Final = 1e11
"""What lives longer, three thousand years, is kept until a sweep drops it; Redis takes no number beyond 64 bits."""

_LUA: Final = Path(__file__).parent / "lua"


def _script(verb: str) -> Script:
    return load_script(_LUA / "record.lua", _LUA / f"record_{verb}.lua")


_PUT: Final = _script("put")
_TRIM: Final = _script("trim")
_DELETE: Final = _script("delete")
_SWEEP: Final = _script("sweep")

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode


class RedisResponseStore:
    """Keeps records on Redis; what was put first goes first beyond the bound.

    Redis drops a record by itself when it expires, after as long as it had to live by this process's clock when it was
    put: the clocks of gateways and of Redis need not agree. A sweep takes what is still known of it.

    Args:
        connection: closed with the store. It should not be the one that holds use: a record may be megabytes long, and
            what shares its pipeline would wait. For a cluster, its slot key must be that of the organisation.
        organisation: whose records.
        clock: seconds since the epoch.
        max_bytes: the bound over all records. A record larger than that is not kept.
    """

    def __init__(
        self,
        connection: RedisConnection,
        organisation: str,
        clock: Callable[[], float] = time.time,
        *,
        max_bytes: int = 1 << 30,
    ) -> None:
        self._redis, self._clock, self._max_bytes = connection, clock, max_bytes
        self._redis.add_scripts((_PUT, _TRIM, _DELETE, _SWEEP))
        prefix = f"{slot_key(organisation)}responses:"
        self._record = prefix.encode() + b"record:"
        self._indexes = tuple(f"{prefix}{index}".encode() for index in ("ends", "order", "sizes", "sums"))
        self._complaint = ""
        self.failed = 0

    async def put(self, record: Record) -> None:
        """Keep a record; see `ResponseStore.put`."""
        if record.size > self._max_bytes or not record.is_sound or math.isnan(record.expires_at):
            self._lose(record, "too large, or not text")
            return
        now = self._clock()
        room = (repr(now), self._max_bytes, _AT_ONCE)
        lives_s = max(0.001, record.expires_at - now)
        lives_ms = 0 if lives_s > _LONGEST_S else math.ceil(lives_s * 1000.0)
        ends_at = repr(record.expires_at)
        try:
            kept = await self._run(_PUT, *room, record.id, _encode(record), record.size, ends_at, lives_ms)
            while kept > self._max_bytes:
                kept = await self._run(_TRIM, *room)
            self._complaint = ""
        except StageUnavailableError as error:
            self._lose(record, str(error))

    async def get(self, record_id: str) -> Record | None:
        """Return a record; see `ResponseStore.get`."""
        if not is_sound(record_id):
            return None
        packed = await self._redis.call(pack("GET", self._record + record_id.encode()))
        record = None if packed is None else _decode(packed)
        return None if record is None or record.expires_at <= self._clock() else record

    async def delete(self, record_id: str) -> bool:
        """Forget a record; see `ResponseStore.delete`."""
        if not is_sound(record_id):
            return False
        return await self._run(_DELETE, repr(self._clock()), record_id) == 1

    async def sweep(self) -> int:
        """Drop what is still known of what has expired; see `ResponseStore.sweep`."""
        dropped, step, now = 0, _AT_ONCE, repr(self._clock())
        try:
            while step == _AT_ONCE:
                step = await self._run(_SWEEP, now, _AT_ONCE)
                dropped += step
        except StageUnavailableError as error:
            self._complain(f"expired records stay for now: {error}")
        return dropped

    async def close(self) -> None:
        """Disconnect; see `ResponseStore.close`."""
        await self._redis.close()

    async def _run(self, script: Script, *arguments: Part) -> int:
        count = len(self._indexes)
        return int(await self._redis.call(pack("EVALSHA", script.sha, count, *self._indexes, self._record, *arguments)))

    def _lose(self, record: Record, why: str) -> None:
        self.failed += 1
        self._complain(f"a record of {record.size} bytes was not kept: {why}")

    def _complain(self, message: str) -> None:
        """Say what is wrong once until it is well again: a lost Redis must not fill the log too."""
        reason = message.partition(": ")[2]
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s", message)
