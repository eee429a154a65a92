"""The stores of one process by itself: files beside the one that `state` names."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.experiments.feedback import Recollection
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.settings import IdempotencySettings
from gateway.state.base import State, StateSettings, stored_in
from gateway.state.cached import FileCacheStores, MemoryCacheStores, beside
from gateway.state.learning import FileLearning
from gateway.state.recovery import settle_recovered
from gateway.stored.sqlite import SqliteResponseStore
from policies.catalogue import open_key_store
from policies.stores.holds.journal import JournaledHoldStore
from policies.stores.ledgers.embedded import EmbeddedLedger


def open_embedded(settings: StateSettings) -> State:
    """Open every store; files that are there are read.

    Raises:
        JournalInUseError: another process has the files.
        OSError: they cannot be read or written.
        ValueError: one of them is of another kind.
    """
    path = Path(settings.address.partition(":///")[2])
    holds = JournaledHoldStore(path.with_suffix(".holds"), time.time, settings.on_expiry)
    ledger = EmbeddedLedger(path, retention_days=settings.ledger_days) if settings.ledger_days else None
    if ledger is not None:
        settle_recovered(holds, ledger)
    return State(
        keys=open_key_store(settings.address, settings.organisation),
        holds=holds,
        ledger=ledger,
        stored=stored_in(SqliteResponseStore(beside(path, "responses")), settings),
        learning=FileLearning(path.with_suffix(".router")),
        memory=Recollection(),
        once=MemoryOnceStore(IdempotencySettings()),
        cached=FileCacheStores(path, settings.sealer) if settings.encryption_key else MemoryCacheStores(),
    )
