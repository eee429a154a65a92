"""GET /metrics."""

from __future__ import annotations

from litestar.types import Receive, Scope, Send

from gateway.edge.answer import allows, exchange_of, send_answer
from gateway.telemetry import CONTENT_TYPE, Telemetry


class MetricsRoute:
    """Shows the counts in Prometheus's text format.

    Args:
        telemetry: whose counts.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "metrics"
        if await allows(scope, send, "GET"):
            headers = [(b"content-type", CONTENT_TYPE.encode("ascii"))]
            await send_answer(send, exchange, 200, headers, await self._telemetry.read())
