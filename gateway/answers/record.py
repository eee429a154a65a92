"""The one form in which an answer is kept, whether it came whole or as a stream."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.answers.template import NOTHING, Template
from gateway.domain.request import Shape


class Record(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An answer, complete.

    Attributes:
        shape: of the request it answers.
        whole: the plain answer; empty where it cannot be told from the stream that came.
        is_rendered: whether `whole` says everything that its stream would.
        events: the events of the stream that came, framed, without those that only tell usage and without `[DONE]`;
            empty where none came, or where `whole` says it all.
        usage_event: what tells the usage in the place of the one that was left out; chat only.
        dropped: see `PlainReply`.
        flaw: why it must not be given again, in a word; see `gateway.answers.flaws`. Empty where it may.
        calls_tools: whether the caller has to run tools for it.
    """

    shape: Shape
    whole: Template = NOTHING
    is_rendered: bool = False
    events: Template = NOTHING
    usage_event: Template = NOTHING
    dropped: tuple[str, ...] | None = None
    flaw: str = ""
    calls_tools: bool = False

    def serves(self, *, stream: bool) -> bool:
        """Tell whether a caller that wants a stream, or none, can be answered with it."""
        return bool(self.events) or (self.is_rendered and bool(self.whole)) if stream else bool(self.whole)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode


def pack(record: Record) -> bytes:
    """Return a record as bytes."""
    return _encode(record)


def unpack(packed: bytes) -> Record | None:
    """Return what was packed; None for what another version of the gateway packed."""
    try:
        return _decode(packed)
    except msgspec.DecodeError:
        return None


def why_not(record: Record, *, tool_calls: bool = True) -> str | None:
    """Return why an answer must not be kept, in a word for metrics; None where it may.

    `error`, `refused`, `truncated` (the limit was reached), `filtered`, `unfinished` (stopped for another reason than
    that it was complete), `empty`, `hosted_tools` (the provider ran tools, whose results age), `unreadable`, `shape`
    (of a kind that is not kept), `large`, `tools` (it calls tools, and the settings keep none of those).

    Args:
        record: the answer.
        tool_calls: whether answers that call tools are kept.
    """
    if record.flaw:
        return record.flaw
    if not record.whole and not record.events:
        return "unreadable"
    return "tools" if record.calls_tools and not tool_calls else None
