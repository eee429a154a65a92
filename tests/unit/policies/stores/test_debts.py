"""What was consumed while Redis was lost."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.domain.errors import StageUnavailableError
from policies.meters import Demand, Meter
from policies.stores import debts as module
from policies.stores.holds.base import Granted
from policies.stores.holds.memory import MemoryHoldStore
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer, reached
from tests.support.resilience import Replica

START = 1_800_000_000.0
"""A Friday, 08:00:00 UTC: the beginning of a bucket of every window used here."""

MINUTE = Meter("org|requests|60", "organisation", "requests", 100, SlidingWindow(60))
TOKENS = Meter("org|output_tokens|60", "organisation", "output_tokens", 10_000, SlidingWindow(60))
DAY = Meter("org|microusd|day", "organisation", "microusd", 10_000, CalendarWindow("day"))
TOTAL = Meter("org|microusd|total", "organisation", "microusd", 100_000, TotalWindow())
PLACES = Meter("org|concurrency", "organisation", "concurrency", 50, None)
METERS = (MINUTE, TOKENS, DAY, TOTAL, PLACES)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def replica(server: RedisServer, clock: Clock) -> AsyncIterator[Replica]:
    made = Replica(server.url, clock=clock, command_timeout_s=1.0)
    yield made
    await made.close()


async def used(replica: Replica, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in await replica.primary.standing(meters or METERS))


async def test_what_is_paid_counts_on_redis_whatever_the_cap(replica: Replica) -> None:
    replica.debts.owe(METERS, START, Demand(1, 2, 3, 40_000))
    assert len(replica.debts) == 4

    await replica.debts.pay()

    assert await used(replica) == (1, 3, 40_000, 40_000, 0)
    assert len(replica.debts) == 0


async def test_what_is_paid_is_added_to_what_counts_there(replica: Replica) -> None:
    assert isinstance(await replica.primary.reserve("a", METERS, (Demand(1, 1, 10, 100),), lease_s=60), Granted)
    replica.debts.owe(METERS, START, Demand(1, 1, 5, 50))

    await replica.debts.pay()

    assert await used(replica) == (2, 15, 150, 150, 1)
    await replica.primary.settle("a", Demand(1, 1, 1, 1))
    assert await used(replica) == (2, 6, 51, 51, 0)


async def test_what_is_paid_leaves_the_window_when_what_was_consumed_would(replica: Replica, clock: Clock) -> None:
    replica.debts.owe((MINUTE,), START, Demand())
    clock.now += 30
    replica.debts.owe((MINUTE,), clock.now, Demand())
    clock.now += 10
    await replica.debts.pay()
    assert await used(replica, MINUTE) == (2,)

    clock.now = START + 61
    first_gone = await used(replica, MINUTE)
    clock.now = START + 91

    assert first_gone == (1,)
    assert await used(replica, MINUTE) == (0,)


async def test_what_left_the_window_before_it_was_paid_counts_nowhere(replica: Replica, clock: Clock) -> None:
    replica.debts.owe((MINUTE, DAY, TOTAL), START, Demand(1, 0, 0, 7))
    clock.now += 24 * 3600

    await replica.debts.pay()

    assert await used(replica, MINUTE, DAY, TOTAL) == (0, 0, 7)


async def test_what_is_owed_is_forgotten_when_it_leaves_the_window(replica: Replica, clock: Clock) -> None:
    for _ in range(7200):
        clock.now += 0.5
        replica.debts.owe((MINUTE,), clock.now, Demand())
    assert len(replica.debts._debts[MINUTE.key].amounts) <= 61

    clock.now += 61
    replica.debts.forget_expired()

    assert len(replica.debts) == 0


async def test_no_more_meters_are_remembered_than_fit(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METERS", 3)
    for number in range(5):
        replica.debts.owe((Meter(f"user:{number}", "user", "requests", 5, SlidingWindow(60)),), START, Demand())

    assert (len(replica.debts), replica.debts.dropped) == (3, 2)


async def test_a_payment_whose_answer_was_lost_is_made_once(replica: Replica) -> None:
    replica.debts.owe((MINUTE,), START, Demand())
    replica.debts._payment = payment = module._Payment([replica.debts._debts.pop(MINUTE.key)])
    await replica.connection.call(replica.debts._command(payment, int(START * 1000)))

    await replica.debts.pay()

    assert await used(replica, MINUTE) == (1,)
    assert len(replica.debts) == 0


async def test_what_redis_has_not_answered_is_still_owed(server: RedisServer, replica: Replica) -> None:
    await replica.connection.open()
    server.kill()
    replica.debts.owe((MINUTE,), START, Demand())

    with pytest.raises(StageUnavailableError):
        await replica.debts.pay()
    replica.debts.owe((MINUTE,), START, Demand())
    server.start()
    await reached(lambda: replica.connection.is_available)
    await replica.debts.pay()

    assert await used(replica, MINUTE) == (2,)


async def test_many_meters_are_paid_in_parts(replica: Replica) -> None:
    meters = tuple(Meter(f"user:{number}", "user", "requests", 5, SlidingWindow(60)) for number in range(350))
    replica.debts.owe(meters, START, Demand())

    await replica.debts.pay()

    assert await used(replica, *meters) == (1,) * 350


async def test_a_meter_that_is_another_on_redis_is_passed_over(replica: Replica) -> None:
    changed = Meter(MINUTE.key, "organisation", "requests", 100, SlidingWindow(30))
    await replica.primary.reserve("a", (MINUTE,), (Demand(),), lease_s=60)
    replica.debts.owe((changed, TOTAL), START, Demand(1, 0, 0, 9))

    await replica.debts.pay()

    assert await used(replica, MINUTE, TOTAL) == (1, 9)


@pytest.mark.parametrize("seed", range(5))
async def test_counters_that_were_paid_go_on_like_those_that_never_lost_redis(
    replica: Replica, clock: Clock, seed: int
) -> None:
    chance, model = random.Random(seed), MemoryHoldStore(clock)  # noqa: S311  nothing secret
    meters = (MINUTE, TOKENS, DAY, TOTAL)

    for number in range(150):
        clock.now += chance.choice([0.0, 0.3, 1.0, 7.0, 40.0])
        consumed = Demand(1, 0, chance.randrange(9), chance.randrange(9))
        model.readmit("x", meters, consumed, 0, 60.0)
        model.settle_now("x", consumed)
        if chance.random() < 0.5:
            assert isinstance(await replica.primary.reserve(str(number), meters, (consumed,), lease_s=9), Granted)
            await replica.primary.settle(str(number), consumed)
        else:
            replica.debts.owe(meters, clock.now, consumed)
        if chance.random() < 0.2:
            await replica.debts.pay()
            assert await used(replica, *meters) == tuple(one.used for one in model.standing_now(meters))
