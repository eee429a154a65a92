"""What a replica may grant on its own."""

from __future__ import annotations

import pytest

from gateway.domain.errors import StateLostError
from policies.meters import Demand, Meter, Standing
from policies.stores.holds.base import Granted, Refused
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.replicas import Replicas
from policies.stores.shares import Shares
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer
from tests.support.resilience import Replica, acquaint

START = 1_800_000_000.0

MINUTE = Meter("org|requests|60", "organisation", "requests", 100, SlidingWindow(60), soft=80)
DAY = Meter("org|microusd|day", "organisation", "microusd", 1_000, CalendarWindow("day"))
TOTAL = Meter("org|microusd|total", "organisation", "microusd", 1_000, TotalWindow())
PLACES = Meter("org|concurrency", "organisation", "concurrency", 2, None)
DENIED = Meter("org|microusd|week", "organisation", "microusd", 1_000, CalendarWindow("week"), lost="deny")


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def local(clock: Clock) -> MemoryHoldStore:
    return MemoryHoldStore(clock)


@pytest.fixture
async def replicas() -> Replicas:
    """Four that know of each other, whose Redis is gone."""
    with RedisServer() as server:
        made = [Replica(server.url, command_timeout_s=1.0) for _ in range(4)]
        await acquaint(*made)
        for one in made:
            await one.close()
    return made[0].replicas


@pytest.fixture
def shares(replicas: Replicas, local: MemoryHoldStore, clock: Clock) -> Shares:
    return Shares(replicas, local, clock)


@pytest.fixture
def lonely(local: MemoryHoldStore, clock: Clock) -> Shares:
    return Shares(Replica("redis://127.0.0.1:1").replicas, local, clock)


def granted(tightest: Standing, budget: Standing | None = None) -> Granted:
    return Granted(0, tightest, budget=budget)


def seen(meter: Meter, used: int, resets_at: float | None = START + 60) -> Standing:
    return Standing(meter, used, meter.cap, resets_at)


def used(local: MemoryHoldStore, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in local.standing_now(meters))


def test_a_share_is_the_cap_divided_by_the_replicas(shares: Shares) -> None:
    minute, day = shares.of((MINUTE, DAY))

    assert (minute.cap, minute.soft, minute.key) == (25, 20, MINUTE.key)
    assert (day.cap, day.soft) == (250, None)


def test_a_share_is_at_least_one_unless_nothing_is_allowed(shares: Shares) -> None:
    nothing = Meter("nothing", "organisation", "requests", 0, SlidingWindow(60))

    assert [share.cap for share in shares.of((PLACES, nothing))] == [1, 0]


def test_the_same_meters_have_the_same_shares(shares: Shares) -> None:
    meters = (MINUTE, DAY)

    assert shares.of(meters) is shares.of(meters)


def test_a_list_that_changes_is_divided_anew(shares: Shares) -> None:
    meters = [MINUTE]
    shares.of(meters)

    meters.append(DAY)

    assert len(shares.of(meters)) == 2


def test_one_meter_that_denies_is_enough(shares: Shares) -> None:
    with pytest.raises(StateLostError) as refused:
        shares.of((MINUTE, DENIED))

    assert (refused.value.status, refused.value.code) == (503, "limits_unavailable")
    assert "edis" not in str(refused.value)


def test_who_does_not_know_how_many_share_has_no_share(lonely: Shares) -> None:
    with pytest.raises(StateLostError):
        lonely.of((MINUTE,))


def test_a_share_begins_at_its_part_of_what_was_used(shares: Shares, local: MemoryHoldStore) -> None:
    shares.note(granted(seen(MINUTE, 90)))
    shares.note(Refused(DAY, 1000, 1000, None, START + 3600))

    meters = shares.of((MINUTE, DAY, TOTAL))

    assert used(local, *meters) == (23, 250, 0)


def test_the_last_standing_counts(shares: Shares, local: MemoryHoldStore) -> None:
    shares.note(granted(seen(MINUTE, 90)))
    shares.note(granted(seen(MINUTE, 10)))

    assert used(local, *shares.of((MINUTE,))) == (3,)


def test_what_has_left_the_window_since_is_not_counted(shares: Shares, local: MemoryHoldStore, clock: Clock) -> None:
    shares.note(granted(seen(MINUTE, 90), seen(TOTAL, 80, None)))
    clock.now += 60

    assert used(local, *shares.of((MINUTE, TOTAL))) == (0, 20)


def test_what_is_counted_here_already_is_not_counted_again(shares: Shares, local: MemoryHoldStore) -> None:
    first = shares.of((MINUTE,))
    for number in range(5):
        local.reserve_now(str(number), first, (Demand(),), 60.0)
    shares.note(granted(seen(MINUTE, 40)))

    shares.begin()
    again = shares.of((MINUTE,))
    shares.begin()
    shares.of((MINUTE,))

    assert used(local, *again) == (10,)
    assert len(local) == 5


def test_calls_in_flight_begin_at_none(shares: Shares, local: MemoryHoldStore) -> None:
    shares.note(granted(seen(PLACES, 2, None)))

    assert used(local, *shares.of((PLACES,))) == (0,)


def test_what_was_seen_is_bounded(shares: Shares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.stores.shares.MAX_SEEN", 10)
    for number in range(100):
        meter = Meter(f"user:{number}", "user", "requests", 5, SlidingWindow(60))
        shares.note(granted(seen(meter, 1)))
        shares.of((meter,))

    assert len(shares._seen) <= 10
    assert len(shares._shares) <= 10
