"""Answers on the Redis that replicas share, sealed there: any of them gives again what another has kept."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from cache.base import Entry, Selection, id_text
from cache.sealed import UnreadableEntryError, open_entry, seal_entry
from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import Part, RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer

log = logging.getLogger("tierway")

_T = TypeVar("_T")

_AT_ONCE: Final = 256
"""Entries dropped in one step: 1 to 2 ms (measured, Redis 7.0), for which every other caller of Redis waits."""

_LONGEST_S: Final = 1e11
"""What lives longer, three thousand years, lives as long as there is room; Redis takes no number beyond 64 bits."""

_OFF_LOOP_BYTES: Final = 32 << 10
"""Entries from this size are sealed and opened in a thread: sealing takes 10 us a KiB, and handing it over 60."""

_LUA: Final = Path(__file__).parent / "lua"


def _script(verb: str) -> Script:
    return load_script(_LUA / "entry.lua", _LUA / f"entry_{verb}.lua")


_PUT: Final = _script("put")
_GET: Final = _script("get")
_DELETE: Final = _script("delete")

_encode: Final = msgspec.msgpack.encode
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
        sealer: what they are sealed with, under a key that all replicas have. Who may have them, until when, and their
            sizes stand beside them as they are.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connection: RedisConnection,
        organisation: str,
        max_bytes: int,
        sealer: Sealer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.failed = self.unreadable = self.bytes = 0
        self._redis, self._max_bytes, self._sealer, self._clock = connection, max_bytes, sealer, clock
        self._redis.add_scripts((_PUT, _GET, _DELETE))
        prefix = f"{slot_key(organisation)}cache:"
        self._entry = prefix.encode() + b"entry:"
        self._indexes = tuple(f"{prefix}{index}".encode() for index in ("ends", "uses", "known", "sums"))
        self._complaint = ""

    async def get(self, entry_id: int) -> Entry | None:
        """Return an entry; see `Backend.get`."""
        name = id_text(entry_id)
        sealed = await self._run(_GET, name)
        if sealed is None:
            return None
        unseal = partial(open_entry, self._sealer, sealed, place=self._place(name))
        try:
            return await _here_or_off_loop(len(sealed), unseal)
        except UnreadableEntryError:
            self.unreadable += 1
            if self.unreadable == 1:
                log.warning("an answer is forgotten: sealed with another `encryption_key`, or damaged")
            await self._run(_DELETE, name)
            return None

    async def put(self, entry_id: int, entry: Entry) -> None:
        """Keep an entry; see `Backend.put`."""
        try:
            if entry.size > self._max_bytes // 10:
                await self._run(_DELETE, id_text(entry_id))
                return
            kept = await self._run(_PUT, *await self._put(id_text(entry_id), entry))
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

    def _place(self, name: str) -> bytes:
        return self._entry + name.encode()

    def _room(self) -> tuple[Part, ...]:
        return repr(self._clock()), self._max_bytes, _AT_ONCE

    async def _put(self, name: str, entry: Entry) -> tuple[Part, ...]:
        lives_s = max(0.001, entry.expires_at - self._clock())
        lives_ms = 0 if lives_s > _LONGEST_S else math.ceil(lives_s * 1000.0)
        labels = _encode((entry.tenant, entry.scope, entry.answered_model))
        seal = partial(seal_entry, self._sealer, entry, place=self._place(name))
        sealed = await _here_or_off_loop(entry.size, seal)
        return name, *self._room(), sealed, entry.size, labels, repr(entry.expires_at), lives_ms

    async def _run(self, script: Script, *arguments: Part) -> Any:
        count = len(self._indexes)
        return await self._redis.call(pack("EVALSHA", script.sha, count, *self._indexes, self._entry, *arguments))

    def _complain(self, message: str) -> None:
        """Say what is wrong once until it is well again: a lost Redis must not fill the log too."""
        reason = message.partition(": ")[2]
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s", message)


async def _here_or_off_loop(size: int, verb: Callable[[], _T]) -> _T:
    return verb() if size < _OFF_LOOP_BYTES else await asyncio.to_thread(verb)


def _is_of(selection: Selection, known: bytes) -> bool:
    tenant, scope, model = _labels(known.partition(b" ")[2])
    wanted = ((selection.tenant, tenant), (selection.scope, scope), (selection.answered_model, model))
    return all(asked in (None, told) for asked, told in wanted)
