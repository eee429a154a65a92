"""Sending an answer over ASGI."""

from __future__ import annotations

import msgspec
from litestar.types import Scope, Send

from gateway.domain.errors import GatewayError, MethodNotAllowedError
from gateway.edge.errors import ANTHROPIC, error_body, error_headers, status_of
from gateway.edge.limits import with_limits
from gateway.edge.wire import Wire
from gateway.exchange import Exchange

Headers = list[tuple[bytes, bytes]]

EXCHANGE = "tierway.exchange"
"""Where a request's scope holds its exchange."""

JSON = (b"content-type", b"application/json")


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that `Lifetime` opened for a request."""
    exchange: Exchange = scope[EXCHANGE]  # type: ignore[literal-required]  # the scope is ours to add to
    return exchange


async def send_answer(send: Send, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
    """Send a complete answer; the request's id, by the name its clients know, and the length are added."""
    _begin(exchange, status, headers, body)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answer_at_once(wire: Wire, exchange: Exchange, headers: Headers, body: bytes) -> None:
    """Send a complete answer with status 200 around the ASGI messages."""
    _begin(exchange, 200, headers, body)
    wire.answer(200, headers, body)


def _begin(exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
    exchange.status = status
    exchange.first_byte_s = exchange.elapsed_s
    headers.append((b"content-length", b"%d" % len(body)))
    headers += id_lines(exchange)


def id_lines(exchange: Exchange) -> Headers:
    """Return the request's id, by the names its clients know."""
    request_id = exchange.request_id.encode("ascii")
    lines = [(b"x-request-id", request_id)]
    if exchange.shape in ANTHROPIC:
        lines.append((b"request-id", request_id))
    return lines


def guard_lines(exchange: Exchange) -> Headers:
    """Return what the guard says of a request; nothing where it looked for nothing."""
    return [] if exchange.inspection is None else [(b"x-tierway-guard", exchange.inspection.header())]


async def send_json(send: Send, exchange: Exchange, document: object, status: int = 200) -> None:
    """Send a document as JSON."""
    await send_answer(send, exchange, status, [JSON], msgspec.json.encode(document))


async def send_error(send: Send, exchange: Exchange, error: GatewayError) -> None:
    """Send an error in the shape the caller's clients read."""
    exchange.error = error
    shape = exchange.shape
    headers = [JSON, *with_limits(error_headers(error), exchange), *guard_lines(exchange)]
    await send_answer(send, exchange, status_of(error, shape), headers, error_body(error, exchange.request_id, shape))


async def allows(scope: Scope, send: Send, *methods: str) -> bool:
    """Check the method of a request by hand, as `@asgi` routes accept all; OPTIONS is answered here.

    Returns:
        Whether the route goes on. A GET route also serves HEAD: the server leaves the body out.

    Raises:
        MethodNotAllowedError: the route answers other methods.
    """
    asked = scope["method"]  # type: ignore[typeddict-item]  # only http scopes come here
    if asked in methods or (asked == "HEAD" and "GET" in methods):
        return True
    allow = ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
    if asked == "OPTIONS":
        await send_answer(send, exchange_of(scope), 204, [(b"allow", allow.encode("ascii"))], b"")
        return False
    raise MethodNotAllowedError(f"This address answers {allow}.", allow=allow)
