"""Opens what the settings say of the cache, and keeps from one version of them to the next what did not change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from cache.backends.memory import MemoryBackend
from cache.base import Backend
from cache.exact import ExactCache
from cache.semantic.logs.base import EntryLog
from cache.semantic.settings import SemanticSettings
from cache.settings import CacheSettings, EmbeddingUpstream
from gateway.caching.silent_log import SilentLog
from gateway.caching.stage import CacheStage
from gateway.domain.secret import Secret
from gateway.embedding import SharedEmbedder, why_no_embedder
from gateway.experiments.allowance import Allowance, AllowedAsk, Ask, Ceiling
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from gateway.flights.shared import SharedFlights

if TYPE_CHECKING:
    from gateway.caching.likeness import Likeness

log = logging.getLogger("tierway")

MEGABYTE: Final = 2**20

_AUDIT_S: Final = 300.0
"""Seconds that an audit may take."""

_FORMAT: Final = "1"
"""Of what is kept: another one finds nothing of this one's."""


class Stores(Protocol):
    """Where answers outlive the process, and are shared by replicas; None stands for nowhere."""

    def open_answers(self, max_bytes: int) -> Backend | None:
        """Open what keeps answers, up to a number of bytes."""

    def open_entry_log(self) -> EntryLog | None:
        """Open what keeps what other questions find answers by."""

    def open_flights(self, local: Flights) -> SharedFlights | None:
        """Open what lets the requests of all replicas share calls."""


class Caches:
    """Builds a cache stage for each version of the settings, and runs what belongs to the one that is served.

    For one event loop, but for `stage`, which other threads may call, one at a time.

    Args:
        stores: keep what outlives the process.
        secret: makes the keys of answers such that nobody can tell from them, without it, whether a request that was
            guessed is among them; None where answers are kept in memory only.
        ask, ceiling: ask models for audits, and tell what that can cost.
        embedder: turns questions into vectors.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        secret: Secret | None,
        ask: Ask,
        ceiling: Ceiling,
        embedder: SharedEmbedder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores, self._ask, self._ceiling, self._embedder = stores, ask, ceiling, embedder
        self._clock = clock
        self._secret = blake2b(secret.material(), digest_size=32, person=b"cache keys").digest() if secret else b""
        self._built: tuple[CacheSettings, CacheStage] | None = None
        self._backend: tuple[int, Backend] | None = None
        self._local = Flights(FlightSettings())
        self._shared: SharedFlights | None = None
        self._likeness: Likeness | None = None
        self._running: asyncio.Task[None] | None = None

    def stage(self, settings: CacheSettings, *decisive: object) -> CacheStage:
        """Return the stage for a version of the settings; nothing runs before `serve`.

        Args:
            settings: of the cache.
            decisive: whatever else of the settings an answer depends on.

        Raises:
            ValueError: the semantic cache is insisted on, and cannot be had.
        """
        version = self._digest(decisive)
        if self._built is None or self._built[0] != settings:
            self._built = settings, self._build(settings, version)
        elif self._built[1].version != version:
            before = self._built[1]
            self._built = settings, CacheStage(before.cache, version, before.likeness, before.flights)
        return self._built[1]

    async def serve(self, stage: CacheStage) -> None:
        """Run what belongs to a stage in place of what ran before."""
        if stage.likeness is self._likeness and self._running is not None:
            return
        await self._stop()
        self._likeness = stage.likeness
        if stage.likeness is not None:
            self._running = asyncio.create_task(stage.likeness.run())

    async def close(self) -> None:
        """Stop what runs, write what waits, and let go of everything."""
        await self._stop()
        if self._shared is not None:
            await self._shared.close()
        await self._local.close()
        if self._backend is not None:
            await self._backend[1].close()

    def _build(self, settings: CacheSettings, version: str) -> CacheStage:
        why_not = why_not_semantic(settings)
        if why_not is not None and settings.semantic is True:
            raise ValueError(why_not)
        if not settings.exact:
            return CacheStage(None)
        exact = ExactCache(settings, self._open_backend(settings.max_mb * MEGABYTE), self._clock)
        if self._shared is None:
            self._shared = self._stores.open_flights(self._local)
        likeness = None if why_not is not None else self._make_likeness(settings, exact)
        if settings.semantic == "auto" and why_not is not None:
            log.info("answers are given to equal requests only: %s", why_not)
        return CacheStage(exact, version, likeness, self._shared or self._local)

    def _open_backend(self, max_bytes: int) -> Backend:
        if self._backend is not None and self._backend[0] == max_bytes:
            return self._backend[1]
        if self._backend is not None and not isinstance(self._backend[1], MemoryBackend):
            log.warning("a change of 'cache.max_mb' takes effect with the next start")
            return self._backend[1]
        backend = self._stores.open_answers(max_bytes) or MemoryBackend(max_bytes)
        self._backend = max_bytes, backend
        return backend

    def _make_likeness(self, settings: CacheSettings, exact: ExactCache) -> Likeness:
        # Imported here because numpy, onnxruntime and usearch take 0.2 s and 40 MB, and are an extra.
        from gateway.caching.audits import Audits  # noqa: PLC0415
        from gateway.caching.likeness import Likeness  # noqa: PLC0415

        allowance = Allowance(settings.audit_usd_per_day, self._clock)
        ask = AllowedAsk(self._ask, self._ceiling, allowance, _AUDIT_S)
        semantic = SemanticSettings(audit_share=settings.audit_share)
        if isinstance(settings.embedder, EmbeddingUpstream):
            semantic = msgspec.structs.replace(semantic, look_up_ms=settings.embedder.budget_ms)
        return Likeness(
            semantic,
            error_budget=settings.error_budget,
            exact=exact,
            open_embedder=partial(self._embedder.open, settings.embedder),
            open_log=lambda: self._stores.open_entry_log() or SilentLog(),
            audits=Audits(ask, allowance, settings.audit_judge),
        )

    def _digest(self, decisive: Sequence[object]) -> str:
        """Return what stands for all that an answer depends on besides its request; it tells nothing of secrets."""
        encoded = msgspec.json.encode((_FORMAT, decisive), enc_hook=_without_secrets, order="sorted")
        return blake2b(encoded, digest_size=16, key=self._secret).hexdigest()

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))


def why_not_semantic(settings: CacheSettings) -> str | None:
    """Return why there is no semantic cache though nothing is wrong with the settings; None where there is one."""
    if settings.semantic is False:
        return "'cache.semantic' is false"
    if not settings.exact:
        return "'cache.exact' is off, which keeps the answers"
    return why_no_embedder(settings.embedder)


def _without_secrets(value: Any) -> str:
    if isinstance(value, Secret):
        return ""
    raise NotImplementedError
