from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.domain.errors import DeadlineExceededError, UpstreamGarbledError, UpstreamTimeoutError
from gateway.upstreams.settings import Timeouts
from gateway.upstreams.transport import Patience, Request, Transport
from tests.support.build import patience

LONG = 30.0
"""Seconds that no test waits, unless what it tests is broken."""
SOON = 0.01
REQUEST = Request(b"/", (), b"12345")


class FakeResponse:
    """Gives its chunks, then the end; a chunk of None is silence."""

    status = 200
    headers: Sequence[tuple[bytes, bytes]] = ((b"x-a", b"1"), (b"x-a", b"2"))

    def __init__(self, *chunks: bytes | None) -> None:
        self._chunks = list(chunks)
        self.closed = 0

    async def chunk(self) -> bytes | None:
        if not self._chunks:
            return None
        chunk = self._chunks.pop(0)
        if chunk is None:
            await asyncio.Event().wait()
        return chunk

    async def close(self) -> None:
        self.closed += 1


class FakeEngine:
    def __init__(self, response: FakeResponse | None = None) -> None:
        self._response = response
        self.closed = False

    async def send(self, request: Request) -> FakeResponse:
        if self._response is None:
            await asyncio.Event().wait()
        assert self._response is not None
        return self._response

    async def close(self) -> None:
        self.closed = True


class Clock:
    """A loop whose time a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, FakeTimer]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: object) -> FakeTimer:
        timer = FakeTimer(callback)
        self.timers.append((when, timer))
        return timer

    def move(self, seconds: float) -> None:
        """Let time pass, firing what is due in order."""
        target = self.now + seconds
        while due := sorted((one for one in self.timers if one[0] <= target), key=lambda one: one[0]):
            when, timer = due[0]
            self.timers.remove(due[0])
            self.now = max(self.now, when)
            timer.fire()
        self.now = target


class FakeTimer:
    def __init__(self, callback: object) -> None:
        self._callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        if not self.cancelled:
            self._callback()  # type: ignore[operator]  # it is what was given to call_at


class FakeTask:
    def __init__(self, loop: Clock) -> None:
        self._loop = loop
        self.cancels = 0

    def get_loop(self) -> Clock:
        return self._loop

    def cancel(self) -> None:
        self.cancels += 1

    def uncancel(self) -> None:
        self.cancels -= 1


def clocked() -> tuple[Clock, FakeTask, Patience]:
    clock = Clock()
    task = FakeTask(clock)
    made = Patience(task)  # type: ignore[arg-type]  # it has the three methods that are used
    made.allow(1000)
    return clock, task, made


def test_silence_cancels_the_task_when_the_first_byte_is_late() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 10)

    clock.move(9)
    assert task.cancels == 0
    clock.move(2)

    assert task.cancels == 1
    with pytest.raises(UpstreamTimeoutError):
        waiting.raise_if_late()
    assert task.cancels == 0


def test_each_byte_gives_new_time_with_one_timer() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 10)

    for _ in range(9):
        clock.move(9)
        waiting.wait(10)

    assert task.cancels == 0
    assert len(clock.timers) == 1


def test_the_whole_call_has_an_end_however_many_bytes_come() -> None:
    clock, task, waiting = clocked()
    waiting.begin(50, 10)

    for _ in range(5):
        clock.move(9)
        waiting.wait(10)
    assert task.cancels == 0
    clock.move(6)

    assert task.cancels == 1
    with pytest.raises(UpstreamTimeoutError):
        waiting.raise_if_late()


def test_the_callers_deadline_is_no_timeout_of_the_upstream() -> None:
    clock, task, waiting = clocked()
    waiting.allow(5)
    waiting.begin(100, 10)

    clock.move(6)

    assert task.cancels == 1
    with pytest.raises(DeadlineExceededError):
        waiting.raise_if_late()


def test_bytes_may_have_to_follow_sooner_than_the_first_had_to_come() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 60)
    clock.move(1)

    waiting.wait(5)
    clock.move(6)

    assert task.cancels == 1
    with pytest.raises(UpstreamTimeoutError):
        waiting.raise_if_late()


def test_a_second_call_may_have_less_time_than_the_first() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 60)
    clock.move(1)

    waiting.begin(100, 5)
    clock.move(6)

    assert task.cancels == 1


def test_time_spent_elsewhere_does_not_count() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 10)
    waiting.rest()

    clock.move(50)
    assert task.cancels == 0
    waiting.wait(10)
    clock.move(11)

    assert task.cancels == 1


def test_nothing_happens_after_the_end() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 10)

    waiting.end()
    waiting.end()
    clock.move(1000)

    assert task.cancels == 0


def test_a_second_call_starts_anew() -> None:
    clock, task, waiting = clocked()
    waiting.begin(100, 10)
    clock.move(11)
    with pytest.raises(UpstreamTimeoutError):
        waiting.raise_if_late()

    waiting.begin(100, 10)
    clock.move(9)
    assert task.cancels == 0
    clock.move(2)

    assert task.cancels == 1


def test_somebody_elses_cancellation_is_left_alone() -> None:
    _, task, waiting = clocked()
    waiting.begin(100, 10)

    waiting.raise_if_late()

    assert task.cancels == 0


def test_a_deadline_is_over_when_it_has_passed() -> None:
    clock, _, waiting = clocked()
    waiting.allow(5)
    assert not waiting.is_over()

    clock.move(5)

    assert waiting.is_over()


def timeouts(**seconds: float) -> Timeouts:
    return Timeouts(**{"first_byte_s": LONG, "idle_s": LONG, "total_s": LONG, **seconds})


async def test_an_upstream_that_never_answers_is_late() -> None:
    transport = Transport(FakeEngine(), timeouts(first_byte_s=SOON))

    with pytest.raises(UpstreamTimeoutError):
        await transport.send(REQUEST, patience(2 * LONG))

    assert not cancelling()


async def test_an_upstream_that_falls_silent_is_late() -> None:
    transport = Transport(FakeEngine(FakeResponse(b"one", None)), timeouts(idle_s=SOON))
    response = await transport.send(REQUEST, patience(2 * LONG))
    assert await response.chunk() == b"one"

    with pytest.raises(UpstreamTimeoutError):
        await response.chunk()

    assert not cancelling()


async def test_an_upstream_may_not_take_for_ever() -> None:
    transport = Transport(FakeEngine(FakeResponse(None)), timeouts(total_s=SOON))
    response = await transport.send(REQUEST, patience(2 * LONG))

    with pytest.raises(UpstreamTimeoutError):
        await response.read()


async def test_the_callers_deadline_ends_a_call() -> None:
    transport = Transport(FakeEngine(), timeouts())

    with pytest.raises(DeadlineExceededError):
        await transport.send(REQUEST, patience(SOON))


async def test_a_caller_who_leaves_cancels_and_is_no_timeout() -> None:
    transport = Transport(FakeEngine(), timeouts())
    begun = asyncio.Event()

    async def call() -> None:
        waiting = patience()
        begun.set()
        await transport.send(REQUEST, waiting)

    task = asyncio.create_task(call())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_body_is_read_whole_and_counted() -> None:
    transport = Transport(FakeEngine(FakeResponse(b"one", b"", b"two")), timeouts())

    response = await transport.send(REQUEST, patience(2 * LONG))

    assert await response.read() == b"onetwo"
    assert transport.counters() == {"calls": 1, "sent_bytes": 5, "received_bytes": 6}


@pytest.mark.parametrize("chunks", [(), (b"",), (b"one",)])
async def test_short_bodies_are_read(chunks: tuple[bytes, ...]) -> None:
    response = await Transport(FakeEngine(FakeResponse(*chunks)), timeouts()).send(REQUEST, patience(2 * LONG))

    assert await response.read() == b"".join(chunks)


async def test_a_body_that_is_too_long_is_refused() -> None:
    response = await Transport(FakeEngine(FakeResponse(*[b"x" * 10] * 5)), timeouts()).send(REQUEST, patience(2 * LONG))

    with pytest.raises(UpstreamGarbledError):
        await response.read(limit=40)


async def test_a_call_that_fails_is_counted() -> None:
    transport = Transport(FakeEngine(), timeouts(first_byte_s=SOON))

    with pytest.raises(UpstreamTimeoutError):
        await transport.send(REQUEST, patience(2 * LONG))

    assert transport.counters() == {"calls": 1, "sent_bytes": 5, "received_bytes": 0}


async def test_headers_are_found_by_name() -> None:
    response = await Transport(FakeEngine(FakeResponse()), timeouts()).send(REQUEST, patience(2 * LONG))

    assert response.header(b"x-a") == b"1"
    assert response.header(b"x-b") is None


async def test_closing_closes_what_is_below() -> None:
    below = FakeResponse()
    engine = FakeEngine(below)
    transport = Transport(engine, timeouts())
    response = await transport.send(REQUEST, patience(2 * LONG))

    await response.close()
    await transport.close()

    assert below.closed == 1
    assert engine.closed


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()
