from __future__ import annotations

from gateway.flights.once.base import Attached, New, Stored
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.records import Record
from gateway.flights.settings import IdempotencySettings
from tests.support.clock import Clock

BODY = Record(body=b"x" * 2**10)


def attempt(number: int) -> New:
    return New(b"%d" % number, b"d", b"t%d" % number)


async def test_the_oldest_answers_make_room() -> None:
    store = MemoryOnceStore(IdempotencySettings(memory_mb=0.01))
    for number in range(100):
        await store.begin(attempt(number))
        await store.complete(attempt(number), BODY)
        assert store.bytes <= 0.01 * 2**20

    states = [await store.begin(attempt(number)) for number in (0, 99)]
    assert [type(state) for state in states] == [New, Stored]


async def test_what_is_being_answered_makes_no_room() -> None:
    store = MemoryOnceStore(IdempotencySettings(memory_mb=0.01))
    await store.begin(attempt(-1))
    for number in range(20):
        await store.begin(attempt(number))
        await store.complete(attempt(number), BODY)

    assert await store.begin(New(b"-1", b"d", b"other")) == Attached()


async def test_time_is_the_clocks() -> None:
    clock = Clock(1000.0)
    store = MemoryOnceStore(IdempotencySettings(), clock)
    await store.begin(attempt(1))
    clock.now += 14.9
    assert await store.renew(attempt(1)) is True
    clock.now += 14.9
    assert await store.begin(New(b"1", b"d", b"other")) == Attached()
    await store.complete(attempt(1), BODY)
    clock.now += 86_399.0

    assert await store.begin(attempt(1)) == Stored(BODY)
    clock.now += 2.0
    assert await store.begin(attempt(1)) == attempt(1)
    assert store.bytes == 512
