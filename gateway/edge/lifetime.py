"""The outermost layer: opens a request's exchange, answers whatever went wrong, and closes the exchange."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from gateway.domain.errors import InvalidRequestError
from gateway.edge.answer import EXCHANGE, send_error
from gateway.edge.body import BodyReader
from gateway.edge.current import Current
from gateway.edge.errors import as_gateway_error
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.exchange import CLIENT_CLOSED_REQUEST, Exchange
from gateway.telemetry import Record
from gateway.upstreams.base import PlainReply

log = logging.getLogger("tierway")

DEFAULT_DEADLINE_S: Final = 600.0
"""Seconds a request may take when its caller names no other time: the OpenAI clients' default."""

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_FORWARDED: Final = (b"traceparent", b"tracestate", b"openai-beta")
"""Request headers that travel on to the upstream. The caller's credentials, cookies and the rest do not."""

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

    def __init__(self, app: ASGIApp, current: Current, hot: Mapping[str, Handler]) -> None:
        self._app = app
        self._current = current
        self._hot = hot
        self._prefix = f"req-{secrets.token_hex(6)}-"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        exchange = self._open(scope, headers, receive)
        scope[EXCHANGE] = exchange  # type: ignore[literal-required]  # the scope is ours to add to
        handler = self._hot.get(scope["path"])
        if handler is None:
            handler, send = self._app, _observed(send, exchange)
        telemetry = self._current.telemetry
        telemetry.in_flight += 1
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        wire.watch(asyncio.current_task())
        try:
            exchange.deadline = self._deadline(headers)
            await handler(scope, receive, send)
        except asyncio.CancelledError:
            if not wire.has_left:
                raise
            _uncancel()
            exchange.status = CLIENT_CLOSED_REQUEST
        except Exception as error:  # noqa: BLE001  the outermost edge: answered and logged
            await self._answer_failure(exchange, wire, send, error)
        finally:
            wire.watch(None)
            telemetry.in_flight -= 1
            await exchange.stack.aclose()
            self._record(exchange)

    def _open(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> Exchange:
        sent_id = headers.get(b"x-request-id")
        if sent_id is not None and _SANE_ID.fullmatch(sent_id):
            request_id = sent_id.decode("ascii")
        else:
            request_id = f"{self._prefix}{next(self._numbers):08x}"
        client = scope["client"]
        return Exchange(
            request_id,
            "other",
            token=_token(headers),
            address=client[0] if client else "",
            deadline=0.0,
            read_body=BodyReader(receive, headers, self._current.version.settings.server),
            forwarded=tuple((name, headers[name]) for name in _FORWARDED if name in headers),
        )

    @staticmethod
    def _deadline(headers: Mapping[bytes, bytes]) -> float:
        """Return the moment by which the request must be answered, in seconds of the loop's clock."""
        seconds = DEFAULT_DEADLINE_S
        if (read_timeout := headers.get(b"x-stainless-read-timeout")) is not None:
            seconds = min(seconds, _positive(read_timeout) or seconds)
        if (own := headers.get(b"x-tierway-timeout-ms")) is not None:
            milliseconds = _positive(own)
            if milliseconds is None:
                raise InvalidRequestError("X-Tierway-Timeout-Ms must be a number of milliseconds, more than 0.")
            seconds = min(seconds, milliseconds / 1000)
        return asyncio.get_running_loop().time() + seconds

    async def _answer_failure(self, exchange: Exchange, wire: Wire, send: Send, error: Exception) -> None:
        """Answer an exception, unless an answer has begun: then the connection ends."""
        known = as_gateway_error(error)
        if known is not error:
            log.error("request failed", exc_info=error, extra={"request_id": exchange.request_id})
        if exchange.first_byte_s:
            exchange.error = known
            wire.hang_up()
            return
        try:
            await send_error(send, exchange, known)
        except asyncio.CancelledError:
            if not wire.has_left:
                raise
            _uncancel()

    def _record(self, exchange: Exchange) -> None:
        if exchange.route in _QUIET:
            return
        try:
            self._current.telemetry.record(_to_record(exchange))
        except Exception:
            log.exception("recording failed", extra={"request_id": exchange.request_id})


def _observed(send: Send, exchange: Exchange) -> Send:
    """Wrap `send` for answers that the framework makes: note the status, add the request's id."""
    request_id = (b"x-request-id", exchange.request_id.encode("ascii"))

    async def observe(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.first_byte_s = exchange.first_byte_s or exchange.elapsed_s
            headers = list(message["headers"])
            if not any(name == b"x-request-id" for name, _ in headers):
                message["headers"] = [*headers, request_id]
        await send(message)

    return observe


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _token(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the caller's key: `Authorization: Bearer KEY`, or Azure's `api-key`."""
    sent = headers.get(b"authorization")
    if sent is not None:
        scheme, _, token = sent.partition(b" ")
        token = token.strip()
        return token.decode("latin-1") if scheme.lower() == b"bearer" and token else ""
    sent = headers.get(b"api-key")
    return None if sent is None else sent.decode("latin-1")


def _positive(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _to_record(exchange: Exchange) -> Record:
    caller, request, usage, error = exchange.caller, exchange.request, exchange.usage, exchange.error
    reply = exchange.reply
    facts: dict[str, Any] = {}
    if request is not None:
        facts = {"requested_model": request.model[:100], "stream": request.stream, "tier": exchange.tier}
        facts["cache"] = exchange.hit.kind if exchange.hit else exchange.miss_reason
    if isinstance(reply, PlainReply):
        facts["answered_model"] = reply.answered_model
    if error is not None:
        facts |= {"code": error.code or "", "source": error.source}
    return Record(
        at=time.time(),
        request_id=exchange.request_id,
        route=exchange.route,
        status=exchange.status,
        team=caller.team if caller else "",
        key=caller.key if caller else "",
        routed_model=exchange.routed_model,
        upstream=exchange.upstream,
        attempts=exchange.attempts,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        usage_from="" if usage.provenance == "none" else usage.provenance,
        cost_microusd=exchange.cost_microusd,
        duration_ms=round(exchange.elapsed_s * 1000, 3),
        overhead_ms=round(exchange.overhead_s * 1000, 3),
        first_byte_ms=round(exchange.first_byte_s * 1000, 3),
        **facts,
    )
