"""Requests that share calls, and an upstream that counts them and answers when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.flights.base import Closer, Errand, Flown, Outcome, SingleFlight
from gateway.flights.broadcast import LedStream
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer
from gateway.upstreams.base import Headers, PlainReply, Reply

KEY = b"k" * 32
SEALER = Sealer(Secret("a key that every replica has, long enough"), b"idempotency")
USAGE = Usage(input_tokens=3, output_tokens=5)


def plain(body: bytes = b"{}") -> PlainReply:
    return PlainReply(body=body, usage=USAGE, answered_model="gpt-x")


def connect(url: str, organisation: str = "acme") -> RedisConnection:
    # Patient: on a busy machine a test's own work may hold up a pipeline.
    return RedisConnection(
        parse_address(url), slot_key=slot_key(organisation), command_timeout_s=5.0, connect_timeout_s=5.0
    )


class FedStream:
    """A stream whose blocks a test feeds; it ends with None or an error."""

    def __init__(self, *blocks: bytes | None) -> None:
        self.headers: Headers = ((b"x-upstream", b"1"),)
        self.dropped: tuple[str, ...] | None = None
        self.response_id, self.final = "", b""
        self.is_ended = False
        self.closed = self.taken = 0
        self.closed_by: asyncio.Task[Any] | None = None
        self.readers: list[asyncio.Task[Any] | None] = []
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self.feed(*blocks)

    def feed(self, *blocks: bytes | BaseException | None) -> None:
        for block in blocks:
            self._queue.put_nowait(block)

    async def block(self) -> bytes | None:
        self.readers.append(asyncio.current_task())
        block = await self._queue.get()
        if isinstance(block, BaseException):
            raise block
        self.taken += 1
        self.is_ended = block is None
        return block

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        self.closed += 1
        self.closed_by = asyncio.current_task()


class Upstream:
    """Counts calls. Each answers when it is let, with the next of the outcomes; the last one is given again.

    Attributes:
        calls: made so far.
        ended: calls that were cancelled.
    """

    def __init__(self, *outcomes: Reply | Exception, is_open: bool = True) -> None:
        self.calls = self.ended = 0
        self.outcomes = list(outcomes or (plain(),))
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    async def call(self) -> Reply:
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.ended += 1
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Shelf:
    """Where whole answers are put and found, as a cache that replicas share."""

    def __init__(self) -> None:
        self.found: dict[bytes, Reply] = {}
        self.outcomes: list[Outcome] = []

    async def look_up(self) -> Reply | None:
        await asyncio.sleep(0)
        return self.found.get(KEY)

    async def landed(self, outcome: Outcome) -> None:
        await asyncio.sleep(0)
        self.outcomes.append(outcome)
        if isinstance(outcome, PlainReply):
            self.found[KEY] = outcome
        elif isinstance(outcome, LedStream):
            self.found[KEY] = plain(outcome.events or b"")


class Request:
    """One request: it flies, reads its answer, and closes what it has opened, whatever happens.

    Attributes:
        body: the answer, or what has been read of it.
        handed: the tasks that were told to wait for the upstream.
    """

    def __init__(self, flights: SingleFlight | None, upstream: Upstream, shelf: Shelf | None = None) -> None:
        self.flights, self.upstream = flights, upstream
        self.shelf = shelf or Shelf()
        self.body = b""
        self.is_shared: bool | None = None
        self.handed: list[asyncio.Task[object]] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._closers: list[Closer] = []
        self.task: asyncio.Task[bytes] | None = None

    def errand(self, **changes: Any) -> Errand:
        made: dict[str, Any] = {
            "call": self.upstream.call,
            "on_close": self._closers.append,
            "hand_to": self.handed.append,
            "deadline": float("inf"),
            "look_up": self.shelf.look_up,
            "landed": self.shelf.landed,
        }
        return Errand(**{**made, **changes})

    def start(self, key: bytes = KEY, **changes: Any) -> Request:
        flights = self.flights
        assert flights is not None
        return self.start_with(lambda errand: flights.fly(key, errand), **changes)

    def start_with(self, fly: Callable[[Errand], Awaitable[Flown]], **changes: Any) -> Request:
        self.task = asyncio.create_task(self._run(fly, self.errand(**changes)))
        return self

    async def answer(self) -> bytes:
        assert self.task is not None
        return await self.task

    def leave(self) -> None:
        assert self.task is not None
        self.task.cancel()

    async def is_over(self) -> None:
        assert self.task is not None
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self, fly: Callable[[Errand], Awaitable[Flown]], errand: Errand) -> bytes:
        try:
            flown = await fly(errand)
            self.is_shared = flown.is_shared
            await self._read(flown.reply)
        finally:
            while self._closers:
                await self._closers.pop()()
        return self.body

    async def _read(self, reply: Reply) -> None:
        if isinstance(reply, PlainReply):
            self.body = reply.body
            return
        await self.may_read.wait()
        while (block := await reply.block()) is not None:
            self.body += block
            await self.may_read.wait()


async def turns(number: int = 20) -> None:
    """Let others run."""
    for _ in range(number):
        await asyncio.sleep(0)


async def left_after(steps: int, request: Request) -> None:
    """Have a caller leave after some turns of the loop."""
    await turns(steps)
    request.leave()
    await request.is_over()
