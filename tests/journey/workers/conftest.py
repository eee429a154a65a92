"""Gateways of several workers, on a Redis of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.live import LiveGateway
from tests.support.redis_server import RedisServer

StartWorkers = Callable[..., LiveGateway]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """Run a Redis for one test."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def start_workers(start_gateway: StartGateway, redis: RedisServer) -> StartWorkers:
    """Start a gateway of two workers with these settings."""

    def start(settings: dict[str, Any]) -> LiveGateway:
        return start_gateway({**settings, "state": redis.url}, arguments=["--workers", "2"])

    return start
