"""From a complete stream to a record: its events are noted as they pass."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.answers.assembly.catalogue import ASSEMBLERS
from gateway.answers.plain import TIMES, answer_id_of, ids_of, record_document
from gateway.answers.reading import Document, decoded
from gateway.answers.record import Record
from gateway.answers.template import NOTHING, Template, cut_events
from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import Shape
from gateway.domain.usage import Usage
from gateway.upstreams.base import StreamReply
from gateway.upstreams.passing import PassingStream
from gateway.upstreams.sse import DONE, EventSplitter, frame, named_frame

MOST_BYTES: Final = 2**20
"""Of the events of an answer that is kept; at about 250 bytes a token, that is 4,000 tokens."""


_LONG_BYTES: Final = 64 * 2**10
"""Of events that are read off the event loop: it takes about 20 us a kilobyte."""

_DONE: Final = frame(DONE)


class NotedStream(PassingStream):
    """A stream whose events are noted on their way, so that they can be kept once it has ended.

    Args:
        stream: the answer.
        shape: of the request.
        most_bytes: of events; of a longer stream nothing is kept.
    """

    def __init__(self, stream: StreamReply, shape: Shape, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(stream)
        self._shape = shape
        self._room = most_bytes
        self._blocks: list[bytes] = []
        self._is_over = False

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        block = await self._stream.block()
        if block is None:
            self._is_over = True
            return None
        self._is_over = block.endswith(_DONE)  # who explains a stream reads no further
        if self._room >= 0:
            self._room -= len(block)
            self._blocks.append(block)
            if self._room < 0:
                self._blocks.clear()
        return block

    async def record(self) -> Record | None:
        """Return the record of the answer; None where the stream broke, was left before its end, or was too long."""
        if not self._is_over or self._room < 0:
            return None
        events, usage = b"".join(self._blocks), self._stream.usage()
        if len(events) < _LONG_BYTES:
            return record_stream(events, self._shape, usage, dropped=self.dropped)
        return await asyncio.to_thread(record_stream, events, self._shape, usage, dropped=self.dropped)


def record_stream(events: bytes, shape: Shape, usage: Usage, *, dropped: tuple[str, ...] | None = None) -> Record:
    """Return the record of a stream that was read to its end; `why_not` says whether to keep it.

    Args:
        events: all that was sent, framed.
        shape: of the request.
        usage: what it consumed, for shapes that tell it only to who asks.
        dropped: see `PlainReply`.
    """
    assembler = ASSEMBLERS.get(shape)
    if assembler is None:
        return Record(shape=shape, flaw="shape")
    try:
        splitter = EventSplitter()
        payloads = [*splitter.feed(events), *splitter.finish()]
    except UpstreamGarbledError:
        return Record(shape=shape, flaw="unreadable")
    payloads = [payload for payload in payloads if payload and payload != DONE]
    read = [decoded(payload) for payload in payloads]
    documents = [document for document, _ in read if document is not None]
    assembled = assembler(documents, usage) if len(documents) == len(payloads) else None
    if assembled is None:
        return Record(shape=shape, flaw="unreadable")
    is_exact = assembled.is_exact and all(exact for _, exact in read)
    return _record(assembled.document, shape, payloads, documents, is_exact=is_exact, dropped=dropped)


def _record(
    whole: Document,
    shape: Shape,
    payloads: Sequence[bytes],
    documents: Sequence[Document],
    *,
    is_exact: bool,
    dropped: tuple[str, ...] | None,
) -> Record:
    record = record_document(whole, msgspec.json.encode(whole), shape, is_exact=is_exact, dropped=dropped)
    if record.flaw or record.is_rendered:
        return record
    places = _Places(whole, shape)
    kept = zip(payloads, documents, strict=True)
    framed = b"".join(_framed(payload, event, shape) for payload, event in kept if not _only_tells_usage(event, shape))
    usage_event = _usage_event(whole, shape)
    return msgspec.structs.replace(
        record,
        whole=record.whole if is_exact else NOTHING,
        events=places.cut(framed),
        usage_event=places.cut(usage_event) if usage_event else NOTHING,
    )


class _Places:
    """Where ids and times stand in the events of an answer."""

    def __init__(self, whole: Document, shape: Shape) -> None:
        self._answer_id = answer_id_of(whole)
        self._times = TIMES.get(shape, ())
        created: Any = next((whole[name] for name in self._times if isinstance(whole.get(name), int)), None)
        self._created: int | None = created
        self._ids = list(ids_of(whole, shape))

    def cut(self, events: bytes) -> Template:
        return cut_events(events, self._answer_id, self._created, self._times, self._ids)


def _framed(payload: bytes, event: Document, shape: Shape) -> bytes:
    return frame(payload) if shape == "chat" else named_frame(str(event.get("type", "")).encode(), payload)


def _only_tells_usage(event: Document, shape: Shape) -> bool:
    return shape == "chat" and not event.get("choices") and isinstance(event.get("usage"), dict)


def _usage_event(whole: Document, shape: Shape) -> bytes:
    if shape != "chat" or "usage" not in whole:
        return b""
    named = {name: whole[name] for name in ("id", "created", "model") if name in whole}
    return frame(
        msgspec.json.encode({**named, "object": "chat.completion.chunk", "choices": [], "usage": whole["usage"]})
    )
