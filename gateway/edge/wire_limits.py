"""What a connection may take of space and time, and the one timer of a server that looks after the time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import struct
import termios
import time
from collections.abc import Collection
from typing import Final, Protocol

import msgspec

from gateway.domain.errors import InvalidRequestError

MAX_HEAD_BYTES: Final = 64 * 1024
"""The longest head of a request; nginx's own bound is 32 KiB, and clients stay far below it.

Also the most framing of a body without a byte of the body in it: chunk extensions, trailers.
"""

MAX_HEADER_LINES: Final = 100
"""Header lines of a request, and of its trailer; SDKs send about 20, Apache's own bound is 100."""

MAX_TARGET_BYTES: Final = 8 * 1024
"""The longest request target; RFC 9112, section 3, asks for at least 8,000 octets."""

MAX_AHEAD: Final = 64
"""Requests that may wait for the one before them: they are a few kilobytes each, and 25 bytes make one."""

PAUSE_AHEAD: Final = 8
"""Waiting requests from which on the socket is not read; below, reading goes on, as it tells that the caller left."""

MIN_BODY_BYTES_PER_S: Final = 16 * 1024
"""The pace of a body over the whole of it, after `server.body_timeout_s`: 32 MB may take 34 minutes."""

LINGER_S: Final = 5.0
"""Seconds that a caller who was refused gets to read why, while what it still sends is thrown away.

Closing at once would answer those bytes with a reset, which on some systems destroys the answer (RFC 9112,
section 9.6); nginx's `lingering_timeout` is as long.
"""

LINGER_BYTES: Final = 32 * 2**20
"""The most of that."""

_LOOK_S: Final = 0.0002
"""How long connections are looked at in one go, about, which is what a request may have to wait for it."""

_PAUSE_S: Final = 0.005
"""From there to the next go, for as long as there is time."""


class WireLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in time; all in seconds, > 0, kept to within four ticks of the `Sweep` and its work."""

    header_timeout_s: float
    """From a connection's start, or from the first byte of a further head, to the head's end."""
    body_timeout_s: float
    """Without a byte of a body; before a body's overall pace counts; and for a body that nobody reads any more."""
    keep_alive_s: float
    """From an answer's end to the first byte of the next request."""
    stall_s: float
    """Without the caller's taking a byte of what is written to it."""


class Watched(Protocol):
    """A connection that a `Sweep` looks after."""

    def check(self, now: float) -> None:
        """End what has lasted too long by the loop's time `now`."""


class Sweep:
    """Looks at every connection of a server a few times a second.

    A timer for each request costs it 1.5 us; a look at 2,000 connections costs 3.4 ms. In one go, these made the 99th
    percentile of other requests 41 to 130 % longer in three runs of tests/soak/slow_sockets.py on a quiet machine, in
    pieces 3 to 27 % in six. The pieces are spread over a tick at most: what is left then, as when thousands time out at
    once, follows without a pause, or connections could be opened faster than they are ended.

    Args:
        limits: the bounds in time.
        refused: counts, by status, what connections refuse before it is a request or while its body comes.
    """

    def __init__(self, limits: WireLimits, refused: dict[int, int]) -> None:
        self.limits = limits
        self.refused = refused
        self._tick_s = min(0.5, *(limit / 5 for limit in msgspec.structs.astuple(limits)))
        self._is_running = False
        self._hurry_at = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, connections: Collection[Watched]) -> None:
        """Look after connections until there are none; while it does, this changes nothing."""
        if not self._is_running:
            self._is_running = True
            loop.call_later(self._tick_s, self._look, loop, connections)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: Collection[Watched]) -> None:
        self._hurry_at = loop.time() + self._tick_s
        self._look_on(loop, connections, list(connections))

    def _look_on(
        self, loop: asyncio.AbstractEventLoop, connections: Collection[Watched], waiting: list[Watched]
    ) -> None:
        """Look at some of those who wait for it, and soon at the next; then start again."""
        now, until = loop.time(), time.perf_counter() + _LOOK_S
        try:
            while waiting and time.perf_counter() < until:
                connection = waiting.pop()
                if connection in connections:
                    connection.check(now)
        finally:
            if waiting:
                loop.call_later(_PAUSE_S if now < self._hurry_at else 0.0, self._look_on, loop, connections, waiting)
            else:
                self._is_running = False
                if connections:
                    self.start(loop, connections)


def unacknowledged_bytes(transport: asyncio.BaseTransport) -> int:
    """Return how much of what the kernel was given the other side has not taken; 0 where the kernel does not tell."""
    return _queued_bytes(transport, termios.TIOCOUTQ)


def unread_bytes(transport: asyncio.BaseTransport) -> int:
    """Return how much has arrived that the loop has not read yet; 0 where the kernel does not tell."""
    return _queued_bytes(transport, termios.FIONREAD)


def _queued_bytes(transport: asyncio.BaseTransport, queue: int) -> int:
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            count: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), queue, b"\0\0\0\0"))[0]
            return count
    return 0


def refusal(status: int, message: str, code: str = "invalid_http") -> InvalidRequestError:
    """Return an error with a status of HTTP's own, which no other part of the gateway uses."""
    error = InvalidRequestError(message, code=code)
    error.status = status
    return error
