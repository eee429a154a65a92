"""A server reached over HTTP: what was received is forwarded, what comes back is passed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.domain.errors import GatewayError, UpstreamError, UpstreamGarbledError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.upstreams.base import Headers, ModelCall, PlainReply, RelayCall, Reply
from gateway.upstreams.dialects.base import Dialect, EventReader
from gateway.upstreams.dialects.catalogue import DIALECTS
from gateway.upstreams.metering import TokenEstimator
from gateway.upstreams.sse import DONE, EventSplitter, frame, named_frame
from gateway.upstreams.transport import PLAIN_QUERY, Request, Response, Transport

_LAST_BYTES_S: Final = 0.05
"""Seconds that the end of a finished stream's body may take before its connection is given up."""

_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers of one connection (RFC 9110 section 7.6.1), which a relayed answer does not take along."""

Refusal = Callable[[int, Headers, bytes], UpstreamError]
"""From status, headers and body of an answer that is none to the error it stands for."""

Edits = Callable[[ModelRequest], Mapping[str, bytes]]
"""From a request in the server's shape to members that are sent with other values, as JSON."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway shows itself to a server.

    Attributes:
        base_url: what the paths of operations are appended to.
        query: parameters of every call.
        headers: of every call, the credential among them; names in lower case.
        defaults: of calls whose caller sends no such header.
        secret: the credential, which is taken out of the server's words.
        forwarded: headers of callers that go to this kind of server.
        forwards_query: whether the queries of callers do, where nothing is translated.
        passed_on: headers of the server that callers get to see; those that end in `-` are prefixes.
    """

    base_url: str
    headers: Mapping[str, str]
    secret: Secret | None
    defaults: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    forwarded: frozenset[bytes] = frozenset()
    forwards_query: bool = False
    passed_on: tuple[bytes, ...] = ()

    def __repr__(self) -> str:  # headers hold the credential
        return f"Account({urlsplit(self.base_url).hostname})"


class Remote:
    """One server and the shapes it speaks.

    Args:
        name: its name in the settings.
        account: address, credential and headers.
        transport: how it is reached; owned.
        shapes: what it answers by itself.
        refusal: reads its error answers.
        edits: what this server is sent besides the edits of the shape.
    """

    def __init__(
        self,
        name: str,
        account: Account,
        transport: Transport,
        *,
        shapes: set[Shape],
        refusal: Refusal,
        edits: Edits | None = None,
    ) -> None:
        self.name = name
        self.shapes = shapes
        self.unwanted: dict[str, set[str]] = {}
        self._transport = transport
        self._account = account
        self._refusal = refusal
        self._edits = edits
        url = urlsplit(account.base_url)
        self._path = url.path.rstrip("/")
        self._query = "&".join(part for part in (url.query, urlencode(account.query)) if part)
        self._headers = _lines(account.headers)
        self._defaults = _lines(account.defaults)
        self._targets = {shape: self._target(self._below(dialect.path)) for shape, dialect in DIALECTS.items()}
        self._estimators: dict[str, TokenEstimator] = {}

    async def answer(self, call: ModelCall) -> Reply:
        """Answer a request in its own shape; see `Upstream.answer`."""
        request = call.request
        dialect = DIALECTS[request.shape]
        edits = dialect.edits(request)
        if self._edits is not None:
            edits |= self._edits(request)
        if request.model != call.model:
            edits["model"] = msgspec.json.encode(call.model)
        accept = b"text/event-stream" if request.stream else b"application/json"
        headers = [*self._headers, (b"accept", accept), *self._defaults]
        if call.headers:
            headers = self._with_callers(headers, call.headers, self._account.forwarded)
        target = self._targets[request.shape]
        if call.query and self._account.forwards_query and PLAIN_QUERY.fullmatch(call.query):
            target += (b"&" if b"?" in target else b"?") + call.query
        message = Request(target, headers, request.edited(edits))
        response = await self._transport.send(message, call.patience)
        try:
            if call.observe is not None:
                call.observe(response.headers)
            if not 200 <= response.status < 300:
                raise self._refusal(response.status, response.headers, await response.read())  # noqa: TRY301
            if request.stream:
                return await self._open_stream(call, dialect, response)
            reply = self._read_plain(call, dialect, response, await response.read())
        except BaseException:
            await response.close()
            raise
        await response.close()
        return reply

    async def relay(self, call: RelayCall) -> Relayed:
        """Pass a request on as it is; see `RelaySupport.relay`."""
        own = [line for line in self._headers if line[0] not in (b"content-type", b"accept-encoding")]
        headers = self._with_callers([*own, *self._defaults], call.headers, None)
        target = self._target(call.path, call.query.decode("latin-1"))
        request = Request(target, headers, call.body, call.method.encode("ascii"))
        return Relayed(await self._transport.send(request, call.patience))

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:
        """Return about how many tokens a prompt has for a model, as far as it has been observed."""
        return self._estimator(model).prompt_tokens(request)

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    def counters(self) -> Mapping[str, int]:
        """Return calls made and bytes moved so far."""
        return self._transport.counters()

    def _with_callers(
        self, own: list[tuple[bytes, bytes]], callers: Headers, admitted: frozenset[bytes] | None
    ) -> list[tuple[bytes, bytes]]:
        """Return the gateway's lines and those of a caller; only the defaults give way to the caller's.

        Args:
            own: lines the gateway sends.
            callers: lines of the caller.
            admitted: names that may travel on, None for all.
        """
        names = {name for name, _ in own} - {name for name, _ in self._defaults}
        theirs = [line for line in callers if line[0] not in names and (admitted is None or line[0] in admitted)]
        given = {name for name, _ in theirs}
        return [line for line in own if line[0] not in given] + theirs

    def _below(self, path: str) -> str:
        """Return a path without the `/v1` that the base URL ends in: Anthropic's have it in the path, OpenAI's not."""
        return path.removeprefix("/v1") if self._path.endswith("/v1") else path

    def _target(self, path: str, query: str = "") -> bytes:
        query = "&".join(part for part in (self._query, query) if part)
        return (f"{self._path}{path}?{query}" if query else self._path + path).encode("latin-1")

    def _estimator(self, model: str) -> TokenEstimator:
        return self._estimators.setdefault(model, TokenEstimator())

    def _read_plain(self, call: ModelCall, dialect: Dialect, response: Response, body: bytes) -> PlainReply:
        answer = dialect.read(body, self._account.secret)
        estimator = self._estimator(call.model)
        usage = answer.usage
        if usage is not None:
            estimator.learn(call.request, usage)
        elif answer.generated_bytes is None:
            usage = Usage(input_tokens=estimator.prompt_tokens(call.request), provenance="estimated")
        else:
            usage = estimator.estimate(call.request, answer.generated_bytes)
        return PlainReply(
            body=body,
            usage=usage,
            headers=self._passed_on(response),
            answered_model=answer.model,
            response_id=answer.response_id,
        )

    async def _open_stream(self, call: ModelCall, dialect: Dialect, response: Response) -> RelayedStream:
        kind = response.header(b"content-type") or b""
        if kind.startswith((b"application/json", b"text/html")):
            body = await response.read()
            if kind.startswith(b"application/json"):
                dialect.read(body, self._account.secret)
            raise UpstreamGarbledError("The upstream answered a stream request with something else than a stream.")
        reader = dialect.reader(call.request, self._account.secret)
        stream = RelayedStream(call.request, response, reader, self._estimator(call.model))
        stream.headers = self._passed_on(response)
        await stream.open()
        return stream

    def _passed_on(self, response: Response) -> Headers:
        return [line for line in response.headers if line[0].startswith(self._account.passed_on)]


class RelayedStream:
    """A stream of events on its way through: framing normalised, payloads untouched."""

    headers: Headers = ()
    dropped: tuple[str, ...] | None = None
    final = b""

    def __init__(
        self, request: ModelRequest, response: Response, reader: EventReader, estimator: TokenEstimator
    ) -> None:
        self._request = request
        self._response = response
        self._reader = reader
        self._estimator = estimator
        self._events = EventSplitter()
        self._first: bytes | None = None
        self._failure: GatewayError | None = None
        self._done = False
        self._ends_with_done = DIALECTS[request.shape].ends_with_done

    @property
    def response_id(self) -> str:
        """The id of a response, once known."""
        return self._reader.response_id

    @property
    def is_ended(self) -> bool:
        """Whether the upstream's end has been read."""
        return self._done

    async def open(self) -> None:
        """Wait for the first event, so that a stream that fails before it is an answer with a status."""
        self._first = await self._next()

    async def block(self) -> bytes | None:
        """Return the next events, framed; see `StreamReply.block`."""
        if self._first is not None:
            block, self._first = self._first, None
            return block
        return await self._next()

    def usage(self) -> Usage:
        """Return the provider's figures, or an estimate from what has passed."""
        return self._reader.usage or self._estimator.estimate(self._request, self._reader.generated_bytes)

    async def close(self) -> None:
        """Abort the call if it has not finished.

        What follows the last event is the end of the body; it gets a moment, so that the connection can be kept.
        """
        if self._done and self._failure is None:
            with contextlib.suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(_LAST_BYTES_S):
                    await self._response.chunk()
        await self._response.close()
        usage = self._reader.usage
        if usage is not None and usage.provenance == "provider":
            self._estimator.learn(self._request, usage, self._reader.generated_bytes)

    async def _next(self) -> bytes | None:
        """Read on until there is something to send; what came before a failure is sent before it is raised."""
        while self._failure is None:
            if self._done:
                return None
            chunk = await self._response.chunk()
            block = b"".join(self._relay(self._events.finish() if chunk is None else self._events.feed(chunk)))
            if chunk is None and not self._done:
                self._done = True
                if not self._reader.finished:
                    self._failure = UpstreamGarbledError(
                        "The upstream ended its stream before the answer was complete."
                    )
            if block:
                return block
        raise self._failure

    def _relay(self, payloads: list[bytes]) -> list[bytes]:
        frames: list[bytes] = []
        reader = self._reader
        for payload in payloads:
            if self._done:
                break
            if payload == DONE:
                self._end(frames)
            elif payload:
                try:
                    if reader.take(payload):
                        frames.append(named_frame(reader.event, payload) if reader.event else frame(payload))
                except GatewayError as error:
                    self._failure = error
                    break
                if reader.finished and not self._ends_with_done:
                    self._done = True
        return frames

    def _end(self, frames: list[bytes]) -> None:
        """End the stream at `[DONE]`, which says of chat that it is complete and of other shapes nothing."""
        self._done = True
        if self._ends_with_done:
            frames.append(frame(DONE))
        elif not self._reader.finished:
            self._failure = UpstreamGarbledError("The upstream ended its stream before the answer was complete.")


class Relayed:
    """An answer that is passed on as it is."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = [line for line in response.headers if line[0] not in _HOP_BY_HOP]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; see `RelayReply.chunks`."""
        while (chunk := await self._response.chunk()) is not None:
            yield chunk

    async def close(self) -> None:
        """Stop the upstream if it has not finished."""
        await self._response.close()


def own_headers(configured: Mapping[str, str], credential: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of every call to a server: the gateway's, those of its settings, and the credential.

    A later one takes the place of an earlier one; names come out in lower case.
    """
    headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "tierway"}
    return headers | {name.lower(): value for name, value in (*configured.items(), *credential.items())}


def _lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
