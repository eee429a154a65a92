"""GET /livez and /readyz."""

from __future__ import annotations

import datetime as dt
from typing import Any

from litestar.types import Receive, Scope, Send

from gateway.degradation import degradation
from gateway.edge.answer import allows, exchange_of, send_json
from gateway.edge.current import Current


class LiveRoute:
    """Says that the process answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "health"
        if await allows(scope, send, "GET"):
            await send_json(send, exchange, {"status": "live"})


class ReadyRoute:
    """Says whether the gateway takes new work, and what of it does not work as it should.

    Args:
        current: what is served.
    """

    def __init__(self, current: Current) -> None:
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "health"
        if await allows(scope, send, "GET"):
            status = 503 if self._current.draining else 200
            await send_json(send, exchange, self._state(), status)

    def _state(self) -> dict[str, Any]:
        current, version = self._current, self._current.version
        loaded_at = dt.datetime.fromtimestamp(version.loaded_at, dt.UTC)
        return {
            "status": "draining" if current.draining else "ready",
            "degraded": current.look(),
            "limits": current.state.sharing(),
            "when_lost": degradation(version.settings),
            "config": {
                "hash": version.fingerprint,
                "loaded_at": loaded_at.isoformat(timespec="seconds"),
                "error": current.reload_error,
            },
        }
