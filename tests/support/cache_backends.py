"""A maker for every backend of the cache: given a folder and a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cache.backends.memory import MemoryBackend
from cache.backends.redis import RedisBackend
from cache.backends.sqlite import SqliteBackend
from cache.base import Backend
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from tests.support.redis_server import shared_server
from tests.support.resilience import organisation_of
from tests.support.sealed import SEALER


def _redis(folder: Path, max_bytes: int) -> RedisBackend:
    organisation = organisation_of(folder)
    # Patient: on a busy machine a test's own work may hold up a pipeline.
    connection = RedisConnection(
        parse_address(shared_server().url),
        slot_key=slot_key(organisation),
        command_timeout_s=5.0,
        connect_timeout_s=5.0,
    )
    return RedisBackend(connection, organisation, max_bytes, SEALER)


BACKENDS: Final[Mapping[str, Callable[[Path, int], Backend]]] = {
    "memory": lambda folder, max_bytes: MemoryBackend(max_bytes),
    "sqlite": lambda folder, max_bytes: SqliteBackend(folder / "cache.db", max_bytes, SEALER),
    "redis": _redis,
}
"""By module of `cache.backends`."""
