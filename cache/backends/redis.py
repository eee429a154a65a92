"""Answers on the Redis that replicas share: any of them gives again what another has kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from cache.base import Entry, Selection, id_text
from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import Part, RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key

log = logging.getLogger("tierway")

_AT_ONCE: Final = 256
"""Entries dropped in one step: 1 to 2 ms (measured, Redis 7.0), for which every other caller of Redis waits."""

_LONGEST_S: Final = 1e11
"""What lives longer, three thousand years, lives as long as there is room; Redis takes no number beyond 64 bits."""

_LUA: Final = Path(__file__).parent / "lua"


def _script(verb: str) -> Script:
    return load_script(_LUA / "entry.lua", _LUA / f"entry_{verb}.lua")


_PUT: Final = _script("put")
_GET: Final = _script("get")
_DELETE: Final = _script("delete")

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Entry).decode
_Labels = tuple[str, bytes, str]
_labels: Final = msgspec.msgpack.Decoder(_Labels).decode


class RedisBackend:
    """Keeps entries on Redis, each with its own end; beyond the bound, what was not used for longest goes first.

    An entry ends after as long as it had to live by this process's clock when it was put: the clocks of gateways and of
    Redis need not agree. Each verb is one script, and so happens whole or not at all.

    Args:
        connection: closed with the backend. It should not be the one that holds use: an entry may be a megabyte long,
            and what shares its pipeline would wait. For a cluster, its slot key must be that of the organisation.
        organisation: whose answers.
        max_bytes: the bound over all entries.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connection: RedisConnection,
        organisation: str,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.failed = self.bytes = 0
        self._redis, self._max_bytes, self._clock = connection, max_bytes, clock
        self._redis.add_scripts((_PUT, _GET, _DELETE))
        prefix = f"{slot_key(organisation)}cache:"
        self._entry = prefix.encode() + b"entry:"
        self._indexes = tuple(f"{prefix}{index}".encode() for index in ("ends", "uses", "known", "sums"))
        self._complaint = ""

    async def get(self, entry_id: int) -> Entry | None:
        """Return an entry; see `Backend.get`."""
        packed = await self._run(_GET, id_text(entry_id))
        try:
            return None if packed is None else _decode(packed)
        except msgspec.DecodeError:  # written by another version of the gateway
            return None

    async def put(self, entry_id: int, entry: Entry) -> None:
        """Keep an entry; see `Backend.put`."""
        try:
            if entry.size > self._max_bytes // 10:
                await self._run(_DELETE, id_text(entry_id))
                return
            kept = await self._run(_PUT, *self._put(id_text(entry_id), entry))
            while kept > self._max_bytes:
                kept = await self._run(_PUT, "", *self._room(), "")
            self.bytes, self._complaint = kept, ""
        except StageUnavailableError as error:
            self.failed += 1
            self._complain(f"an answer of {entry.size} bytes was not kept: {error}")

    async def delete(self, entry_id: int) -> bool:
        """Forget an entry; see `Backend.delete`."""
        return bool(await self._run(_DELETE, id_text(entry_id)))

    async def clear(self, selection: Selection) -> int:
        """Forget some entries; see `Backend.clear`."""
        cleared, cursor = 0, b"0"
        while True:
            cursor, flat = await self._redis.call(pack("HSCAN", self._indexes[2], cursor, "COUNT", _AT_ONCE))
            chosen = [name for name, known in zip(flat[::2], flat[1::2], strict=True) if _is_of(selection, known)]
            for first in range(0, len(chosen), _AT_ONCE):  # a small hash is told whole, whatever COUNT says
                cleared += await self._run(_DELETE, *chosen[first : first + _AT_ONCE])
            if cursor == b"0":
                return cleared

    async def close(self) -> None:
        """Disconnect; see `Backend.close`."""
        await self._redis.close()

    def _room(self) -> tuple[Part, ...]:
        return repr(self._clock()), self._max_bytes, _AT_ONCE

    def _put(self, name: str, entry: Entry) -> tuple[Part, ...]:
        lives_s = max(0.001, entry.expires_at - self._clock())
        lives_ms = 0 if lives_s > _LONGEST_S else math.ceil(lives_s * 1000.0)
        labels = _encode((entry.tenant, entry.scope, entry.answered_model))
        return name, *self._room(), _encode(entry), entry.size, labels, repr(entry.expires_at), lives_ms

    async def _run(self, script: Script, *arguments: Part) -> Any:
        count = len(self._indexes)
        return await self._redis.call(pack("EVALSHA", script.sha, count, *self._indexes, self._entry, *arguments))

    def _complain(self, message: str) -> None:
        """Say what is wrong once until it is well again: a lost Redis must not fill the log too."""
        reason = message.partition(": ")[2]
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s", message)


def _is_of(selection: Selection, known: bytes) -> bool:
    tenant, scope, model = _labels(known.partition(b" ")[2])
    wanted = ((selection.tenant, tenant), (selection.scope, scope), (selection.answered_model, model))
    return all(asked in (None, told) for asked, told in wanted)
