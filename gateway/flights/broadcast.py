"""A stream that is read once and handed to everybody who asked for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.domain.errors import SharedAnswerLostError
from gateway.domain.usage import Usage
from gateway.flights.base import Interest
from gateway.upstreams.base import Headers, StreamReply

_STRIDE: Final = 64
"""Blocks that are read before others run, where the upstream never makes the reader wait."""


class Room:
    """Bytes kept of all streams together.

    Attributes:
        most: the bound. Beyond it a stream keeps only what its leader has not read, and the newest block.
        used: bytes that are kept now.
    """

    __slots__ = ("most", "used")

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0


class Broadcast:
    """Reads a stream and keeps what it has read for those who join later, up to a bound.

    While nobody has joined, the leader reads for itself, in its own task: what it costs is a list's `append`. From the
    first follower on a task reads, which goes on when the leader leaves. It never waits for a follower: one that falls
    behind by more than is kept is cut loose. It waits for the leader, as the leader's connection would.

    Args:
        stream: closed with the broadcast.
        interest: who needs it.
        room: what all broadcasts share.
        most_bytes: that are kept of this one.
        hand_to: see `Errand`.
        retire: called when nobody can join any more; more than once, perhaps.

    Attributes:
        count: blocks that were read.
        is_whole: everything since the beginning is kept.
        is_over: nothing more will come.
    """

    __slots__ = (
        "_bell", "_bytes", "_error", "_first", "_hand_to", "_has_landed", "_is_reading", "_kept", "_led_at",
        "_most_bytes", "_pump", "_retire", "_room", "count", "interest", "is_over", "is_whole", "stream",
    )  # fmt: skip

    def __init__(
        self,
        stream: StreamReply,
        interest: Interest,
        room: Room,
        most_bytes: int,
        hand_to: Callable[[asyncio.Task[object]], None],
        retire: Callable[[], None],
    ) -> None:
        self.stream, self.interest = stream, interest
        self.is_whole, self.is_over = True, False
        self._room, self._most_bytes, self._hand_to, self._retire = room, most_bytes, hand_to, retire
        self._error: BaseException | None = None
        self._kept: list[bytes] = []
        self._first = self._led_at = self.count = self._bytes = 0
        self._is_reading = self._has_landed = False
        self._pump: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        if interest.outlives or not interest.leader_is_here:
            self._start_pump()

    @property
    def events(self) -> bytes | None:
        """All events, None where the stream has not ended well or not everything is kept."""
        is_complete = self.is_over and self._error is None and self.is_whole
        return b"".join(self._kept) if is_complete else None

    @property
    def error(self) -> BaseException | None:
        """Why the stream ended, None where it has not or has ended well."""
        return self._error

    @property
    def is_alone(self) -> bool:
        """Whether the leader reads the stream itself."""
        return self._pump is None

    async def lead(self) -> bytes | None:
        """Return the leader's next events; see `StreamReply.block`."""
        if self._pump is not None or self.is_over:
            block = await self.next(self._led_at)
            self._led_at = self.count
            self._ring()  # the task that reads may wait for the leader
            return block
        self._is_reading = True
        try:
            block = await self.stream.block()
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self._is_reading = False
        if block is None:
            self._end(None)
            return None
        self._add(block)
        self._led_at = self.count
        if self.interest.followers:
            self._start_pump()
        return block

    async def follow(self) -> FollowedStream | None:
        """Join, from the beginning; None where that is not possible, or the stream failed before its first event.

        The follower counts in `interest` already. Events are handed out once the task that reads has taken over: until
        then the leader's leaving would cut the stream.
        """
        if not self._is_reading:
            self._start_pump()
        while self.is_whole and not self.is_over and (self._pump is None or not self.count):
            await self._bell.wait()
        if not self.is_whole or self._error is not None:
            return None
        return FollowedStream(self, b"".join(self._kept))

    async def next(self, seen: int) -> bytes | None:
        """Wait for more than so many blocks, and return all from there on as one; None when there are no more."""
        while seen >= self.count:
            if not self.is_over:
                await self._bell.wait()
            elif self._error is None:
                return None
            elif isinstance(self._error, Exception):
                raise self._error
            else:
                raise SharedAnswerLostError("The call whose answer this request shared was ended. Ask again.")
        if seen < self._first:
            raise SharedAnswerLostError("An answer that is shared was read too slowly. Ask again.")
        blocks = self._kept[seen - self._first :]
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def leave(self) -> None:
        """Take a follower off."""
        self.interest.followers -= 1
        self.look()

    def look(self) -> None:
        """Go on for those who are left, or stop where nobody is."""
        if not self.interest.is_wanted:
            self.stop()
        elif not self.interest.leader_is_here and not self._is_reading:
            self._start_pump()
            self._ring()
        if self._has_landed and not self.interest.followers:
            self._forget()

    def stop(self) -> None:
        """Read no further."""
        if not self.is_over:
            self._end(asyncio.CancelledError())
            if self._pump is not None:
                self._pump.cancel()

    async def land(self, within_s: float) -> None:
        """End the leader's part: wait while others need the stream, some seconds at most, and close it."""
        try:
            if self._pump is not None:
                await asyncio.wait((self._pump,), timeout=within_s)
        finally:
            self.stop()
        if self._pump is not None:
            await asyncio.wait((self._pump,))
        self._hand_to_this_task()
        await self.stream.close()

    def release(self) -> None:
        """Keep nothing any more, once the last follower has left."""
        self._has_landed = True
        self._retire = _nothing  # which holds who holds this
        self.look()

    def _start_pump(self) -> None:
        if self._pump is None and not self.is_over:
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="broadcast")
            self._hand_to(self._pump)
            self._ring()

    async def _run(self) -> None:
        try:
            while (block := await self.stream.block()) is not None:
                self._add(block)
                is_full = self._is_full
                if is_full or self.count % _STRIDE == 0:
                    await asyncio.sleep(0)  # who reads as fast as it can shall not fall behind
                if is_full:
                    self._make_room()
                while self._bytes > self._most_bytes and self.interest.leader_is_here:
                    await self._bell.wait()
                    self._make_room()
        except BaseException as error:
            self._end(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._end(None)

    def _add(self, block: bytes) -> None:
        self.count += 1
        if not self.is_whole and self._pump is None:
            self._first = self.count
            return
        self._kept.append(block)
        self._bytes += len(block)
        self._room.used += len(block)
        if self._pump is None and self._is_full:
            self._make_room()
        self._ring()

    @property
    def _is_full(self) -> bool:
        return self._bytes > self._most_bytes or self._room.used > self._room.most

    def _make_room(self) -> None:
        """Drop what was read longest ago: down to half the bound, so that it need not be done for every block."""
        alone = self._pump is None
        most = len(self._kept) if alone else len(self._kept) - 1
        if self.interest.leader_is_here and not alone:
            most = min(most, self._led_at - self._first)
        target = 0 if alone or self._room.used > self._room.most else self._most_bytes // 2
        number, left = 0, self._bytes
        while number < most and left > target:
            left -= len(self._kept[number])
            number += 1
        if number:
            self._room.used -= self._bytes - left
            self._bytes = left
            self._first += number
            del self._kept[:number]
            self.is_whole = False
            self._retire()

    def _end(self, error: BaseException | None) -> None:
        if self.is_over:
            return
        self.is_over, self._error = True, error
        if error is not None:
            self._retire()
        self._ring()

    def _forget(self) -> None:
        """Let go of what is kept."""
        self._room.used -= self._bytes
        self._bytes = 0
        self._first = self.count
        self._kept.clear()
        self.is_whole = False

    def _ring(self) -> None:
        self._bell.set()
        self._bell.clear()

    def _hand_to_this_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        self._hand_to(task)


def _nothing() -> None:
    """Do nothing."""


class _Shared:
    """What the two ends of a broadcast have in common: they tell of its stream."""

    __slots__ = ("_broadcast", "dropped", "headers")

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self.headers: Headers = broadcast.stream.headers
        self.dropped = broadcast.stream.dropped

    @property
    def response_id(self) -> str:
        """The id of a response; see `StreamReply`."""
        return self._broadcast.stream.response_id

    @property
    def final(self) -> bytes:
        """The whole response; see `StreamReply`."""
        return self._broadcast.stream.final

    @property
    def is_ended(self) -> bool:
        """Whether the upstream has been read to its end; see `StreamReply`."""
        return self._broadcast.stream.is_ended

    def usage(self) -> Usage:
        """Return what the one call has consumed so far."""
        return self._broadcast.stream.usage()


class LedStream(_Shared):
    """The stream as the one request sees it whose call it is. `Leader.close` closes it."""

    __slots__ = ()

    @property
    def events(self) -> bytes | None:
        """All events, None where the stream has not ended well or not everything is kept."""
        return self._broadcast.events

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        return await self._broadcast.lead()

    async def close(self) -> None:
        """Do nothing: others may read on."""


class FollowedStream(_Shared):
    """The stream as those see it who share it.

    Args:
        first: what had come when it was joined.
    """

    __slots__ = ("_first", "_is_open", "_seen")

    def __init__(self, broadcast: Broadcast, first: bytes) -> None:
        super().__init__(broadcast)
        self._first, self._seen = first, broadcast.count
        self._is_open = True

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`.

        Raises:
            SharedAnswerLostError: this reader was too slow, or the call was ended.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        block = await self._broadcast.next(self._seen)
        self._seen = self._broadcast.count
        return block

    async def close(self) -> None:
        """Read no further."""
        if self._is_open:
            self._is_open = False
            self._broadcast.leave()
