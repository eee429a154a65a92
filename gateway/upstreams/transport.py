"""The transport seam: send a prepared request, get a head and a stream of bytes, in time or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.domain.errors import DeadlineExceededError, UpstreamGarbledError, UpstreamTimeoutError
from gateway.upstreams.settings import Timeouts

MAX_ANSWER_BYTES = 64 * 2**20
"""The longest plain answer that is held in memory; OpenAI's longest are a few hundred kilobytes."""

Headers = Sequence[tuple[bytes, bytes]]
"""Header lines in order; names in lower case."""


PLAIN_QUERY: Final = re.compile(rb"[!-~]*")
"""What the query of a target may hold: nothing that would end it."""


class Upload(msgspec.Struct, frozen=True):
    """A body that is still arriving.

    Attributes:
        chunks: its bytes, in pieces; what they raise ends the call.
        length: its length in bytes where that is known beforehand.
    """

    chunks: AsyncIterator[bytes]
    length: int | None = None


class Request(msgspec.Struct, frozen=True):
    """One request to an upstream: everything but the timing."""

    target: bytes
    """The request target: path and query."""
    headers: Headers
    """Without `host`, `content-length` and `transfer-encoding`, which the engine writes."""
    body: bytes | Upload
    method: bytes = b"POST"

    def __repr__(self) -> str:  # headers hold the credential, the body a prompt
        return f"Request({self.method!r}, {len(self.headers)} headers)"


class EngineResponse(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: Headers

    async def chunk(self) -> bytes | None:
        """Return the next bytes of the body, or None at its end.

        Raises:
            UpstreamUnreachableError: the connection broke.
            UpstreamGarbledError: the body ended before its announced length or framing was complete.
        """

    async def close(self) -> None:
        """Give the connection back, or abort it when the body has not been read to its end."""


class Engine(Protocol):
    """An HTTP client for one origin, with its pool."""

    async def send(self, request: Request) -> EngineResponse:
        """Send a request and wait for the head of its answer. Cancelling the call closes its connection.

        Raises:
            UpstreamUnreachableError: no connection, or it broke before the head was complete.
            UpstreamTimeoutError: connecting took longer than `connect_s`.
            UpstreamOverloadedError: no connection of the pool became free within `connect_s`.
            UpstreamGarbledError: what came back is not HTTP.
        """

    async def close(self) -> None:
        """Close every connection."""


class Patience:
    """How long a request waits for upstreams: cancels its task once one has been silent for too long.

    One timer serves a whole request: `wait` only notes how long the next byte may take, and the timer, when it
    fires, goes back to sleep if there was a byte in between. A stream of a thousand chunks sets one timer, and a
    second one where its bytes must follow sooner than the first had to come.

    Args:
        task: the task that waits.

    Attributes:
        deadline: the caller's own, in seconds of the loop's clock.
        first_byte_s: how long the next call may be silent before its first byte, whatever its upstream allows.
        total_s: how long the next call may take.
    """

    __slots__ = (
        "_call_ends", "_handle", "_late", "_limit", "_task", "_time", "_total", "_wakes", "deadline", "first_byte_s",
        "loop", "total_s",
    )  # fmt: skip

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.loop = task.get_loop()
        self._task = task
        self._time = self.loop.time
        self.deadline = self._total = self._call_ends = self.first_byte_s = self.total_s = _NEVER
        self._limit = self._wakes = _NEVER
        self._late = False
        self._handle: asyncio.TimerHandle | None = None

    def allow(self, seconds: float) -> None:
        """Set the caller's deadline, counted from now. A call that is under way keeps its own end."""
        self.deadline = self._time() + seconds
        self._total = min(self._call_ends, self.deadline)

    def begin(self, total_s: float, first_byte_s: float) -> None:
        """Start a call that may take `total_s` seconds, and `first_byte_s` until its first byte."""
        now = self._time()
        self._call_ends = now + min(total_s, self.total_s)
        self._total = min(self._call_ends, self.deadline)
        self._limit = min(now + min(first_byte_s, self.first_byte_s), self._total)
        if self._limit < self._wakes:
            self._set_timer()

    def wait(self, seconds: float) -> None:
        """Allow this many seconds from now until the next byte."""
        self._limit = min(self._time() + seconds, self._total)
        if self._limit < self._wakes:
            self._set_timer()

    def rest(self) -> None:
        """Stop counting: the next thing waited for is not the upstream."""
        self._limit = _NEVER

    def end(self) -> None:
        """Take the timer back."""
        self._limit = self._wakes = _NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def is_over(self) -> bool:
        """Tell whether the caller's deadline has passed."""
        return self._time() >= self.deadline

    @property
    def remaining_s(self) -> float:
        """Seconds until the caller's deadline, 0 once it has passed."""
        return max(self.deadline - self._time(), 0.0)

    def fork(self, task: asyncio.Task[object]) -> Patience:
        """Return the patience of another task that works on the same request, with a timer of its own."""
        other = Patience(task)
        other.deadline = self.deadline
        other.first_byte_s, other.total_s = self.first_byte_s, self.total_s
        return other

    def hand_to(self, task: asyncio.Task[object]) -> None:
        """Have another task wait from now on: what one task has begun to read, that one goes on with."""
        self._task = task

    def raise_if_late(self) -> None:
        """Turn a cancellation that this object caused into the error it stands for."""
        self._limit = _NEVER
        if not self._late:
            return
        self._late = False
        self._task.uncancel()
        if self.is_over():
            raise DeadlineExceededError("The request's deadline passed before the answer was complete.")
        raise UpstreamTimeoutError("The upstream did not answer in time.")

    def _set_timer(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes = self._limit
        self._handle = self.loop.call_at(self._limit, self._fire)

    def _fire(self) -> None:
        self._handle, self._wakes = None, _NEVER
        if self._limit == _NEVER:
            return
        if self._time() < self._limit:
            self._set_timer()
        else:
            self._late = True
            self._task.cancel()


_NEVER: Final = float("inf")


class Transport:
    """Calls one upstream within its timeouts and each request's own deadline.

    Args:
        engine: does the HTTP.
        timeouts: how long the upstream may be silent.
    """

    def __init__(self, engine: Engine, timeouts: Timeouts) -> None:
        self._engine = engine
        self._total_s = timeouts.total_s
        self._first_byte_s = timeouts.first_byte_s
        self.idle_s = timeouts.idle_s
        self.calls = self.sent_bytes = self.received_bytes = 0

    async def send(self, request: Request, patience: Patience) -> Response:
        """Send a request and wait for the head of its answer.

        Args:
            request: what to send.
            patience: of the request that is answered.

        Raises:
            DeadlineExceededError: the caller's deadline passed.
            UpstreamTimeoutError: the upstream was silent for longer than its timeouts allow.
            UpstreamError: whatever else the engine met.
        """
        self.calls += 1
        patience.begin(self._total_s, self._first_byte_s)
        if isinstance(request.body, Upload):
            upload = Upload(self._watched(request.body.chunks, patience), request.body.length)
            request = msgspec.structs.replace(request, body=upload)
        else:
            self.sent_bytes += len(request.body)
        try:
            response = await self._engine.send(request)
        except asyncio.CancelledError:
            patience.raise_if_late()
            raise
        except BaseException:
            patience.rest()
            raise
        return Response(response, patience, self)

    async def _watched(self, chunks: AsyncIterator[bytes], patience: Patience) -> AsyncIterator[bytes]:
        """Count an upload; the caller's pauses are not the upstream's, whose time starts anew with each piece."""
        patience.rest()
        async for chunk in chunks:
            self.sent_bytes += len(chunk)
            patience.wait(self._first_byte_s)
            yield chunk
            patience.rest()
        patience.wait(self._first_byte_s)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.close()

    def counters(self) -> Mapping[str, int]:
        """Return calls made and body bytes moved so far. They count here, so that no route goes unmetered."""
        return {"calls": self.calls, "sent_bytes": self.sent_bytes, "received_bytes": self.received_bytes}


class Response:
    """An answer whose head has arrived; `close` must be called, in every case."""

    __slots__ = ("_patience", "_response", "_transport", "headers", "status")

    def __init__(self, response: EngineResponse, patience: Patience, transport: Transport) -> None:
        self._response = response
        self._patience = patience
        self._transport = transport
        self.status = response.status
        self.headers = response.headers

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def chunk(self) -> bytes | None:
        """Return the next bytes of the body, or None at its end. Raises what `Transport.send` does."""
        patience = self._patience
        patience.wait(self._transport.idle_s)
        try:
            chunk = await self._response.chunk()
        except asyncio.CancelledError:
            patience.raise_if_late()
            raise
        finally:
            patience.rest()
        if chunk is not None:
            self._transport.received_bytes += len(chunk)
        return chunk

    async def read(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamGarbledError: it is longer than `limit` bytes.
        """
        body = await self.chunk() or b""
        if (chunk := await self.chunk()) is None:
            return body
        pieces, size = [body], len(body)
        while chunk is not None:
            pieces.append(chunk)
            size += len(chunk)
            if size > limit:
                raise UpstreamGarbledError("The upstream's answer is longer than the gateway accepts.")
            chunk = await self.chunk()
        return b"".join(pieces)

    async def close(self) -> None:
        """Give the connection back, or abort it when the body was not read to its end."""
        self._patience.rest()
        await self._response.close()
