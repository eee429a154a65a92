"""Everything that outlives a request, as one thing that is opened and closed."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Iterator
from typing import Any, Final, Protocol

import msgspec

from gateway.domain.secret import Secret
from gateway.experiments.feedback import Recollection
from gateway.experiments.shared import SharedRecollection
from gateway.flights.once.base import OnceStore
from gateway.sealing import Sealer
from gateway.state.cached import CacheStores
from gateway.state.learning import LearningStore
from gateway.stored.base import ResponseStore
from gateway.stored.memory import MemoryResponseStore
from gateway.stored.responses import StoredResponses
from policies.stores.holds.base import HoldStore, OnExpiry
from policies.stores.keys.base import KeyStore
from policies.stores.ledgers.base import Ledger

STORED_RESPONSES_BYTES: Final = 256 * 2**20
"""What responses may take in memory where no `encryption_key` allows them anywhere else."""

_PASSWORD: Final = re.compile(r"(?<=://)[^@/]*@")


class StateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be opened.

    Attributes:
        address: `state` of the settings.
        organisation: its name, under which several may share a Redis.
        on_expiry: what becomes of holds whose lease ended.
        encryption_key: what is kept of prompts and answers is sealed with it; None keeps that in memory.
        earlier_keys: what was sealed with one of these opens too.
        ledger_days: how long usage is kept, None for no ledger.
    """

    address: str
    organisation: str
    on_expiry: OnExpiry
    encryption_key: Secret | None
    ledger_days: int | None
    earlier_keys: tuple[Secret, ...] = ()

    def sealer(self, use: bytes) -> Sealer:
        """Return what seals and opens content of one use; without an `encryption_key`, for this process alone."""
        return Sealer(self.encryption_key, use, self.earlier_keys)

    def __repr__(self) -> str:  # the address may hold a password
        return f"StateSettings({shown_address(self.address)})"


class Sharing(Protocol):
    """Keeps this process known among those that share the state."""

    @property
    def count(self) -> int:
        """Return how many share it, this process included."""

    async def run(self) -> None:
        """Keep it known, until cancelled."""

    async def close(self) -> None:
        """Let the others know that it is gone."""


class State:
    """The stores of a running gateway.

    Attributes:
        keys: the stored keys.
        holds: what limits and budgets count.
        ledger: what was consumed; None where nobody wants to know.
        stored: responses and conversations.
        learning: what the router has learned.
        memory: requests that feedback may still come for.
        once: answers by idempotency key.
        cached: opens what a cache keeps, when there is one.
        replicas: who shares the state; None where nobody can.
    """

    def __init__(  # noqa: PLR0913  one argument a store
        self,
        *,
        keys: KeyStore,
        holds: HoldStore,
        ledger: Ledger | None,
        stored: StoredResponses,
        learning: LearningStore,
        memory: Recollection | SharedRecollection,
        once: OnceStore,
        cached: CacheStores,
        replicas: Sharing | None = None,
    ) -> None:
        self.keys, self.holds, self.ledger, self.stored, self.replicas = keys, holds, ledger, stored, replicas
        self.learning, self.memory, self.once, self.cached = learning, memory, once, cached

    def tasks(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what is to run beside requests."""
        yield self.stored.run()
        if self.ledger is not None:
            yield self.ledger.run()
        if self.replicas is not None:
            yield self.replicas.run()
        if isinstance(self.memory, SharedRecollection):
            yield self.memory.run()

    def complaints(self) -> Iterator[tuple[str, str]]:
        """Yield what does not work as it should, by part, and what happens instead."""
        if self.holds.complaint:
            yield "limits", self.holds.complaint
        if self.ledger is not None and self.ledger.complaint:
            yield "ledger", self.ledger.complaint

    def sharing(self) -> dict[str, Any]:
        """Say whether limits are counted for this process alone or for all that share the state."""
        if self.replicas is None:
            return {"counted": "local", "replicas": 1}
        return {"counted": "local" if self.holds.complaint else "shared", "replicas": self.replicas.count}

    async def close(self) -> None:
        """Write what waits to be written and let go of files and connections."""
        if isinstance(self.memory, SharedRecollection):
            await self.memory.flush()
        await self.stored.close()
        if self.replicas is not None:
            await self.replicas.close()
        await self.holds.close()
        if self.ledger is not None:
            await self.ledger.close()
        self.keys.close()


def shown_address(address: str) -> str:
    """Return an address without the user and password that may stand in it."""
    return _PASSWORD.sub("", address)


def stored_in(bindings: ResponseStore, settings: StateSettings) -> StoredResponses:
    """Keep bindings in a store, and contents there too where they can be sealed for good."""
    contents = bindings if settings.encryption_key else MemoryResponseStore(STORED_RESPONSES_BYTES)
    return StoredResponses(bindings, contents, settings.sealer(b"stored-responses"))
