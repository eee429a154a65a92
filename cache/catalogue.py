"""Every cache the settings may ask for."""

from __future__ import annotations

import time
from collections.abc import Callable

from cache.backends.memory import MemoryBackend
from cache.base import Backend
from cache.exact import ExactCache
from cache.settings import CacheSettings

MEGABYTE = 2**20


def build_cache(
    settings: CacheSettings, backend: Backend | None = None, clock: Callable[[], float] = time.time
) -> ExactCache | None:
    """Build the cache, or None when it is off.

    Args:
        settings: what to keep, and for how long.
        backend: where, this process's memory if it is not said. Of the others, `cache.backends.sqlite` keeps answers on
            one machine's disk, `cache.backends.redis` shares them between replicas.
        clock: seconds since the epoch.
    """
    if not settings.exact:
        return None
    return ExactCache(settings, backend or MemoryBackend(settings.max_mb * MEGABYTE), clock)
