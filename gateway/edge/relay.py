"""Other paths of OpenAI's API: passed on as they are, to one upstream, for those whose policy admits it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from litestar.types import Receive, Scope, Send

from gateway.domain.errors import GatewayError, InvalidRequestError, NotFoundError, UpstreamGarbledError
from gateway.edge.answer import allows, exchange_of, guard_lines, send_answer
from gateway.edge.body import receive_upload
from gateway.edge.current import Current
from gateway.edge.deadline import seconds_allowed
from gateway.edge.limits import limit_lines
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.exchange import Exchange
from gateway.stored.responses import Bound
from gateway.upstreams.base import RelayCall, RelayReply
from gateway.upstreams.transport import PLAIN_QUERY

ENDPOINTS: Final = (
    "audio",
    "batches",
    "containers",
    "conversations",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "moderations",
    "rerank",
    "uploads",
    "vector_stores",
    "videos",
)
"""The families of paths that may be relayed, by their first step."""

METHODS: Final = ("GET", "POST", "DELETE")
"""Of requests that are relayed."""

_TRAVELS: Final = frozenset(
    {
        b"accept",
        b"content-type",
        b"content-encoding",
        b"idempotency-key",
        b"openai-beta",
        b"range",
        b"traceparent",
        b"tracestate",
    }
)
"""Headers of a relayed request that go along."""

_RETURNS: Final = frozenset(
    {
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    }
)
"""Headers of a relayed answer that come back."""

_SEEN_BYTES: Final = 64 * 1024
"""How much of the answer is looked at for the id of a new conversation."""

_REWRITTEN_BYTES: Final = 16 * 2**20
"""Of an answer that is changed on its way; a longer one is refused."""

Rewrite = Callable[[bytes], Awaitable[bytes]]
"""Returns what is sent in place of a body."""

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


class Relaying:
    """Passes requests on.

    Args:
        current: what is served.
    """

    def __init__(self, current: Current) -> None:
        self._current = current

    async def pass_on(  # noqa: PLR0913  three of them are the server's
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        endpoint: str = "",
        upstream: str | None = None,
        keep_bytes: int = 0,
        rewrite: Rewrite | None = None,
    ) -> bytes:
        """Pass a request on and its answer back, both in pieces.

        Args:
            scope, receive, send: of the request.
            endpoint: the family of paths it belongs to, empty where no policy need admit it.
            upstream: who must answer it; the one of the settings where absent.
            keep_bytes: how much of the answer is looked at.
            rewrite: is given the body of a good answer, and returns what is sent in its place.

        Returns:
            The first `keep_bytes` bytes of the answer's body, none of them when it broke off.
        """
        exchange = exchange_of(scope)
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        version = self._current.version

        def make_call() -> RelayCall:
            headers = [line for line in scope["headers"] if line[0] in _TRAVELS]
            body = receive_upload(wire, receive, exchange.headers)
            return RelayCall(
                method=scope["method"],  # type: ignore[typeddict-item]  # only http scopes come here
                path=_path(scope),
                query=scope["query_string"],
                headers=headers,
                body=body,
                patience=exchange.patience,
            )

        reply = await version.pipeline.relay(exchange, endpoint, make_call, upstream=upstream)
        if rewrite is not None and reply.status < HTTPStatus.BAD_REQUEST:
            await _send_rewritten(send, exchange, reply, rewrite)
            return b""
        return await _send_relayed(send, exchange, reply, wire, keep_bytes)


class RelayRoute:
    """Relays one family of paths; mounted at `/v1/<endpoint>` and `/<endpoint>`.

    Conversations belong to the team that made them, and stay with the upstream they were made at.

    Args:
        current: what is served.
        relaying: passes requests on.
        endpoint: the family.
        root: the path it is mounted at.
    """

    def __init__(self, current: Current, relaying: Relaying, endpoint: str, root: str) -> None:
        self._current = current
        self._relaying = relaying
        self._endpoint = endpoint
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = self._endpoint
        below = scope["path"].removeprefix(self._root)
        if below and not below.startswith("/"):
            raise NotFoundError("There is nothing at this address.")
        if not await allows(scope, send, *METHODS):
            return
        if self._endpoint == "conversations":
            await self._conversation(scope, receive, send, below)
        else:
            await self._relaying.pass_on(scope, receive, send, endpoint=self._endpoint)

    async def _conversation(self, scope: Scope, receive: Receive, send: Send, below: str) -> None:
        exchange = exchange_of(scope)
        conversation_id, _, rest = below.strip("/").partition("/")
        pipeline = self._current.version.pipeline
        caller = pipeline.authenticate(exchange)
        if not conversation_id:
            answer = await self._relaying.pass_on(scope, receive, send, endpoint=self._endpoint, keep_bytes=_SEEN_BYTES)
            if (made := _id_of(answer)) and exchange.status < 300:
                await pipeline.continuity.bind(caller, made, exchange.upstream)
            return
        home = await pipeline.continuity.find(caller, conversation_id)
        if not isinstance(home, Bound):
            raise NotFoundError("There is nothing at this address.")
        await self._relaying.pass_on(scope, receive, send, endpoint=self._endpoint, upstream=home.upstream)
        if scope["method"] == "DELETE" and not rest and 200 <= exchange.status < 300:  # type: ignore[typeddict-item]
            await pipeline.continuity.forget(caller, conversation_id)


class _Made(msgspec.Struct):
    id: str = ""


def _id_of(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Made).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _path(scope: Scope) -> str:
    """Return the path below `/v1` as it was sent, still encoded.

    Raises:
        InvalidRequestError: it climbs, or it or the query holds what an address cannot.
    """
    raw = scope["raw_path"].decode("latin-1").partition("?")[0]
    steps = scope["path"].split("/")
    is_plain = _PLAIN_PATH.fullmatch(raw) and PLAIN_QUERY.fullmatch(scope["query_string"])
    if not is_plain or ".." in steps or "." in steps or "\\" in scope["path"]:
        raise InvalidRequestError("This path cannot be relayed.", code="invalid_path")
    return raw.removeprefix("/v1")


async def _send_rewritten(send: Send, exchange: Exchange, reply: RelayReply, rewrite: Rewrite) -> None:
    """Send an answer once it is whole, with another body; a failure is an error with a status."""
    body = b""
    async for chunk in reply.chunks():
        body += chunk
        if len(body) > _REWRITTEN_BYTES:
            raise UpstreamGarbledError("The upstream's answer is too long to be looked through.")
    if any(name == b"content-encoding" for name, _ in reply.headers):
        raise UpstreamGarbledError("The upstream's answer is compressed, and cannot be looked through.")
    body = await rewrite(body)
    headers = [line for line in reply.headers if line[0] in _RETURNS and line[0] != b"content-length"]
    await send_answer(send, exchange, reply.status, [*headers, *limit_lines(exchange), *guard_lines(exchange)], body)


async def _send_relayed(send: Send, exchange: Exchange, reply: RelayReply, wire: Wire, keep_bytes: int) -> bytes:
    """Send an answer as it arrives; once it has begun, a failure is the end of the connection."""
    exchange.status = reply.status
    exchange.first_byte_s = exchange.elapsed_s
    allowed_s = seconds_allowed(exchange.headers, is_streaming=True)
    exchange.patience.allow(allowed_s - exchange.first_byte_s)
    headers = [line for line in reply.headers if line[0] in _RETURNS]
    if reply.status in (204, 304):  # which may announce the length of what they do not send
        headers = [line for line in headers if line[0] != b"content-length"]
    headers += limit_lines(exchange)
    headers.append((b"x-request-id", exchange.request_id.encode("ascii")))
    headers.append((b"x-tierway-overhead-ms", b"%.3f" % (exchange.overhead_s * 1000)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    seen = b""
    try:
        async for chunk in reply.chunks():
            if len(seen) < keep_bytes:
                seen += chunk
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except GatewayError as error:
        exchange.error = error
        wire.hang_up()
        return b""
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return seen[:keep_bytes]
