"""A gateway under an organisation's rules, whose parts tests take away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.governed import governed
from tests.support.live import LiveGateway
from tests.support.redis_server import RedisServer
from tests.support.scripted_upstream import ScriptedUpstream

Govern = Callable[..., LiveGateway]


@pytest.fixture
def govern(start_gateway: StartGateway, upstream: ScriptedUpstream) -> Govern:
    """Start a gateway under an organisation's rules, before `upstream`; see `governed`."""

    def start(organisation: dict[str, Any], **sections: Any) -> LiveGateway:
        return start_gateway(governed(upstream.url, organisation, **sections))

    return start


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """Run a Redis that keeps what it knows over a restart."""
    with RedisServer(("appendonly yes", "appendfsync always")) as server:
        yield server
