"""Every cache the settings may ask for."""

from __future__ import annotations

from cache.backends.memory import MemoryBackend
from cache.exact import ExactCache
from cache.settings import CacheSettings


def build_cache(settings: CacheSettings) -> ExactCache | None:
    """Build the cache, or None when it is off."""
    return ExactCache(settings, MemoryBackend(settings.max_mb * 2**20)) if settings.exact else None
