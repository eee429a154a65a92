"""From a record back to an answer: plain, or as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

import msgspec

from gateway.answers.record import Record
from gateway.answers.rendering.base import How
from gateway.answers.rendering.catalogue import RENDERERS
from gateway.answers.template import Fresh, fill, new_id
from gateway.domain.usage import Usage
from gateway.upstreams.base import Headers, PlainReply
from gateway.upstreams.sse import DONE, frame

_EVENTS_A_BLOCK: Final = 16
"""Events of a stream that are sent together: each block costs a message to the server and a turn of the loop."""


def plain_again(record: Record, usage: Usage, answered_model: str, new: Fresh) -> PlainReply:
    """Return a kept answer as a plain one. `record.serves(stream=False)` must be true.

    Its usage is told as it was: those are the tokens of this answer, though nobody pays for them twice.
    """
    return PlainReply(
        body=fill(record.whole, new),
        usage=usage,
        answered_model=answered_model,
        response_id=_response_id(record, new),
        dropped=record.dropped,
    )


def stream_again(record: Record, usage: Usage, new: Fresh, how: How, *, wants_usage: bool) -> StreamAgain:
    """Return a kept answer as a stream. `record.serves(stream=True)` must be true.

    Args:
        record: the answer.
        usage: what it consumed.
        new: its new ids.
        how: in which pieces.
        wants_usage: whether the caller asked for the usage chunk of chat.
    """
    if record.events:
        events = _events(record, new, how, wants_usage=wants_usage)
    else:
        document = msgspec.json.decode(fill(record.whole, new))
        events = RENDERERS[record.shape].events(document, how, wants_usage=wants_usage)
    return StreamAgain(events, usage, how, response_id=_response_id(record, new), dropped=record.dropped)


class StreamAgain:
    """The stream of a kept answer: all of it is there, and given as fast as it is taken.

    Args:
        events: framed; made while they are taken.
        usage: what the answer consumed when it was made.
        how: in pieces, or all in one block.
        response_id, dropped: see `StreamReply`.
    """

    headers: Headers = ()
    final = b""
    is_ended = True

    def __init__(
        self, events: Iterator[bytes], usage: Usage, how: How, *, response_id: str, dropped: tuple[str, ...] | None
    ) -> None:
        self._events = events
        self._usage = usage
        self._most = None if how == "at_once" else _EVENTS_A_BLOCK
        self.response_id = response_id
        self.dropped = dropped

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        return b"".join(islice(self._events, self._most)) or None

    def usage(self) -> Usage:
        """Return what the answer consumed when it was made."""
        return self._usage

    async def close(self) -> None:
        """Nothing to stop."""
        self._events = iter(())


def _events(record: Record, new: Fresh, how: How, *, wants_usage: bool) -> Iterator[bytes]:
    """Return the events that came, with new ids, and what was left out of them."""
    text = fill(record.events, new)
    events = [text] if how == "at_once" else [event + b"\n\n" for event in text.split(b"\n\n")[:-1]]
    ends = []
    if record.shape == "chat":
        if wants_usage and record.usage_event:
            ends.append(fill(record.usage_event, new))
        ends.append(frame(DONE))
    return chain(events, ends)


def _response_id(record: Record, new: Fresh) -> str:
    """Return the new id of a response; other shapes have none that later calls refer to."""
    return new_id(record.whole or record.events, new) if record.shape == "responses" else ""
