"""Requests to models: chat, Responses, Messages, embeddings and legacy completions, all answered the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

import msgspec
from litestar.types import Receive, Scope, Send

from cache.base import Hit
from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.errors import GatewayError
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.money import format_usd
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.responses import read_compact, read_input_tokens, read_responses
from gateway.edge.answer import (
    JSON,
    Headers,
    allows,
    answer_at_once,
    exchange_of,
    guard_lines,
    id_lines,
    send_answer,
)
from gateway.edge.body import read_body
from gateway.edge.current import Current
from gateway.edge.deadline import seconds_allowed
from gateway.edge.explain import ExplainedStream, explain_document
from gateway.edge.limits import with_limits
from gateway.edge.sse import HEADERS, error_event
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.edge.wishes import wishes_of
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, StreamReply

_MOST_DROPPED: Final = 1024
"""Bytes of the list of members that a translated request lost; long conversations may repeat one many times."""

_REPLAYED: Final = (b"idempotent-replayed", b"true")
"""As Stripe says it (docs.stripe.com/api/idempotent_requests, 2026-11)."""

_UNPRINTABLE: Final = re.compile(r"[^ -~]")
"""What a header's value must not hold, and callers may have in the names of members."""


class Operation(msgspec.Struct, frozen=True):
    """One operation on a model.

    Attributes:
        path: where it is, with `/v1` before it and without.
        name: in metrics and logs.
        read: makes a request of its body.
        shape: of its request.
    """

    path: str
    name: str
    read: Callable[[bytes], ModelRequest]
    shape: Shape

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path it is at."""
        return tuple(prefix + self.path + end for end in ("", "/") for prefix in ("/v1", ""))


OPERATIONS: Final = (
    Operation("/chat/completions", "chat", read_chat, "chat"),
    Operation("/responses", "responses", read_responses, "responses"),
    Operation("/responses/input_tokens", "input_tokens", read_input_tokens, "input_tokens"),
    Operation("/responses/compact", "compact", read_compact, "compact"),
    Operation("/messages", "messages", read_messages, "messages"),
    Operation("/messages/count_tokens", "count_tokens", read_count_tokens, "count_tokens"),
    Operation("/embeddings", "embeddings", read_embeddings, "embeddings"),
    Operation("/completions", "completions", read_completions, "completions"),
)


class AnswerRoute:
    """Answers requests to models, plain and streamed.

    Args:
        current: what is served.
        operation: what is asked of the model.
        around_asgi: whether plain answers may bypass the ASGI messages, which no layer then sees.
    """

    def __init__(self, current: Current, operation: Operation, *, around_asgi: bool) -> None:
        self._current = current
        self._operation = operation
        self.shape = operation.shape
        self._around_asgi = around_asgi

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = self._operation.name
        exchange.shape = self._operation.shape
        exchange.query = scope["query_string"]
        if scope["method"] != "POST" and not await allows(scope, send, "POST"):  # type: ignore[typeddict-item]
            return
        version = self._current.version
        exchange.wishes = wishes_of(exchange.headers, version.settings.router.roles)
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        reading = partial(read_body, wire, receive, exchange.headers, version.settings.server)
        reply = await version.pipeline.run(exchange, reading, self._operation.read)
        explain = exchange.headers.get(b"x-tierway-explain") == b"full"
        if isinstance(reply, PlainReply):
            body = explain_document(reply.body, exchange) if explain else reply.body
            if self._around_asgi:
                answer_at_once(wire, exchange, _headers(exchange, reply), body)
            else:
                await send_answer(send, exchange, 200, _headers(exchange, reply), body)
        else:
            if self._current.captures.is_on:
                reply = self._current.captures.follow(exchange, reply)
            reply = exchange.reply = version.observation.follow(exchange, reply)
            explain = explain and exchange.shape == "chat"  # elsewhere the last event is not ours to add to
            await _send_stream(send, exchange, ExplainedStream(reply, exchange) if explain else reply, wire)


async def _send_stream(send: Send, exchange: Exchange, stream: StreamReply, wire: Wire) -> None:
    """Send blocks of events as they come; after the first, a failure is an event and the end of the connection.

    The answer is settled before the block that ends it is sent.
    """
    block = await stream.block()
    headers = _headers(exchange, stream)
    exchange.status = 200
    exchange.first_byte_s = exchange.elapsed_s
    exchange.patience.allow(seconds_allowed(exchange.headers, is_streaming=True) - exchange.first_byte_s)
    headers[:1] = HEADERS
    headers += id_lines(exchange)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while block is not None:
            if stream.is_ended:
                await exchange.settle()
            await send({"type": "http.response.body", "body": block, "more_body": True})
            block = await stream.block()
    except GatewayError as error:
        exchange.error = error
        event = error_event(error, exchange.request_id, exchange.shape)
        await send({"type": "http.response.body", "body": event, "more_body": True})
        wire.hang_up()
        return
    await exchange.settle()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _told(hit: Hit) -> bytes:
    told = f"{hit.kind};{hit.similarity:.2f};age={int(hit.age_s)};entry={hit.entry_id}"
    return told.encode()


def _headers(exchange: Exchange, reply: PlainReply | StreamReply) -> Headers:
    """Return the decisions about a request as headers, its content type first."""
    decision = exchange.decision
    assert decision is not None  # noqa: S101  an answer without a decision does not exist
    headers = [JSON, *_decided(exchange.routed_model, decision.tier, decision.confidence, decision.reason)]
    headers += with_limits(reply.headers, exchange)
    if reply.dropped:
        dropped = _UNPRINTABLE.sub("?", ", ".join(reply.dropped)[:_MOST_DROPPED])
        headers.append((b"x-tierway-dropped", dropped.encode("ascii")))
    if exchange.hit is not None:
        headers.append((b"x-tierway-cache", _told(exchange.hit)))
    elif exchange.shares:
        headers.append((b"x-tierway-cache", f"shared;1.00;age=0;entry={exchange.shares}".encode()))
    elif exchange.miss_reason != "off":
        headers.append((b"x-tierway-cache", b"miss;" + exchange.miss_reason.encode()))
    headers += guard_lines(exchange)
    if exchange.is_replayed:
        headers.append(_REPLAYED)
    if exchange.cost_microusd is not None:
        headers.append((b"x-tierway-cost", format_usd(exchange.cost_microusd)))
    headers.append((b"x-tierway-overhead-ms", b"%.3f" % (exchange.overhead_s * 1000)))
    return headers


@lru_cache(1024)
def _decided(model: str, tier: str | None, confidence: float, reason: str) -> Headers:
    """Return the headers that are the same for many requests."""
    headers = [(b"x-tierway-tier", f"{tier or 'none'};{confidence:.2f};{reason}".encode("ascii", "replace"))]
    if model:
        headers.append((b"x-tierway-model", model.encode("latin-1", "replace")))
    return headers
