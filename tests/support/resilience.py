"""Replicas on one Redis, as a gateway would make them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from policies.stores.debts import Debts
from policies.stores.holds.base import OnExpiry
from policies.stores.holds.redis import RedisHoldStore
from policies.stores.holds.resilient import ResilientHoldStore
from policies.stores.replicas import Replicas
from tests.support.redis_server import shared_server

PATIENT: dict[str, Any] = {"command_timeout_s": 5.0, "connect_timeout_s": 5.0}
"""For tests in which Redis is never lost: on a busy machine a test's own work may hold up a pipeline."""


def organisation_of(folder: Path) -> str:
    """Return an organisation that no other test's folder has."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]


class Replica:
    """What one process has: a connection, and what uses it.

    Args:
        options: as for `RedisConnection`.
    """

    def __init__(
        self,
        url: str,
        organisation: str = "acme",
        clock: Callable[[], float] = time.time,
        on_expiry: OnExpiry = "charge",
        **options: Any,
    ) -> None:
        self.connection = RedisConnection(parse_address(url), slot_key=slot_key(organisation), **options)
        self.primary = RedisHoldStore(self.connection, organisation, clock, on_expiry)
        self.replicas = Replicas(self.connection, organisation)
        self.debts = Debts(self.connection, organisation, clock)
        self.store = ResilientHoldStore(self.primary, self.replicas, self.debts, clock, on_expiry)

    async def close(self) -> None:
        await self.store.close()


async def acquaint(*replicas: Replica) -> None:
    """Let replicas know of each other."""
    for _ in range(3):
        for one in replicas:
            await one.replicas.beat()


def shared_resilient_store(folder: Path, clock: Callable[[], float], on_expiry: OnExpiry) -> ResilientHoldStore:
    """Make a store on the shared server, for the organisation of a folder."""
    return Replica(shared_server().url, organisation_of(folder), clock, on_expiry, **PATIENT).store
