"""Any server that speaks OpenAI's API: what was received is forwarded, what comes back is passed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.domain.chat import without_lone_surrogates
from gateway.domain.errors import GatewayError, UpstreamGarbledError
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.upstreams.base import ChatCall, PlainReply, Reply
from gateway.upstreams.errors import in_band, refusal
from gateway.upstreams.metering import USAGE_DECODER, TokenEstimator, WireUsage, to_usage
from gateway.upstreams.settings import OpenAIUpstream
from gateway.upstreams.sse import DONE, EventReader, frame
from gateway.upstreams.transport import Request, Response, Transport

_PASSED_ON: Final = frozenset({b"openai-processing-ms", b"openai-version", b"openai-model", b"openai-organization"})
"""Response headers that tell a caller something of the provider and nothing of the gateway's account limits."""

_LAST_BYTES_S: Final = 0.05
"""Seconds that the end of a finished stream's body may take before its connection is given up."""

_EMPTY_DELTA_BYTES: Final = len('{"content":""}')

_NULL: Final = msgspec.Raw(b"null")
"""An absent member. `Raw | None` would be no choice: msgspec then accepts nothing but null."""


class _Answer(msgspec.Struct):
    """What is read of a plain answer."""

    choices: msgspec.Raw = _NULL
    model: str | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _Choice(msgspec.Struct):
    delta: msgspec.Raw = _NULL
    finish_reason: msgspec.Raw = _NULL


class _Chunk(msgspec.Struct):
    """What is read of a chunk of a stream."""

    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)


class OpenAICompatible:
    """One OpenAI-compatible server.

    Args:
        name: its name in the settings.
        settings: address, credential and headers.
        transport: how it is reached; owned.
    """

    def __init__(self, name: str, settings: OpenAIUpstream, transport: Transport) -> None:
        self.name = name
        self._transport = transport
        self._secret = settings.api_key
        url = urlsplit(settings.base_url)
        query = "&".join(part for part in (url.query, urlencode(settings.query)) if part)
        path = url.path.rstrip("/") + "/chat/completions"
        self._target = (f"{path}?{query}" if query else path).encode("ascii")
        self._headers = _static_headers(settings)
        self._estimators: dict[str, TokenEstimator] = {}

    async def chat(self, call: ChatCall) -> Reply:
        """Answer a chat request; see `Upstream.chat`."""
        request = call.request
        edits: dict[str, bytes] = {}
        if request.model != call.model:
            edits["model"] = msgspec.json.encode(call.model)
        if request.stream:
            edits |= request.edits_for_usage()
        accept = b"text/event-stream" if request.stream else b"application/json"
        headers = [*self._headers, (b"accept", accept), *call.headers]
        response = await self._transport.send(Request(self._target, headers, request.edited(edits)), call.patience)
        try:
            if not 200 <= response.status < 300:
                raise refusal(response.status, response.headers, await response.read(), self._secret)  # noqa: TRY301
            if request.stream:
                return await self._open_stream(call, response)
            reply = self._read_plain(call, response, await response.read())
        except BaseException:
            await response.close()
            raise
        await response.close()
        return reply

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    def counters(self) -> Mapping[str, int]:
        """Return calls made and bytes moved so far."""
        return self._transport.counters()

    def _estimator(self, model: str) -> TokenEstimator:
        return self._estimators.setdefault(model, TokenEstimator())

    def _read_plain(self, call: ChatCall, response: Response, body: bytes) -> PlainReply:
        answer = _decode(_ANSWER, body, "The upstream's answer is not the JSON object of a chat completion.")
        if _is_there(answer.error):
            raise in_band(answer.error, self._secret)
        estimator = self._estimator(call.model)
        wire = _read_usage(answer.usage)
        if wire is None:
            usage = estimator.estimate(call.request, len(memoryview(answer.choices)))
        else:
            usage = to_usage(wire)
            estimator.learn(call.request, usage)
        headers = _passed_on(response)
        return PlainReply(body=body, usage=usage, headers=headers, answered_model=answer.model or "")

    async def _open_stream(self, call: ChatCall, response: Response) -> RelayedStream:
        kind = response.header(b"content-type") or b""
        if kind.startswith((b"application/json", b"text/html")):
            body = await response.read()
            if kind.startswith(b"application/json"):
                answer = _decode(_ANSWER, body, "The upstream answered a stream request with broken JSON.")
                if _is_there(answer.error):
                    raise in_band(answer.error, self._secret)
            raise UpstreamGarbledError("The upstream answered a stream request with something else than a stream.")
        stream = RelayedStream(call, response, self._estimator(call.model), self._secret)
        await stream.open()
        return stream


class RelayedStream:
    """A stream of chunks on its way through: framing normalised, payloads untouched."""

    def __init__(self, call: ChatCall, response: Response, estimator: TokenEstimator, secret: Secret | None) -> None:
        self.headers: Sequence[tuple[bytes, bytes]] = _passed_on(response)
        self._request = call.request
        self._response = response
        self._estimator = estimator
        self._secret = secret
        self._events = EventReader()
        self._first: bytes | None = None
        self._failure: GatewayError | None = None
        self._usage: Usage | None = None
        self._answer_bytes = 0
        self._finished = self._done = False

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
        return self._usage or self._estimator.estimate(self._request, self._answer_bytes)

    async def close(self) -> None:
        """Abort the call if it has not finished.

        What follows `[DONE]` is the end of the body; it gets a moment, so that the connection can be kept.
        """
        if self._done and self._failure is None:
            with contextlib.suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(_LAST_BYTES_S):
                    await self._response.chunk()
        await self._response.close()
        if self._usage is not None:
            self._estimator.learn(self._request, self._usage, self._answer_bytes)

    async def _next(self) -> bytes | None:
        """Read on until there is something to send; what came before a failure is sent before it is raised."""
        while self._failure is None:
            if self._done:
                return None
            chunk = await self._response.chunk()
            block = b"".join(self._relay(self._events.finish() if chunk is None else self._events.feed(chunk)))
            if chunk is None and not self._done:
                self._done = True
                if not self._finished:
                    self._failure = UpstreamGarbledError(
                        "The upstream ended its stream before the answer was complete."
                    )
            if block:
                return block
        raise self._failure

    def _relay(self, payloads: list[bytes]) -> list[bytes]:
        frames = []
        for payload in payloads:
            if self._done:
                break
            if payload == DONE:
                self._done = True
                frames.append(frame(payload))
            elif payload:
                try:
                    if self._inspect(payload):
                        frames.append(frame(payload))
                except GatewayError as error:
                    self._failure = error
                    break
        return frames

    def _inspect(self, payload: bytes) -> bool:
        """Meter one chunk and tell whether it goes to the caller."""
        chunk = _decode(_CHUNK, payload, "The upstream sent a chunk that is not a JSON object.")
        if _is_there(chunk.error):
            raise in_band(chunk.error, self._secret)
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._answer_bytes += max(len(memoryview(choice.delta)) - _EMPTY_DELTA_BYTES, 0)
                if memoryview(choice.finish_reason)[0] == _QUOTE:
                    self._finished = True
        if _is_there(chunk.usage):
            wire = _read_usage(chunk.usage)
            if wire is not None:
                self._usage = to_usage(wire)
                return bool(choices) or self._request.wants_usage
        return True


_QUOTE, _N = b'"n'


def _is_there(value: msgspec.Raw) -> bool:
    """Tell a value from null; JSON has no other value that starts with an n."""
    return memoryview(value)[0] != _N


def _read_usage(raw: msgspec.Raw) -> WireUsage | None:
    try:
        usage: WireUsage | None = USAGE_DECODER.decode(raw)
    except msgspec.DecodeError:
        return None
    return usage


def _decode(decoder: msgspec.json.Decoder[Any], text: bytes, message: str) -> Any:
    """Decode, forgiving what JSON allows and strict decoders refuse: half a surrogate pair."""
    try:
        try:
            return decoder.decode(text)
        except msgspec.DecodeError:
            return decoder.decode(without_lone_surrogates(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamGarbledError(message) from error


def _passed_on(response: Response) -> list[tuple[bytes, bytes]]:
    return [line for line in response.headers if line[0] in _PASSED_ON]


def _static_headers(settings: OpenAIUpstream) -> list[tuple[bytes, bytes]]:
    headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "tierway"}
    headers |= {name.lower(): value for name, value in settings.headers.items()}
    if settings.api_key is not None:
        name = settings.auth_header.lower()
        key = settings.api_key.reveal()
        headers[name] = f"Bearer {key}" if name == "authorization" else key
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
