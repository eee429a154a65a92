"""The seam between the pipeline and whoever answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from gateway.domain.request import ModelRequest, Shape
from gateway.domain.usage import Usage
from gateway.upstreams.transport import Patience, Upload

Headers = Sequence[tuple[bytes, bytes]]

DEFAULT_OUTPUT_TOKENS = 8192
"""What is asked for where a bound must be named and neither the caller nor the model's settings name one. Every
model that Anthropic serves today generates that much (docs.claude.com, "Models overview", 2026-11)."""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at answering a request.

    Attributes:
        request: as the caller sent it.
        model: the model's name at the upstream.
        patience: how long the caller waits.
        headers: the caller's headers that travel on (tracing), names in lower case.
        query: of the caller's target.
        max_output_tokens: the longest answer to ask for where a bound is demanded and the caller set none.
        observe: is shown the headers of the upstream's answer, whatever its status.
    """

    request: ModelRequest
    model: str
    patience: Patience
    headers: Headers = ()
    query: bytes = b""
    max_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    observe: Callable[[Headers], None] | None = None


class PlainReply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer.

    Attributes:
        body: the JSON document, in the shape of the request.
        usage: what it consumed.
        headers: the upstream's headers that travel on to the caller.
        answered_model: the model's name in the answer, empty if it has none.
        response_id: the id of a response, empty in other shapes.
        dropped: members of a translated request that the upstream's shape has no words for; None for answers that
            are the upstream's own.
    """

    body: bytes
    usage: Usage
    headers: Headers = ()
    answered_model: str = ""
    response_id: str = ""
    dropped: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"PlainReply({len(self.body)} bytes)"


class StreamReply(Protocol):
    """An answer that arrives in pieces; its first piece is there already.

    Attributes:
        headers, response_id, dropped: as in `PlainReply`.
        final: the whole response, once a translated stream has ended; empty before and in other streams.
    """

    headers: Headers
    dropped: tuple[str, ...] | None

    @property
    def response_id(self) -> str:
        """The id of a response, empty in other shapes and before it is known."""

    @property
    def final(self) -> bytes:
        """The whole response, once a translated stream has ended; empty before and in other streams."""

    @property
    def is_ended(self) -> bool:
        """Whether the answer has been read to its end, so that `usage` is final; blocks may be still to come."""

    async def block(self) -> bytes | None:
        """Return the next server-sent events, framed, at least one of them; None when the stream is complete.

        Raises:
            UpstreamError: the stream broke; what came before it was sent.
        """

    def usage(self) -> Usage:
        """Return what has been consumed so far."""

    async def close(self) -> None:
        """Stop the upstream if it has not finished."""


Reply = PlainReply | StreamReply


class Upstream(Protocol):
    """Who answers: one entry of `upstreams` in the settings.

    Attributes:
        shapes: the shapes of request it answers by itself; others are translated.
        unwanted: by model, members of translated requests that it turned out to refuse.
    """

    name: str
    shapes: set[Shape]
    unwanted: dict[str, set[str]]

    async def answer(self, call: ModelCall) -> Reply:
        """Answer a request of one of its shapes; a stream is returned once its first event is there.

        Raises:
            UpstreamError: it failed, in the way its class says.
            DeadlineExceededError: the caller's deadline passed.
        """

    async def close(self) -> None:
        """Let go of connections."""

    def counters(self) -> Mapping[str, int]:
        """Return calls made and bytes moved so far, by metric name."""


class RelayCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is passed on as it is, of a kind the gateway does not judge.

    Attributes:
        path: below the upstream's base URL, starting with a slash, still percent-encoded.
        query: as sent, without its question mark.
        headers: the caller's headers that travel on, names in lower case.
        body: whole, or still arriving.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes | Upload
    patience: Patience

    def __repr__(self) -> str:
        return f"RelayCall({self.method}, {len(self.headers)} headers)"


class RelayReply(Protocol):
    """The answer to a `RelayCall`; `close` must be called, in every case."""

    status: int
    headers: Headers

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""

    async def close(self) -> None:
        """Stop the upstream if it has not finished."""


@runtime_checkable
class RelaySupport(Protocol):
    """An upstream that can be handed requests as they are."""

    async def relay(self, call: RelayCall) -> RelayReply:
        """Pass a request on and return its answer, whatever its status.

        Raises:
            UpstreamError: no answer came.
            DeadlineExceededError: the caller's deadline passed.
        """


@runtime_checkable
class CountSupport(Protocol):
    """An upstream that can say how many tokens a prompt has, without being asked over the network."""

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:
        """Return about how many tokens a prompt has for a model, at least 1."""
