"""A stream whose events are guarded on their way to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter
from typing import Final, NamedTuple

import msgspec

from gateway.answers.reading import Document, decoded
from gateway.domain.errors import GatewayError, StageUnavailableError
from gateway.guarding.events.base import EventGuard
from gateway.guarding.scanning import in_turns
from gateway.upstreams.base import StreamReply
from gateway.upstreams.passing import PassingStream
from gateway.upstreams.sse import DONE, frame, named_frame
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.steps import finish

_DATA: Final = b"data: "
_END: Final = b"\n\n"

AT_ONCE_BYTES: Final = 16 * 1024
"""Of answers and of events that are guarded on the loop whatever is looked for, in some 1 ms of ordinary text."""

_FEW_BYTES: Final = 4 * 1024
"""Of blocks of streams that are guarded without a pause: a few events."""

Forget = Callable[[str], Awaitable[None]]
"""Forgets an answer by its id."""

_TURN_S: Final = 0.001
"""Seconds of work after which others get a turn."""


class Ending(NamedTuple):
    """How a stream ends in which something must not pass.

    Attributes:
        refuse: makes the error.
        forget: forgets what is kept of the answer; nothing is where it is None.
    """

    refuse: Callable[[Finding], GatewayError]
    forget: Forget | None


class GuardedStream(PassingStream):
    """A stream that holds back what may have to be changed, and ends with an error at what must not pass.

    Events of which nothing changes are passed on byte for byte. What was held back is sent before the end, and before
    the error of a stream that breaks.

    Args:
        stream: the answer.
        events: guards the events of its shape.
        inspection: of the request; is told the time that was spent.
        ending: how it ends where something must not pass.
        is_named: whether events have names.
    """

    def __init__(
        self, stream: StreamReply, events: EventGuard, inspection: Inspection, ending: Ending, *, is_named: bool
    ) -> None:
        super().__init__(stream)
        self._events, self._inspection, self._ending = events, inspection, ending
        self._is_named = is_named
        self._failure: GatewayError | None = None
        self._is_over = False

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`.

        Raises:
            AnswerRejectedError: something must not pass.
            StageUnavailableError: the guard broke.
        """
        since = perf_counter()
        while self._failure is None:
            if self._is_over:
                return None
            block = await self._read()
            began = perf_counter()
            if block is None or len(block) <= _FEW_BYTES:
                sent = self._safely(block)
            else:
                sent = await self._large(block)
            self._inspection.spent_us += round((perf_counter() - began) * 1e6)
            if self._events.blocked is not None:
                await self._end(self._events.blocked)
            if sent:
                return sent
            if perf_counter() - since > _TURN_S:  # what has arrived already is read without a pause
                await asyncio.sleep(0)
                since = perf_counter()
        raise self._failure

    async def _end(self, finding: Finding) -> None:
        """End the stream with an error, leave the upstream, and let nobody fetch the answer by its id."""
        self._failure = self._ending.refuse(finding)
        await self._stream.close()
        if self._ending.forget is not None and self._stream.response_id:
            await self._ending.forget(self._stream.response_id)

    async def _read(self) -> bytes | None:
        try:
            block = await self._stream.block()
        except GatewayError as error:
            self._failure = error
            return None
        self._is_over = block is None
        return block

    def _safely(self, block: bytes | None) -> bytes:
        """Guard a block, the end of the stream where there is none. What breaks here lets nothing through."""
        try:
            return self._rest() if block is None else finish(self._guarded(block))
        except Exception as error:  # noqa: BLE001  closed: nobody knows what would pass
            return self._broken(error)

    async def _large(self, block: bytes) -> bytes:
        """Guard a block of many events with turns for others, one with a large event in a thread; see `_safely`."""
        if max(map(len, block.split(_END))) > AT_ONCE_BYTES:
            return await asyncio.to_thread(self._safely, block)
        try:
            return await in_turns(self._guarded(block))
        except Exception as error:  # noqa: BLE001  as above
            return self._broken(error)

    def _broken(self, error: Exception) -> bytes:
        self._failure = StageUnavailableError("the guard is unavailable")
        self._failure.__cause__ = error
        return b""

    def _guarded(self, block: bytes) -> Generator[None, None, bytes]:
        frames: list[bytes] = []
        is_changed = False
        for event in block.split(_END):
            if not event:
                continue
            made = self._of_event(event)
            is_changed = is_changed or made is not None
            frames.append(event + _END if made is None else made)
            if self._events.blocked is not None:
                return b"".join(frames)
            yield
        return b"".join(frames) if is_changed else block

    def _of_event(self, event: bytes) -> bytes | None:
        """Return what is sent in place of an event; None for the event as it came."""
        payload = event[6:] if event.startswith(_DATA) and b"\n" not in event else _payload(event)
        if payload == DONE:
            rest = self._rest()
            return rest + frame(DONE) if rest else None
        if not payload:
            return None
        document, _ = decoded(payload)
        if document is None:
            raise ValueError("an event is no JSON object")
        made = self._events.take(document)
        return None if made is None else b"".join(map(self._framed, made))

    def _rest(self) -> bytes:
        return b"".join(map(self._framed, self._events.rest()))

    def _framed(self, document: Document) -> bytes:
        payload = msgspec.json.encode(document)
        return named_frame(str(document.get("type", "")).encode(), payload) if self._is_named else frame(payload)


def _payload(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
