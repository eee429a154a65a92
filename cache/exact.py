"""The exact cache: the same request again gets the same answer again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from cache.base import Backend, Entry, Hit, Selection, id_text, number_of, read_id
from cache.directives import lifetime_s
from cache.scope import Grounds, exact_key_of
from cache.settings import CacheSettings
from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted with an answer besides itself.

    Attributes:
        model: the requested one, and
        operation: `chat`, `responses` and so on; both pick how long it lives.
        tenant, scope, routed_model, cost_microusd: as in `Entry`.
    """

    model: str = ""
    operation: str = ""
    tenant: str = ""
    scope: bytes = b""
    routed_model: str = ""
    cost_microusd: int = 0


NOTHING_MORE: Final = About()


class ExactCache:
    """Looks up and keeps answers.

    Args:
        settings: scope and time to live.
        backend: where entries are kept.
        clock: seconds since the epoch, as entries outlive the process.
    """

    def __init__(self, settings: CacheSettings, backend: Backend, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._backend = backend
        self._clock = clock
        self._counts: Counter[str] = Counter()

    @property
    def settings(self) -> CacheSettings:
        """What it was made with."""
        return self._settings

    @property
    def kept_bytes(self) -> int:
        """About how much is kept."""
        return self._backend.bytes

    def counters(self) -> Mapping[str, int]:
        """Return what happened so far, by event; `failed` and `unreadable` are the store's."""
        return {**self._counts, "failed": self._backend.failed, "unreadable": self._backend.unreadable}

    def key_of(self, caller: Caller, request: ModelRequest, grounds: Grounds) -> bytes | None:
        """Return a request's key, the same whether it is streamed, or None when its answer is not kept."""
        return exact_key_of(caller, request, grounds)

    async def look_up(self, key: bytes, max_age_s: float | None = None) -> Hit | None:
        """Return an answer that is young enough.

        Args:
            key: of the request.
            max_age_s: the oldest answer that will do, seconds; an older one stays for others.
        """
        entry = await self._backend.get(number_of(key))
        if entry is None or (entry.key and entry.key != key):
            self._counts["miss"] += 1
            return None
        return await self._young_enough(number_of(key), entry, "exact", max_age_s)

    async def entry(
        self, entry_id: int, max_age_s: float | None = None, *, scope: bytes, similarity: float
    ) -> Hit | None:
        """Return an answer that was found by likeness, if it is still there, young enough, and of that scope."""
        entry = await self._backend.get(entry_id)
        if entry is None or entry.scope != scope:
            self._counts["miss"] += 1
            return None
        return await self._young_enough(entry_id, entry, "semantic", max_age_s, similarity)

    async def store(
        self, key: bytes, body: bytes, usage: Usage, answered_model: str, about: About | None = None
    ) -> Entry:
        """Keep an answer, and return its entry; the number is that of the key."""
        about = about or NOTHING_MORE
        now = self._clock()
        entry = Entry(
            body=body,
            usage=usage,
            answered_model=answered_model,
            stored_at=now,
            expires_at=now + lifetime_s(self._settings, key, about.model, about.operation),
            key=key,
            tenant=about.tenant,
            scope=about.scope,
            routed_model=about.routed_model,
            cost_microusd=about.cost_microusd,
        )
        await self._backend.put(number_of(key), entry)
        self._counts["stored"] += 1
        return entry

    async def delete(self, entry_id: str) -> bool:
        """Forget an entry by the id that callers see; False where there is none."""
        number = read_id(entry_id)
        return number is not None and await self.delete_number(number)

    async def delete_number(self, number: int) -> bool:
        """Forget an entry by its number; False where there is none."""
        is_deleted = await self._backend.delete(number)
        self._counts["deleted"] += is_deleted
        return is_deleted

    async def clear(self, selection: Selection) -> int:
        """Forget some entries; see `Backend.clear`."""
        cleared = await self._backend.clear(selection)
        self._counts["deleted"] += cleared
        return cleared

    async def close(self) -> None:
        """Let go of the backend."""
        await self._backend.close()

    async def _young_enough(
        self, number: int, entry: Entry, kind: str, max_age_s: float | None, similarity: float = 1.0
    ) -> Hit | None:
        now = self._clock()
        if now >= entry.expires_at:
            await self._backend.delete(number)
            self._counts["expired"] += 1
            return None
        age_s = max(now - entry.stored_at, 0.0)
        if max_age_s is not None and age_s > max_age_s:
            self._counts["too_old"] += 1
            return None
        self._counts["hit"] += 1
        return Hit(entry, kind, age_s, id_text(number), similarity)
