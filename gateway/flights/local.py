"""Equal requests of one process that share one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.domain.errors import StageUnavailableError
from gateway.flights.base import Errand, Flown, Interest, Outcome
from gateway.flights.broadcast import Broadcast, FollowedStream, LedStream, Room
from gateway.flights.settings import FlightSettings
from gateway.upstreams.base import PlainReply, Reply

MOST_LEADERS: Final = 2
"""Calls of others that a request waits for, one after the other. What made the first fail may have been its caller's
own: a deadline, a budget, a connection. If the second fails too, it is the request or the upstream."""


class _Flight:
    """A call that others may share, from its start until the request it was made for is over.

    Attributes:
        limit_at: the moment after which nobody waits for its answer to begin, seconds of the loop's clock.
        reply: the answer, once it has begun; a `LedStream` for a stream.
        broadcast: the stream, if it is one.
        error: why there is no answer, until the leader has raised it.
    """

    __slots__ = (
        "_arrived",
        "_key",
        "_owner",
        "broadcast",
        "error",
        "has_failed",
        "interest",
        "limit_at",
        "reply",
        "task",
    )

    def __init__(self, owner: Flights, key: bytes, limit_at: float) -> None:
        self._owner, self._key, self.limit_at = owner, key, limit_at
        self.interest = Interest(outlives=False)
        self.has_failed = False
        self.reply: PlainReply | LedStream | None = None
        self.broadcast: Broadcast | None = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()

    async def run(self, errand: Errand) -> None:
        """Make the call, let everybody know, and tell `landed` of an answer that is whole or failed."""
        try:
            reply = await errand.call()
        except BaseException as error:  # noqa: BLE001  raised again in the leader's task
            self.fail(error)
            if errand.landed is not None:
                await errand.landed(error)
            return
        self._arrive(reply, errand.hand_to)
        if isinstance(reply, PlainReply) and errand.landed is not None:
            await errand.landed(reply)  # a stream is whole when the leader's part ends

    async def land(self, errand: Errand, within_s: float) -> None:
        """End the leader's part of a stream, and tell `landed` of it; goes on when the caller is cancelled."""
        landing = asyncio.create_task(self._land(errand, within_s))
        self.hold(landing)
        await asyncio.shield(landing)

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a task that goes on, perhaps, when nobody waits for it."""
        if not task.done():
            self._owner.landings.add(task)
            task.add_done_callback(self._owner.landings.discard)

    async def _land(self, errand: Errand, within_s: float) -> None:
        broadcast = self.broadcast
        assert broadcast is not None  # noqa: S101  only streams are landed
        try:
            await broadcast.land(within_s)
            if errand.landed is not None:
                await errand.landed(self._outcome(broadcast))
        finally:
            self.retire()
            broadcast.release()

    def _outcome(self, broadcast: Broadcast) -> Outcome:
        """Return a stream that is whole, or why it is not."""
        if broadcast.error is not None:
            return broadcast.error
        assert self.reply is not None  # noqa: S101  there is one where there is a broadcast
        return self.reply if broadcast.is_whole else StageUnavailableError("the stream was too long to be kept")

    async def arrival(self) -> None:
        """Wait until the answer begins, or there is none."""
        await self._arrived.wait()

    @property
    def has_arrived(self) -> bool:
        """Whether the answer has begun, or there is none."""
        return self._arrived.is_set()

    async def follow(self) -> PlainReply | FollowedStream | None:
        """Wait for the answer of another one's call; None when it failed before its first byte."""
        await self._arrived.wait()
        if self.broadcast is not None:
            return await self.broadcast.follow()
        return self.reply if isinstance(self.reply, PlainReply) else None

    def look(self) -> None:
        """Go on for those who are left, or stop where nobody is."""
        if self.broadcast is not None:
            self.broadcast.look()
        elif not self.interest.is_wanted and self.reply is None:
            self.stop()

    def stop(self) -> None:
        """End the call if it has brought nothing."""
        if not self.has_arrived:
            self.fail(asyncio.CancelledError())
            if self.task is not None:
                self.task.cancel()

    def fail(self, error: BaseException) -> None:
        """Let those who wait do without."""
        if not self.has_arrived:
            self.error, self.has_failed = error, True
            self.retire()
            self._arrived.set()

    def retire(self) -> None:
        """Let nobody join any more."""
        if self._owner.table.get(self._key) is self:
            del self._owner.table[self._key]

    def _arrive(self, reply: Reply, hand_to: Callable[[asyncio.Task[object]], None]) -> None:
        if isinstance(reply, PlainReply):
            self.reply = reply
        else:
            owner = self._owner
            self.broadcast = Broadcast(reply, self.interest, owner.room, owner.stream_bytes, hand_to, self.retire)
            self.reply = LedStream(self.broadcast)
            if self.has_failed:  # it was stopped meanwhile
                self.broadcast.stop()
        self._arrived.set()


class Leader:
    """Makes the call that others may share.

    `close` must be called once the request is over, whatever happened.
    """

    __slots__ = ("_errand", "_flight", "_limit_s")

    def __init__(self, flight: _Flight, limit_s: float) -> None:
        self._flight, self._limit_s = flight, limit_s
        self._errand: Errand | None = None

    async def lead(self, errand: Errand) -> PlainReply | LedStream:
        """Make the call and return its answer. Cancelled, it leaves the call to those who wait for it.

        Raises:
            GatewayError: what the call has met.
        """
        flight = self._flight
        self._errand, flight.interest.outlives = errand, errand.outlives
        flight.task = asyncio.create_task(flight.run(errand))
        errand.hand_to(flight.task)
        try:
            await flight.arrival()
        except asyncio.CancelledError:
            self._leave()
            raise
        if flight.error is not None:
            try:
                raise flight.error
            finally:
                flight.error = None  # which holds this frame, and with it the flight
        assert flight.reply is not None  # noqa: S101  there is one where there is no error
        if flight.broadcast is None or flight.broadcast.is_alone:
            _hand_to_this_task(errand)
        return flight.reply

    async def close(self) -> None:
        """End the leader's part: wait while others need its call, within the limit, and end what is left of it.

        What the call has consumed is final afterwards. Called again it does nothing.
        """
        flight, errand = self._flight, self._errand
        if errand is None:
            return
        self._errand = None
        self._leave()
        try:
            await self._end_call()
        finally:
            if flight.broadcast is None:
                flight.retire()
            else:
                await flight.land(errand, self._limit_s)

    async def _end_call(self) -> None:
        flight, task = self._flight, self._flight.task
        assert task is not None  # noqa: S101  it was led
        if not task.done():
            try:
                await asyncio.wait((task,), timeout=self._limit_s)
            finally:
                flight.stop()
                flight.hold(task)
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if not task.cancelled():
            task.result()  # what `landed` has met

    def _leave(self) -> None:
        self._flight.interest.leader_is_here = False
        self._flight.look()


class Follower:
    """Waits for the answer to another one's call."""

    __slots__ = ("_flight",)

    def __init__(self, flight: _Flight) -> None:
        self._flight = flight

    async def reply(self, give_up_at: float) -> PlainReply | FollowedStream | None:
        """Return the answer, a stream from its beginning; `close` of that must be called.

        Args:
            give_up_at: seconds of the loop's clock.

        Returns:
            None when there is none to share: the call failed, or did not begin to answer in time.
        """
        flight = self._flight
        reply: PlainReply | FollowedStream | None = None
        flight.interest.followers += 1
        limit = asyncio.timeout_at(give_up_at if flight.has_arrived else min(give_up_at, flight.limit_at))
        try:
            async with limit:
                reply = await flight.follow()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            if not isinstance(reply, FollowedStream):
                flight.interest.followers -= 1
                flight.look()
        return reply


class Flights:
    """Lets equal requests of this process share one call.

    The first of them makes it, the others wait. If it fails, is ended or takes longer than the limit, the next of them
    makes one, which the rest wait for; who has waited for two, or for as long as the limit allows, goes at once and
    alone. So a failure that was the first caller's own costs one call more instead of one for each who waits, and
    nobody waits for the same fault again and again.

    A caller that leaves while others wait leaves its call to them: the upstream has been asked, and asking it again
    would be paid again. Its request is over when the call is (`Leader.close`), so that it is charged for all of it,
    and those who listen for nothing.

    Args:
        settings: how long, and how much is kept.

    Attributes:
        shared: requests that were answered by the call of another one.
        orphaned: those that waited for one in vain.
        room: bytes kept of streams.
        stream_bytes: that are kept of one stream at most.
        table: the calls that may be joined.
        landings: what is left to do for requests that are over.
    """

    def __init__(self, settings: FlightSettings) -> None:
        self.settings = settings
        self.shared = self.orphaned = 0
        self.room = Room(int(settings.all_streams_mb * 2**20))
        self.stream_bytes = int(settings.stream_mb * 2**20)
        self.table: dict[bytes, _Flight] = {}
        self.landings: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """How many calls may be joined."""
        return len(self.table)

    def join(self, key: bytes) -> Leader | Follower:
        """Join those who want the same; the first leads.

        What is joined is used at once: there must be no `await` before `Leader.lead` or `Follower.reply`.
        """
        flight = self.table.get(key)
        now = asyncio.get_running_loop().time()
        if flight is not None and (flight.has_arrived or now < flight.limit_at):
            return Follower(flight)
        flight = self.table[key] = self._new(key, now)
        return Leader(flight, self.settings.limit_s)

    async def fly(self, key: bytes, errand: Errand) -> Flown:
        """Answer a request; see `SingleFlight.fly`."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + min(self.settings.limit_s, (errand.deadline - loop.time()) / 2)
        for _ in range(MOST_LEADERS):
            part = self.join(key)
            if isinstance(part, Leader):
                return await _led(part, errand)
            reply = await part.reply(give_up_at)
            if reply is not None:
                self.shared += 1
                if isinstance(reply, FollowedStream):
                    errand.on_close(reply.close)
                return Flown(reply, is_shared=True)
            self.orphaned += 1
            if loop.time() >= give_up_at:
                break
        return await _led(Leader(self._new(key, loop.time()), self.settings.limit_s), errand)

    async def close(self) -> None:
        """Wait for what is left to do."""
        if self.landings:
            await asyncio.wait(self.landings)

    def _new(self, key: bytes, now: float) -> _Flight:
        return _Flight(self, key, now + self.settings.limit_s)


async def _led(leader: Leader, errand: Errand) -> Flown:
    errand.on_close(leader.close)
    reply = await leader.lead(errand)
    if isinstance(reply, LedStream):
        errand.on_close(leader.close)  # before the call's own closers end the stream
    return Flown(reply, is_shared=False)


def _hand_to_this_task(errand: Errand) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  a coroutine runs in one
    errand.hand_to(task)
