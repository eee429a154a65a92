"""POST /v1/chat/completions."""

from __future__ import annotations

from typing import Final

from litestar.types import Receive, Scope, Send

from gateway.domain.errors import GatewayError
from gateway.domain.money import format_usd
from gateway.edge.answer import JSON, Headers, allows, exchange_of, send_answer
from gateway.edge.current import Current
from gateway.edge.explain import explain_document, ExplainedStream, wants_explanation
from gateway.edge.sse import HEADERS, error_event
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, StreamReply

PATHS: Final = (
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/chat/completions/",
    "/chat/completions/",
)


class ChatRoute:
    """Answers chat requests, plain and streamed.

    Args:
        current: what is served.
    """

    def __init__(self, current: Current) -> None:
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "chat"
        if scope["method"] != "POST" and not await allows(scope, send, "POST"):  # type: ignore[typeddict-item]
            return
        reply = await self._current.version.pipeline.run(exchange)
        explain = wants_explanation(scope)
        if isinstance(reply, PlainReply):
            body = explain_document(reply.body, exchange) if explain else reply.body
            await send_answer(send, exchange, 200, _headers(exchange, reply), body)
        else:
            wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
            await _send_stream(send, exchange, ExplainedStream(reply, exchange) if explain else reply, wire)


async def _send_stream(send: Send, exchange: Exchange, stream: StreamReply, wire: Wire) -> None:
    """Send blocks of events as they come; after the first, a failure is an event and the end of the connection."""
    block = await stream.block()
    headers = _headers(exchange, stream)
    exchange.status = 200
    exchange.first_byte_s = exchange.elapsed_s
    headers[:1] = HEADERS
    headers.append((b"x-request-id", exchange.request_id.encode("ascii")))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while block is not None:
            await send({"type": "http.response.body", "body": block, "more_body": True})
            block = await stream.block()
    except GatewayError as error:
        exchange.error = error
        event = error_event(error, exchange.request_id)
        await send({"type": "http.response.body", "body": event, "more_body": True})
        wire.hang_up()
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(exchange: Exchange, reply: PlainReply | StreamReply) -> Headers:
    """Return the decisions about a request as headers, its content type first."""
    decision = exchange.decision
    assert decision is not None  # noqa: S101  an answer without a decision does not exist
    headers: Headers = [JSON, *reply.headers]
    if exchange.routed_model:
        headers.append((b"x-tierway-model", exchange.routed_model.encode("latin-1", "replace")))
    tier = f"{decision.tier or 'none'};{decision.confidence:.2f};{decision.reason}"
    headers.append((b"x-tierway-tier", tier.encode("ascii")))
    if exchange.hit is not None:
        headers.append((b"x-tierway-cache", f"hit;{exchange.hit.kind};1.00;{exchange.hit.age_s:.0f}".encode("ascii")))
    elif exchange.miss_reason != "off":
        headers.append((b"x-tierway-cache", f"miss;{exchange.miss_reason}".encode("ascii")))
    if isinstance(reply, PlainReply) and exchange.cost_microusd is not None:
        headers.append((b"x-tierway-cost", format_usd(exchange.cost_microusd).encode("ascii")))
    headers.append((b"x-tierway-overhead-ms", b"%.3f" % (exchange.overhead_s * 1000)))
    return headers
