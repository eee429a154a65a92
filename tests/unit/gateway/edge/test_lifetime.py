"""What a request leaves behind when it has ended: nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from gateway.domain.request import Shape
from gateway.edge.answer import exchange_of
from gateway.edge.lifetime import Lifetime
from gateway.edge.wire import SCOPE_KEY
from gateway.exchange import Exchange
from gateway.telemetry import Telemetry


class QuietWire:
    """A connection whose caller stays."""

    has_left = False

    def watch_this_task(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None
        return task

    def unwatch(self) -> None: ...


async def test_a_stream_that_waits_for_its_last_bytes_leaves_no_timer() -> None:
    seen: list[Exchange] = []

    class Route:
        shape: Shape = "chat"

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            exchange = exchange_of(scope)
            seen.append(exchange)

            async def close() -> None:
                exchange.patience.wait(60.0)
                exchange.patience.rest()

            exchange.on_close(close)

    current: Any = SimpleNamespace(telemetry=Telemetry())
    scope: Any = {"type": "http", "path": "/hot", "headers": [], "client": ("192.0.2.1", 1), SCOPE_KEY: QuietWire()}
    nothing: Any = None

    await Lifetime(nothing, current, {"/hot": Route()})(scope, nothing, nothing)

    assert seen[0].patience._handle is None
