"""The exact cache: the same request again gets the same answer again."""

from __future__ import annotations

import time
from collections.abc import Callable

from cache.base import Backend, Entry, Hit
from cache.key import exact_key
from cache.settings import CacheSettings
from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage


class ExactCache:
    """Looks up and keeps plain answers.

    Args:
        settings: scope and time to live.
        backend: where entries are kept.
        clock: seconds that never go back.
    """

    def __init__(self, settings: CacheSettings, backend: Backend, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._backend = backend
        self._clock = clock

    def key(self, caller: Caller, request: ModelRequest, tier: str | None) -> bytes | None:
        """Return the request's key, or None when its answer is not kept: streams are not, for now."""
        return None if request.stream else exact_key(self._settings, caller, request, tier)

    async def look_up(self, key: bytes) -> Hit | None:
        """Return an answer that is young enough."""
        entry = await self._backend.get(key)
        if entry is None:
            return None
        age_s = self._clock() - entry.stored_at
        if age_s >= self._settings.ttl_s:
            await self._backend.delete(key)
            return None
        return Hit(entry, "exact", age_s)

    async def store(self, key: bytes, body: bytes, usage: Usage, answered_model: str) -> None:
        """Keep an answer."""
        entry = Entry(body=body, usage=usage, answered_model=answered_model, stored_at=self._clock())
        await self._backend.put(key, entry)
