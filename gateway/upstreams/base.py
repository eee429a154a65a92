"""The seam between the pipeline and whoever answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.domain.chat import ChatRequest
from gateway.domain.usage import Usage
from gateway.upstreams.transport import Patience


class ChatCall(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at answering a chat request.

    Attributes:
        request: as the caller sent it.
        model: the model's name at the upstream.
        patience: how long the caller waits.
        headers: the caller's headers that travel on (tracing), names in lower case.
    """

    request: ChatRequest
    model: str
    patience: Patience
    headers: Sequence[tuple[bytes, bytes]] = ()


class PlainReply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer.

    Attributes:
        body: the JSON document as it came.
        usage: what it consumed.
        headers: the upstream's headers that travel on to the caller.
        answered_model: the model's name in the answer, empty if it has none.
    """

    body: bytes
    usage: Usage
    headers: Sequence[tuple[bytes, bytes]] = ()
    answered_model: str = ""


class StreamReply(Protocol):
    """An answer that arrives in pieces; its first piece is there already."""

    headers: Sequence[tuple[bytes, bytes]]

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
    """Who answers: one entry of `upstreams` in the settings."""

    name: str

    async def chat(self, call: ChatCall) -> Reply:
        """Answer a chat request; a stream is returned once its first event is there.

        Raises:
            UpstreamError: it failed, in the way its class says.
            DeadlineExceededError: the caller's deadline passed.
        """

    async def close(self) -> None:
        """Let go of connections."""

    def counters(self) -> Mapping[str, int]:
        """Return calls made and bytes moved so far, by metric name."""
