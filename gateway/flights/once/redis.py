"""Answers by idempotency key on the Redis that replicas share: one hash a key, one script a verb."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.flights.once.base import Attached, New, Stored
from gateway.flights.once.memory import reused
from gateway.flights.records import Record
from gateway.flights.settings import IdempotencySettings
from gateway.redis.connection import Part, RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer

_LUA: Final = Path(__file__).parent.parent / "lua"
_BEGIN: Final = load_script(_LUA / "once_begin.lua")
_COMPLETE: Final = load_script(_LUA / "once_complete.lua")
_FAIL: Final = load_script(_LUA / "once_fail.lua")
_RENEW: Final = load_script(_LUA / "once_renew.lua")

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode


class RedisOnceStore:
    """Keeps answers on Redis, which drops them by itself.

    Args:
        connection: closed by its owner. It should not be the one that holds use: an answer may be megabytes long, and
            what shares its pipeline would wait. For a cluster, its slot key must be that of the organisation.
        organisation: whose requests.
        settings: how long and how much.
        sealer: seals answers, under a key that all replicas have.
    """

    def __init__(
        self, connection: RedisConnection, organisation: str, settings: IdempotencySettings, sealer: Sealer
    ) -> None:
        self._redis, self._sealer = connection, sealer
        self._redis.add_scripts((_BEGIN, _COMPLETE, _FAIL, _RENEW))
        self._prefix = f"{slot_key(organisation)}once:".encode()
        self._lease_ms = max(1, round(settings.lease_s * 1000))
        self._ttl_ms = max(1, round(settings.ttl_s * 1000))
        self._most_bytes = settings.record_mb * 2**20
        self.lost = 0

    async def begin(self, attempt: New) -> New | Attached | Stored:
        """Begin to answer a request; see `OnceStore.begin`."""
        begin = self._packed(_BEGIN, attempt, attempt.digest, attempt.token, self._lease_ms)
        found: list[Any] = await self._redis.call(begin, undo=lambda: self._packed(_FAIL, attempt, attempt.token))
        kind = found[0]
        if kind == 0:
            raise reused()
        if kind == 3:
            return self._stored(attempt, found[1])
        return attempt if kind == 1 else Attached()

    async def complete(self, attempt: New, record: Record) -> None:
        """Keep the answer; see `OnceStore.complete`."""
        if record.size <= self._most_bytes:
            sealed = self._sealer.seal(_encode(record), about=attempt.name)
            packed = self._packed(_COMPLETE, attempt, attempt.digest, sealed, self._ttl_ms)
            with suppress(StageUnavailableError):
                await self._redis.call(packed)
                return
        self.lost += 1
        await self.fail(attempt)

    async def fail(self, attempt: New) -> None:
        """Let the key go, as soon as Redis can be reached; see `OnceStore.fail`."""
        await self._redis.keep(self._packed(_FAIL, attempt, attempt.token))

    async def renew(self, attempt: New) -> bool:
        """Keep others waiting; see `OnceStore.renew`."""
        return bool(await self._redis.call(self._packed(_RENEW, attempt, attempt.token, self._lease_ms)))

    def _stored(self, attempt: New, sealed: bytes) -> Stored:
        packed = self._sealer.open(sealed, about=attempt.name)
        try:
            return Stored(_decode(packed or b""))
        except msgspec.DecodeError as error:  # sealed with another key, or written by another version of the gateway
            raise StageUnavailableError("the answer that is kept for this key cannot be read") from error

    def _packed(self, script: Script, attempt: New, *arguments: Part) -> bytes:
        return pack("EVALSHA", script.sha, 1, self._prefix + attempt.name.hex().encode(), *arguments)
