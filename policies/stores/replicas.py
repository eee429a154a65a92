"""How many processes share the limits: each says once a second on Redis that it lives."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import RedisConnection, load_script, pack
from gateway.redis.slot import slot_key

log = logging.getLogger("tierway")

BEAT_S: Final = 1.0
"""Seconds between two heartbeats."""

GONE_S: Final = 5.0
"""Seconds after which a process that was not heard is taken for gone: longer than a lost connection takes to be made
again (`LONGEST_PAUSE_S` and its connect timeout, with a beat)."""

CAREFUL_BEATS: Final = 5
"""Beats after an outage in which the count may not fall: the others need as long to be heard again (`GONE_S`)."""

_BEAT: Final = load_script(Path(__file__).parent / "lua" / "beat.lua")


class Replicas:
    """Counts the processes that share an organisation's limits on one Redis.

    While Redis is lost the count stays as it was. A process that comes to an end in silence counts for `GONE_S`.

    Args:
        connection: not closed with this.
        organisation: whose limits.

    Attributes:
        count: processes heard within `GONE_S`, this one among them; >= 1.
        wipes: how often Redis came back without what it had known.
    """

    def __init__(self, connection: RedisConnection, organisation: str) -> None:
        self._redis = connection
        self._redis.add_scripts((_BEAT,))
        prefix = slot_key(organisation).encode()
        self._replicas, self._origin = prefix + b"replicas", prefix + b"origin"
        self._name = os.urandom(8).hex()
        self._known_origin: bytes | None = None
        self._beats = self._careful = 0
        self.count = 1
        self.wipes = 0

    @property
    def is_known(self) -> bool:
        """Tell whether the count can be trusted: from the second beat on, when all that live have had their turn."""
        return self._beats > 1

    async def beat(self) -> None:
        """Say that this process lives, and count; changes nothing while Redis is lost. Never raises."""
        beat = pack(
            "EVALSHA", _BEAT.sha, 2, self._replicas, self._origin, self._name, int(GONE_S * 1000), os.urandom(8).hex()
        )
        try:
            count, origin = await self._redis.call(beat)
        except StageUnavailableError:
            self._careful = CAREFUL_BEATS
            return
        if self._known_origin not in (None, origin):
            self.wipes += 1
            self._careful = CAREFUL_BEATS
            log.warning("Redis came back without what it knew: limits and budgets count from zero, its keys are gone")
        self._known_origin = origin
        self.count = max(self.count, count) if self._careful else count
        self._careful = max(0, self._careful - 1)
        self._beats += 1

    async def run(self) -> None:
        """Beat every `BEAT_S` seconds until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_S)

    async def close(self) -> None:
        """Leave, so that the others share without this process at once; to be called before the connection closes."""
        with suppress(StageUnavailableError):
            await self._redis.call(pack("ZREM", self._replicas, self._name))
