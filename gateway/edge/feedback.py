"""POST /v1/feedback: what a caller says of an answer."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from litestar.types import Receive, Scope, Send

from gateway.domain.caller import Caller
from gateway.edge.answer import allows, exchange_of, send_json
from gateway.edge.body import read_body
from gateway.edge.current import Current
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.experiments.feedback import MOST_BODY_BYTES, Feedback, Taken, read_feedback
from gateway.settings import ServerSettings

_MOST_BODY_MB: Final = MOST_BODY_BYTES / 2**20


class Memory(Protocol):
    """What remembers requests: `Recollection`, or `SharedRecollection` between replicas."""

    async def take(self, caller: Caller, feedback: Feedback) -> Taken:
        """Join feedback with its request; see `Recollection.take`."""


class FeedbackRoute:
    """Takes feedback on requests of the caller's team, at `/v1/feedback` and `/feedback`.

    Args:
        current: what is served.
        memory: what remembers requests.
    """

    def __init__(self, current: Current, memory: Memory) -> None:
        self._current = current
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "feedback"
        if not await allows(scope, send, "POST"):
            return
        version = self._current.version
        caller = version.pipeline.authenticate(exchange)
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        body = await read_body(wire, receive, exchange.headers, _bounded(version.settings.server))
        taken = await self._memory.take(caller, feedback := read_feedback(body))
        await send_json(send, exchange, _document(feedback, taken))


def _bounded(server: ServerSettings) -> ServerSettings:
    """Return settings under which a body is no longer than feedback may be."""
    return msgspec.structs.replace(server, body_limit_mb=min(server.body_limit_mb, _MOST_BODY_MB))


def _document(feedback: Feedback, taken: Taken) -> dict[str, Any]:
    return {
        "object": "feedback",
        "request_id": feedback.request_id,
        "accepted": True,
        "score": feedback.score,
        "replaced": taken.replaced is not None,
        "comment": "ignored" if feedback.has_comment else None,
    }
