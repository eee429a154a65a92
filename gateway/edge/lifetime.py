"""The outermost layer: opens a request's exchange, answers whatever went wrong, and closes the exchange."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from gateway.domain.errors import GatewayError, NotFoundError, ShuttingDownError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.usage import NO_USAGE
from gateway.edge.answer import EXCHANGE, id_lines, send_error
from gateway.edge.current import Current
from gateway.edge.deadline import seconds_allowed
from gateway.edge.errors import as_gateway_error
from gateway.edge.sse import error_event
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.exchange import CLIENT_CLOSED_REQUEST, Exchange
from gateway.telemetry import Digester, Record
from gateway.upstreams.base import PlainReply

log = logging.getLogger("tierway")


class HotRoute(Protocol):
    """A route that is called without the framework; `shape` is what its callers speak."""

    @property
    def shape(self) -> Shape:
        """Return what its callers speak, for errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""


_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_SANE_NAME: Final = re.compile(r"[A-Za-z0-9._:/@-]*")
_QUIET: Final = frozenset({"health", "metrics"})
"""Routes that probes and scrapers call all day: answered, not recorded."""


class Lifetime:
    """Wraps the application.

    The routes in `hot` are called without the framework's routing, exception and scope layers, which cost 14 us
    of a request's 100 (docs/decisions/003-hot-routes.md); they are registered with the framework all the same.

    Args:
        app: the framework's application.
        current: what is served.
        hot: path to handler.
    """

    def __init__(self, app: ASGIApp, current: Current, hot: Mapping[str, HotRoute]) -> None:
        self._app = app
        self._current = current
        self._hot = hot
        self._prefix = f"req-{secrets.token_hex(6)}-"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":  # type: ignore[comparison-overlap]  # the enum is a string
            await self._app(scope, receive, send)
            return
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        exchange = self._open(scope, wire)
        hot = self._hot.get(scope["path"])
        handler: ASGIApp = self._app if hot is None else hot
        if hot is not None:
            exchange.shape = hot.shape
        else:
            send = _observed(send, exchange)
            if b"anthropic-version" in exchange.headers:
                exchange.shape = "messages"
            if "//" in scope["path"] and not scope["path"].startswith("/v1//"):
                handler = _nothing_here
        telemetry = self._current.telemetry
        telemetry.in_flight += 1
        try:
            exchange.patience.allow(seconds_allowed(exchange.headers))
            await handler(scope, receive, send)
        except asyncio.CancelledError:
            if not wire.has_left and not self._current.draining:
                raise
            _uncancel()
            if wire.has_left:
                exchange.status = CLIENT_CLOSED_REQUEST
            else:
                error = ShuttingDownError("The gateway is stopping and could not finish this request. Ask again.")
                await self._answer_failure(exchange, wire, send, error)
        except Exception as error:  # noqa: BLE001  the outermost edge: answered and logged
            await self._answer_failure(exchange, wire, send, error)
        finally:
            wire.unwatch()
            del scope[SCOPE_KEY]  # type: ignore[misc]  # the wire holds the scope: a cycle, else
            telemetry.in_flight -= 1
            await self._close(exchange)

    def _open(self, scope: Scope, wire: Wire) -> Exchange:
        lines: list[tuple[bytes, bytes]] = scope["headers"]  # type: ignore[assignment]  # the wire makes a list
        headers = dict(lines)
        if len(headers) != len(lines):
            headers = _joined(lines)
        hold_id = request_id = f"{self._prefix}{next(self._numbers):08x}"
        sent_id = headers.get(b"x-request-id")
        if sent_id is not None and _SANE_ID.fullmatch(sent_id):
            request_id = sent_id.decode("ascii")
        client = scope["client"]
        exchange = Exchange(request_id, headers, client[0] if client else "", wire.watch_this_task(), hold_id)
        scope[EXCHANGE] = exchange  # type: ignore[literal-required]  # the scope is ours to add to
        return exchange

    async def _answer_failure(self, exchange: Exchange, wire: Wire, send: Send, error: Exception) -> None:
        """Answer an exception; when an answer has begun, end the connection, a stream with an event that says why."""
        known = as_gateway_error(error)
        if known is not error:
            log.error("request failed", exc_info=error, extra={"request_id": exchange.request_id})
        if exchange.first_byte_s:
            exchange.error = known
            if exchange.reply is not None and not isinstance(exchange.reply, PlainReply):
                event = error_event(known, exchange.request_id, exchange.shape)
                await send({"type": "http.response.body", "body": event, "more_body": True})
            wire.hang_up()
            return
        try:
            await send_error(send, exchange, known)
        except asyncio.CancelledError:
            if not wire.has_left:
                raise
            _uncancel()

    async def _give_back(self, exchange: Exchange) -> None:
        try:
            await exchange.close()
        except asyncio.CancelledError:
            if not self._current.draining:
                raise
            _uncancel()  # a call that outlived its caller has been waited for: what it took is given back all the same
            await exchange.close()

    async def _close(self, exchange: Exchange) -> None:
        """Give back what the request held and record it. Nothing here can fail the answer, which is out."""
        exchange.patience.end()
        try:
            await self._give_back(exchange)
        except Exception:
            log.exception("closing failed", extra={"request_id": exchange.request_id})
        exchange.patience.end()  # closing a stream waits for its last bytes, which sets the timer again
        if exchange.route in _QUIET:
            return
        try:
            record = _to_record(exchange, self._current.digester)
            self._current.telemetry.record(record)
            self._current.alerts.observe(record)
            self._current.version.observation.take(exchange)
            if self._current.captures.is_on:
                self._current.captures.take(exchange)
        except Exception:
            log.exception("recording failed", extra={"request_id": exchange.request_id})


def _observed(send: Send, exchange: Exchange) -> Send:
    """Wrap `send` for answers that the framework makes: note the status, add the request's id."""

    async def observe(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.first_byte_s = exchange.first_byte_s or exchange.elapsed_s
            headers = list(message["headers"])
            if not any(name == b"x-request-id" for name, _ in headers):
                message["headers"] = [*headers, *id_lines(exchange)]
        await send(message)

    return observe


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name, the values of one that stands there several times as one (RFC 9110 section 5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in lines:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  ASGI's signature
    """Refuse a path with an empty step, which the framework would overlook.

    `//admin` must not reach what a proxy in front guards by the prefix `/admin`; a base URL that ends in a slash is a
    common slip and stays served.
    """
    raise NotFoundError("There is nothing at this address.")


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _model_asked_for(request: ModelRequest, error: GatewayError | None) -> str:
    """Return the requested model for the log; of one that is unknown only what can be a name, as it may be anything."""
    name = request.model[:100]
    is_known = error is None or error.code != "model_not_found"
    return name if is_known or _SANE_NAME.fullmatch(name) else "unknown"


def _to_record(exchange: Exchange, digester: Digester | None) -> Record:
    """Gather what is counted and logged; positional, as keywords cost a microsecond more."""
    caller, request, error, decision = exchange.caller, exchange.request, exchange.error, exchange.decision
    reply, usage = exchange.reply, exchange.usage
    grounds = decision.grounds if decision else None
    ended = exchange.elapsed_s
    return Record(
        time.time(),
        exchange.request_id,
        exchange.route,
        exchange.status,
        caller.team if caller else "",
        caller.key if caller else "",
        _model_asked_for(request, error) if request else "",
        exchange.routed_model,
        reply.answered_model if isinstance(reply, PlainReply) else "",
        exchange.upstream,
        (decision.tier or "none") if decision else "",
        request.stream if request else False,
        (error.code or "") if error else "",
        error.source if error else "",
        "" if decision is None else exchange.cached,
        exchange.attempts,
        None if usage is NO_USAGE else usage,
        exchange.cost_microusd,
        int(ended * 1_000_000),
        int(exchange.overhead_s * 1_000_000),
        int(exchange.first_byte_s * 1_000_000),
        exchange.retries,
        decision.reason if decision else "",
        grounds.kind if grounds else "",
        round(grounds.score, 4) if grounds else None,
        exchange.inspection.told() if exchange.inspection else None,
        digester.of(request.messages) if digester is not None and request is not None else None,
    )
