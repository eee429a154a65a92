"""The built-in offline upstream: deterministic answers without a network, in every shape a client may ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

import msgspec

from gateway.domain.chat import ChatRequest
from gateway.domain.completions import CompletionsRequest
from gateway.domain.embeddings import EmbeddingsRequest
from gateway.domain.errors import DeadlineExceededError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import ModelCall, PlainReply, Reply
from gateway.upstreams.echo_answer import complete, stream
from gateway.upstreams.echo_texts import continue_text, embed
from gateway.upstreams.metering import WireUsage, to_usage
from gateway.upstreams.settings import EchoUpstream
from gateway.upstreams.sse import DONE, frame
from gateway.upstreams.transport import Patience


class Echo:
    """Answers from the request itself.

    Args:
        name: its name in the settings.
        settings: how slow it pretends to be.
    """

    def __init__(self, name: str, settings: EchoUpstream) -> None:
        self.name = name
        self.shapes: set[Shape] = {"chat", "completions", "embeddings"}
        self.unwanted: dict[str, set[str]] = {}
        self._delay_s = settings.delay_ms / 1000
        self._calls = 0

    async def answer(self, call: ModelCall) -> Reply:
        """Answer a request; see `Upstream.answer`."""
        self._calls += 1
        await _pause(self._delay_s, call.patience)
        digest = blake2b(call.request.body, digest_size=12).hexdigest()
        if isinstance(call.request, EmbeddingsRequest):
            return _plain(await asyncio.to_thread(embed, call.request.document, call.model), call.model)
        if isinstance(call.request, CompletionsRequest):
            return self._continue(call, call.request, digest)
        return await self._chat(call, cast(ChatRequest, call.request), digest)

    async def _chat(self, call: ModelCall, request: ChatRequest, digest: str) -> Reply:
        answer_id, created = "chatcmpl-" + digest, int(time.time())
        if request.stream:
            asked = {**request.document, "stream_options": {"include_usage": True}}
            chunks = stream(asked, call.model, answer_id=answer_id, created=created)
            return EchoStream(chunks, self._delay_s, call.patience, wants_usage=request.wants_usage)
        answer = await asyncio.to_thread(complete, request.document, call.model, answer_id=answer_id, created=created)
        return _plain(answer, call.model)

    def _continue(self, call: ModelCall, request: CompletionsRequest, digest: str) -> Reply:
        answer = continue_text(request.document, call.model, answer_id="cmpl-" + digest, created=int(time.time()))
        if not request.stream:
            return _plain(answer, call.model)
        chunks = [{**answer, "choices": [choice]} for choice in answer["choices"]]
        for chunk in chunks:
            del chunk["usage"]
        chunks.append({**answer, "choices": []})
        return EchoStream(iter(chunks), self._delay_s, call.patience, wants_usage=request.wants_usage)

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:  # noqa: ARG002  the seam's signature
        """Count a token for every four bytes; see `CountSupport.estimate_tokens`."""
        return max(1, len(request.body) // 4)

    async def close(self) -> None:
        """Nothing to let go of."""

    def counters(self) -> Mapping[str, int]:
        """Return the calls made so far."""
        return {"calls": self._calls, "sent_bytes": 0, "received_bytes": 0}


class EchoStream:
    """The chunks of one answer, one a block."""

    headers: Sequence[tuple[bytes, bytes]] = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""

    def __init__(
        self, chunks: Iterator[dict[str, Any]], delay_s: float, patience: Patience, *, wants_usage: bool
    ) -> None:
        self._chunks = chunks
        self._delay_s = delay_s
        self._patience = patience
        self._wants_usage = wants_usage
        self._usage = NO_USAGE
        self._generated = 0
        self._done = False

    @property
    def is_ended(self) -> bool:
        """Whether all chunks were given."""
        return self._done

    async def block(self) -> bytes | None:
        """Return the next event, framed; see `StreamReply.block`."""
        await _pause(self._delay_s, self._patience)
        while (chunk := await self._next()) is not None:
            self._generated += 1
            if usage := chunk.get("usage"):
                self._usage = _usage(usage)
            if not self._wants_usage:
                chunk.pop("usage", None)
            if chunk["choices"] or self._wants_usage:
                return frame(msgspec.json.encode(chunk))
        if self._done:
            return None
        self._done = True
        return frame(DONE)

    async def _next(self) -> dict[str, Any] | None:
        """Return the next chunk. The first is where the answer is made up, which a hostile schema can draw out."""
        if self._generated:
            return next(self._chunks, None)
        return await asyncio.to_thread(next, self._chunks, None)

    def usage(self) -> Usage:
        """Return the usage of the answer, or the chunks given so far when it was cut."""
        if self._usage is not NO_USAGE:
            return self._usage
        return Usage(output_tokens=self._generated, provenance="counted")

    async def close(self) -> None:
        """Nothing to stop."""


async def _pause(seconds: float, patience: Patience) -> None:
    """Wait, but not past the caller's deadline."""
    if not seconds:
        return
    left = patience.deadline - asyncio.get_running_loop().time()
    await asyncio.sleep(max(min(seconds, left), 0.0))
    if left < seconds:
        raise DeadlineExceededError("The request's deadline passed before the answer was complete.")


def _plain(answer: dict[str, Any], model: str) -> PlainReply:
    return PlainReply(body=msgspec.json.encode(answer), usage=_usage(answer["usage"]), answered_model=model)


def _usage(fields: dict[str, Any]) -> Usage:
    return to_usage(msgspec.convert(fields, WireUsage))
