"""A fixture for every member of every seam. A member without one fails `tests/contract` and `tests/architecture`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.stored.base import ResponseStore
from gateway.stored.memory import MemoryResponseStore
from gateway.stored.redis import RedisResponseStore
from gateway.stored.sqlite import SqliteResponseStore
from gateway.upstreams.engines.http1 import Http1Engine
from gateway.upstreams.engines.httpx2 import Httpx2Engine, make_client
from gateway.upstreams.settings import AnthropicUpstream, EchoUpstream, OpenAIUpstream
from gateway.upstreams.transport import Engine
from policies.stores.holds.base import HoldStore, OnExpiry
from policies.stores.holds.journal import JournaledHoldStore
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.keys.base import KeyStore
from policies.stores.keys.memory import MemoryKeyStore
from policies.stores.keys.redis import RedisKeyStore
from policies.stores.keys.sqlite import SqliteKeyStore
from policies.stores.ledgers.base import Ledger
from policies.stores.ledgers.embedded import EmbeddedLedger
from policies.stores.ledgers.memory import MemoryLedger
from policies.stores.ledgers.redis import RedisLedger
from router.settings import RouterSettings
from tests.support.redis_server import shared_hold_store, shared_server
from tests.support.resilience import organisation_of, shared_resilient_store


class Origin:
    """Where an engine connects, and how.

    Attributes:
        connect_s: seconds for connecting and for waiting for a place.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        max_connections: int = 8,
        connect_s: float = 10.0,
    ) -> None:
        self.host, self.port, self.tls = host, port, tls
        self.max_connections, self.connect_s = max_connections, connect_s


def _http1(origin: Origin) -> Engine:
    return Http1Engine(
        origin.host,
        origin.port,
        tls=origin.tls,
        max_connections=origin.max_connections,
        connect_s=origin.connect_s,
    )


def _httpx2(origin: Origin) -> Engine:
    client = make_client(
        tls=origin.tls,
        max_connections=origin.max_connections,
        connect_s=origin.connect_s,
        http2=False,
        proxy=None,
    )
    scheme = "https" if origin.tls else "http"
    return Httpx2Engine(f"{scheme}://{origin.host}:{origin.port}", client)


ENGINES: Final[Mapping[str, Callable[[Origin], Engine]]] = {"http1": _http1, "httpx2": _httpx2}
"""By module of `gateway.upstreams.engines`."""

UPSTREAMS: Final[Mapping[type[Any], Callable[[str], Any]]] = {
    OpenAIUpstream: lambda url: OpenAIUpstream(base_url=url),
    AnthropicUpstream: lambda url: AnthropicUpstream(base_url=url),
    EchoUpstream: lambda url: EchoUpstream(),
}
"""By settings struct: the settings of an upstream, given the address of a scripted server that speaks its API."""

KEY_STORES: Final[Mapping[str, Callable[[Path], KeyStore]]] = {
    "memory": lambda folder: MemoryKeyStore(),
    "sqlite": lambda folder: SqliteKeyStore(folder / "keys.db"),
    "redis": lambda folder: RedisKeyStore(parse_address(shared_server().url), organisation_of(folder)),
}
"""By module of `policies.stores.keys`."""

HOLD_STORES: Final[Mapping[str, Callable[[Path, Callable[[], float], OnExpiry], HoldStore]]] = {
    "memory": lambda folder, clock, on_expiry: MemoryHoldStore(clock, on_expiry),
    "journal": lambda folder, clock, on_expiry: JournaledHoldStore(folder / "holds", clock, on_expiry),
    "redis": shared_hold_store,
    "resilient": shared_resilient_store,
}
"""By module of `policies.stores.holds`: a store with a clock and what becomes of holds whose lease ended."""


def _shared_response_store(folder: Path, clock: Callable[[], float], max_bytes: int) -> RedisResponseStore:
    organisation = organisation_of(folder)
    # Patient: on a busy machine a test's own work may hold up a pipeline.
    connection = RedisConnection(
        parse_address(shared_server().url),
        slot_key=slot_key(organisation),
        command_timeout_s=5.0,
        connect_timeout_s=5.0,
    )
    return RedisResponseStore(connection, organisation, clock, max_bytes=max_bytes)


RESPONSE_STORES: Final[Mapping[str, Callable[[Path, Callable[[], float], int], ResponseStore]]] = {
    "memory": lambda folder, clock, max_bytes: MemoryResponseStore(max_bytes, clock),
    "sqlite": lambda folder, clock, max_bytes: SqliteResponseStore(folder / "responses.db", clock, max_bytes=max_bytes),
    "redis": _shared_response_store,
}
"""By module of `gateway.stored`: a store with a clock, bounded to a number of bytes."""


def _shared_ledger(folder: Path, clock: Callable[[], float]) -> RedisLedger:
    organisation = organisation_of(folder)
    connection = RedisConnection(
        parse_address(shared_server().url),
        slot_key=slot_key(organisation),
        command_timeout_s=5.0,
        connect_timeout_s=5.0,
    )
    return RedisLedger(connection, organisation, clock)


LEDGERS: Final[Mapping[str, Callable[[Path, Callable[[], float]], Ledger]]] = {
    "memory": lambda folder, clock: MemoryLedger(clock),
    "embedded": lambda folder, clock: EmbeddedLedger(folder / "tierway.db", clock),
    "redis": _shared_ledger,
}
"""By module of `policies.stores.ledgers`: a ledger with a clock."""

STRATEGIES: Final[Mapping[str, RouterSettings]] = {
    "fixed": RouterSettings(strategy="fixed", tiers={"medium": ("m",)}, default_tier="medium"),
    "by_complexity": RouterSettings(strategy="by_complexity", tiers={"simple": ("s",), "complex": ("m",)}),
    "cheapest_healthy": RouterSettings(strategy="cheapest_healthy", tiers={"simple": ("s",), "complex": ("m",)}),
}
"""By name: settings that choose it."""
