"""The stores of processes that share their state: everything on one Redis."""

from __future__ import annotations

import time
from typing import Final

from gateway.experiments.feedback import Recollection
from gateway.experiments.shared import SharedRecollection
from gateway.flights.once.base import OnceStore
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.once.redis import RedisOnceStore
from gateway.flights.settings import IdempotencySettings
from gateway.redis.address import RedisAddress, parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.state.base import State, StateSettings, stored_in
from gateway.state.cached import CacheStores, MemoryCacheStores, SharedCacheStores
from gateway.state.learning import SharedLearning
from gateway.stored.redis import RedisResponseStore
from policies.catalogue import open_key_store
from policies.stores.debts import Debts
from policies.stores.holds.redis import RedisHoldStore
from policies.stores.holds.resilient import ResilientHoldStore
from policies.stores.ledgers.redis import RedisLedger
from policies.stores.replicas import Replicas

_RECORDS_TIMEOUT_S: Final = 2.0
"""Stored responses may be megabytes long: they have a connection and a patience of their own."""


def open_shared(settings: StateSettings) -> State:
    """Prepare every store; each connects with its first call.

    Raises:
        ValueError: the address is none.
    """
    address, name = parse_address(settings.address), settings.organisation
    connection = RedisConnection(address, slot_key=slot_key(name))
    of_records = RedisConnection(address, slot_key=slot_key(name), command_timeout_s=_RECORDS_TIMEOUT_S)
    replicas = Replicas(connection, name)
    holds = ResilientHoldStore(
        RedisHoldStore(connection, name, time.time, settings.on_expiry),
        replicas,
        Debts(connection, name, time.time),
        time.time,
        settings.on_expiry,
    )
    return State(
        keys=open_key_store(settings.address, name),
        holds=holds,
        ledger=RedisLedger(connection, name, retention_days=settings.ledger_days) if settings.ledger_days else None,
        stored=stored_in(RedisResponseStore(of_records, name), settings),
        learning=SharedLearning(connection, name),
        memory=SharedRecollection(Recollection(), of_records, name),
        once=_once(of_records, settings),
        cached=_cached(address, connection, settings),
        replicas=replicas,
    )


def _once(connection: RedisConnection, settings: StateSettings) -> OnceStore:
    """Share answers by idempotency key where they can be sealed; keep them in this process elsewhere."""
    kept = IdempotencySettings()
    if settings.encryption_key is None:
        return MemoryOnceStore(kept)
    return RedisOnceStore(connection, settings.organisation, kept, settings.sealer(b"idempotency"))


def _cached(address: RedisAddress, connection: RedisConnection, settings: StateSettings) -> CacheStores:
    if settings.encryption_key is None:
        return MemoryCacheStores()
    return SharedCacheStores(address, connection, settings.organisation, settings.sealer)
