"""Every hold store."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from policies.meters import NOTHING, Demand, Meter, Unit
from policies.stores.holds.base import CONCURRENCY_RETRY_S, Expired, Granted, HoldStore, Refused, Settled
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow, Window, milliseconds
from tests.support.clock import Clock
from tests.support.members import HOLD_STORES

START = 1_800_000_000.0
"""A Friday, 08:00:00 UTC: the beginning of a bucket of every window used here."""

MINUTE, SECOND, DAY, TOTAL = SlidingWindow(60), SlidingWindow(1), CalendarWindow("day"), TotalWindow()
LEASE_S = 30.0


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(params=HOLD_STORES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def store(kind: str, tmp_path: Path, clock: Clock) -> AsyncIterator[HoldStore]:
    made = HOLD_STORES[kind](tmp_path, clock, "charge")
    yield made
    await made.close()


def meter(unit: Unit, cap: int, window: Window | None = MINUTE, level: str = "organisation", **more: Any) -> Meter:
    what = "" if window is None else f"{type(window).__name__}{window.span_ms}"
    return Meter(f"{level}|{unit}|{what}", level, unit, cap, None if unit == "concurrency" else window, **more)


def usd(microusd: int) -> Demand:
    return Demand(1, 0, 0, microusd)


async def reserve(
    store: HoldStore, hold_id: str, meters: tuple[Meter, ...], *demands: Demand, lease_s: float = LEASE_S
) -> Granted | Refused:
    return await store.reserve(hold_id, meters, demands or (Demand(),), lease_s=lease_s)


async def used(store: HoldStore, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in await store.standing(meters))


async def test_a_demand_is_counted_by_every_meter_in_its_unit(store: HoldStore) -> None:
    meters = (
        meter("requests", 10),
        meter("input_tokens", 1000),
        meter("output_tokens", 1000),
        meter("microusd", 1000, DAY),
        meter("concurrency", 10, None),
    )

    await reserve(store, "a", meters, Demand(1, 20, 300, 400))

    assert await used(store, *meters) == (1, 20, 300, 400, 1)
    assert await store.outstanding() == 1


async def test_a_demand_fits_up_to_the_cap(store: HoldStore) -> None:
    budget = (meter("microusd", 100, DAY),)

    assert isinstance(await reserve(store, "a", budget, usd(60)), Granted)
    assert isinstance(await reserve(store, "b", budget, usd(41)), Refused)
    assert isinstance(await reserve(store, "c", budget, usd(40)), Granted)
    assert isinstance(await reserve(store, "d", budget, usd(1)), Refused)


async def test_a_demand_of_nothing_fits_a_full_meter(store: HoldStore) -> None:
    meters = (meter("microusd", 0, DAY), meter("requests", 5))

    assert isinstance(await reserve(store, "a", meters, usd(0)), Granted)


async def test_a_refusal_adds_nothing_anywhere(store: HoldStore) -> None:
    meters = (meter("requests", 10), meter("concurrency", 5, None), meter("microusd", 100, DAY))

    await reserve(store, "a", meters, usd(101))

    assert await used(store, *meters) == (0, 0, 0)
    assert await store.outstanding() == 0


async def test_the_best_tier_that_fits_every_meter_is_granted(store: HoldStore) -> None:
    meters = (meter("microusd", 1000, DAY), meter("microusd", 50, DAY, "team 'a'"))

    granted = await reserve(store, "a", meters, usd(500), usd(60), usd(50), usd(5))

    assert isinstance(granted, Granted)
    assert granted.tier_index == 2
    assert await used(store, *meters) == (50, 50)


async def test_a_grant_tells_the_tightest_meters(store: HoldStore) -> None:
    requests, day = meter("requests", 10), meter("requests", 1000, DAY)
    tokens, answers = meter("input_tokens", 1000), meter("output_tokens", 500)
    budget, own = meter("microusd", 10_000, DAY), meter("microusd", 600, DAY, "key 'a/b'")

    granted = await reserve(
        store, "a", (requests, day, tokens, answers, budget, own), Demand(1, 900, 200, 500), lease_s=5
    )

    assert isinstance(granted, Granted)
    assert granted.tightest is not None
    assert granted.requests is not None
    assert granted.tokens is not None
    assert granted.budget is not None
    assert (granted.requests.meter, granted.requests.remaining) == (requests, 9)
    assert (granted.tokens.meter, granted.tokens.remaining) == (tokens, 100)
    assert (granted.budget.meter, granted.budget.remaining) == (own, 100)
    assert (granted.tightest.meter, granted.tightest.used, granted.tightest.cap) == (tokens, 900, 1000)


async def test_without_meters_everything_is_granted(store: HoldStore) -> None:
    granted = await reserve(store, "a", ())

    assert granted == Granted(0, None)
    assert await store.settle("a", Demand()) == Settled(NOTHING, was_known=True)


async def test_a_grant_tells_which_soft_thresholds_are_reached(store: HoldStore) -> None:
    soft, other = meter("microusd", 100, DAY, soft=80), meter("requests", 100, soft=80)

    before = await reserve(store, "a", (soft, other), usd(79))
    after = await reserve(store, "b", (soft, other), usd(1))

    assert isinstance(before, Granted)
    assert isinstance(after, Granted)
    assert before.past_soft == ()
    assert [(one.meter, one.used) for one in after.past_soft] == [(soft, 80)]


async def test_an_open_hold_is_granted_again_without_being_counted_again(store: HoldStore) -> None:
    meters = (meter("requests", 1), meter("concurrency", 1, None))
    first = await reserve(store, "a", meters)

    assert await reserve(store, "a", meters) == first
    assert await used(store, *meters) == (1, 1)
    assert await store.outstanding() == 1


async def test_a_cap_may_change_while_the_count_stays(store: HoldStore) -> None:
    await reserve(store, "a", (meter("requests", 5),))

    assert isinstance(await reserve(store, "b", (meter("requests", 1),)), Refused)
    assert isinstance(await reserve(store, "c", (meter("requests", 2),)), Granted)


async def test_a_key_that_stands_twice_is_an_error(store: HoldStore) -> None:
    with pytest.raises(ValueError, match="twice"):
        await reserve(store, "a", (meter("requests", 5), meter("requests", 6)))

    assert await store.outstanding() == 0


async def test_a_hold_without_demands_is_an_error(store: HoldStore) -> None:
    with pytest.raises(ValueError, match="demand"):
        await store.reserve("a", (meter("requests", 5),), (), lease_s=1.0)


async def test_a_settled_hold_counts_what_was_consumed(store: HoldStore) -> None:
    meters = (meter("output_tokens", 1000), meter("microusd", 1000, DAY), meter("concurrency", 1, None))
    await reserve(store, "a", meters, Demand(1, 10, 500, 900))

    settled = await store.settle("a", Demand(1, 10, 120, 300))

    assert settled == Settled(NOTHING, was_known=True)
    assert await used(store, *meters) == (120, 300, 0)
    assert await store.outstanding() == 0


async def test_more_than_was_held_is_charged_and_told(store: HoldStore) -> None:
    budget = meter("microusd", 100, DAY)
    await reserve(store, "a", (budget,), usd(100))

    settled = await store.settle("a", Demand(1, 7, 0, 130))

    assert settled == Settled(Demand(0, 7, 0, 30), was_known=True)
    assert await used(store, budget) == (130,)
    (standing,) = await store.standing((budget,))
    assert standing.remaining == 0


async def test_a_second_settle_changes_nothing_and_says_so(store: HoldStore) -> None:
    budget = meter("microusd", 100, DAY)
    await reserve(store, "a", (budget,), usd(100))
    await store.settle("a", usd(30))

    assert await store.settle("a", usd(90)) == Settled(NOTHING, was_known=False)
    assert await used(store, budget) == (30,)


async def test_a_settle_without_a_hold_changes_nothing_and_says_so(store: HoldStore) -> None:
    assert await store.settle("never", usd(90)) == Settled(NOTHING, was_known=False)


async def test_a_released_hold_leaves_nothing(store: HoldStore) -> None:
    meters = (meter("requests", 5), meter("microusd", 100, DAY), meter("concurrency", 1, None))
    await reserve(store, "a", meters, usd(100))

    assert await store.release("a") is True
    assert await used(store, *meters) == (0, 0, 0)
    assert await store.release("a") is False
    assert (await store.settle("a", usd(5))).was_known is False


async def test_the_id_of_a_closed_hold_may_be_used_again(store: HoldStore) -> None:
    limit = (meter("requests", 5),)
    await reserve(store, "a", limit)
    await store.settle("a", Demand())

    await reserve(store, "a", limit)

    assert await used(store, *limit) == (2,)


async def test_what_is_settled_counts_where_it_was_reserved(store: HoldStore, clock: Clock) -> None:
    tokens = meter("output_tokens", 100)
    await reserve(store, "a", (tokens,), Demand(1, 0, 50, 0), lease_s=500)
    clock.now += 60.9
    await store.settle("a", Demand(1, 0, 80, 0))
    assert await used(store, tokens) == (80,)

    clock.now = START + 61.0

    assert await used(store, tokens) == (0,)


async def test_what_is_settled_after_its_window_is_not_counted_in_another(store: HoldStore, clock: Clock) -> None:
    budget, places = meter("microusd", 100, DAY), meter("concurrency", 5, None)
    await reserve(store, "a", (budget, places), usd(50), lease_s=1e6)
    clock.now += 86_400
    await reserve(store, "b", (budget, places), usd(10))

    settled = await store.settle("a", usd(90))

    assert settled == Settled(Demand(0, 0, 0, 40), was_known=True)
    assert await used(store, budget, places) == (10, 1)


async def test_a_minute_slides(store: HoldStore, clock: Clock) -> None:
    limit = (meter("requests", 2),)
    await reserve(store, "a", limit)
    clock.now += 30.5
    await reserve(store, "b", limit)

    refused = await reserve(store, "c", limit)

    assert isinstance(refused, Refused)
    assert (refused.used, refused.cap, refused.meter) == (2, 2, limit[0])
    assert refused.retry_after_s == pytest.approx(30.5, abs=1e-3)


@pytest.mark.parametrize("window", [SECOND, MINUTE, SlidingWindow(7), SlidingWindow(3600)])
@pytest.mark.parametrize("offset_s", [0.0, 0.05, 0.333, 12.7])
async def test_retry_after_is_exact(store: HoldStore, clock: Clock, window: SlidingWindow, offset_s: float) -> None:
    limit = (meter("requests", 1, window),)
    clock.now += offset_s
    await reserve(store, "a", limit)
    clock.now += window.seconds / 3
    refused = await reserve(store, "b", limit)
    assert isinstance(refused, Refused)
    assert refused.retry_after_s is not None
    now = clock.now

    clock.now = now + refused.retry_after_s - 0.002
    assert isinstance(await reserve(store, "c", limit), Refused)
    clock.now = now + refused.retry_after_s

    assert isinstance(await reserve(store, "d", limit), Granted)


async def test_retry_after_waits_until_enough_has_left(store: HoldStore, clock: Clock) -> None:
    tokens = (meter("output_tokens", 100),)
    for number in range(4):
        await reserve(store, str(number), tokens, Demand(1, 0, 25, 0))
        clock.now += 10

    refused = await reserve(store, "big", tokens, Demand(1, 0, 60, 0))

    assert isinstance(refused, Refused)
    assert refused.retry_after_s == pytest.approx(START + 20 + 61 - clock.now, abs=1e-3)


async def test_the_meter_with_the_longest_wait_is_named(store: HoldStore, clock: Clock) -> None:
    second, minute, day = meter("requests", 1, SECOND), meter("requests", 1), meter("requests", 9, DAY)
    await reserve(store, "a", (second, minute, day))

    refused = await reserve(store, "b", (second, minute, day))

    assert isinstance(refused, Refused)
    assert refused.meter == minute


async def test_the_demand_with_the_shortest_wait_is_named(store: HoldStore, clock: Clock) -> None:
    day, minute = meter("microusd", 100, DAY), meter("output_tokens", 10)
    await reserve(store, "a", (day, minute), Demand(1, 0, 10, 50))

    refused = await reserve(store, "b", (day, minute), Demand(1, 0, 10, 90), Demand(1, 0, 10, 20))

    assert isinstance(refused, Refused)
    assert refused.meter == minute


@pytest.mark.parametrize(
    ("limit", "microusd"),
    [
        (meter("microusd", 0, MINUTE), 1),
        (meter("microusd", 10, DAY), 11),
        (meter("microusd", 10, TOTAL), 8),
        (meter("concurrency", 0), 1),
    ],
)
async def test_waiting_that_cannot_help_is_not_advised(store: HoldStore, limit: Meter, microusd: int) -> None:
    await reserve(store, "a", (limit,), usd(min(5, limit.cap)))

    refused = await reserve(store, "b", (limit,), usd(microusd))

    assert isinstance(refused, Refused)
    assert refused.retry_after_s is None


async def test_a_budget_refuses_until_its_period_ends(store: HoldStore, clock: Clock) -> None:
    budget = (meter("microusd", 10, DAY),)
    await reserve(store, "a", budget, usd(10))
    midnight = START + 16 * 3600

    refused = await reserve(store, "b", budget, usd(1))

    assert isinstance(refused, Refused)
    assert refused.resets_at == midnight
    assert refused.retry_after_s == pytest.approx(midnight - clock.now)
    clock.now = midnight - 0.001
    assert isinstance(await reserve(store, "c", budget, usd(1)), Refused)
    clock.now = midnight
    assert isinstance(await reserve(store, "d", budget, usd(10)), Granted)


async def test_a_total_budget_never_resets(store: HoldStore, clock: Clock) -> None:
    budget = (meter("microusd", 10, TOTAL),)
    await reserve(store, "a", budget, usd(10))
    await store.settle("a", usd(10))
    clock.now += 10 * 366 * 86_400
    await store.sweep()

    refused = await reserve(store, "b", budget, usd(1))

    assert isinstance(refused, Refused)
    assert (refused.used, refused.resets_at) == (10, None)


async def test_calls_in_flight_are_bounded(store: HoldStore) -> None:
    places = (meter("concurrency", 2),)
    await reserve(store, "a", places)
    await reserve(store, "b", places)

    refused = await reserve(store, "c", places)
    await store.settle("a", Demand())

    assert isinstance(refused, Refused)
    assert refused.retry_after_s == CONCURRENCY_RETRY_S
    assert isinstance(await reserve(store, "c", places), Granted)


async def test_standings_are_told_of_meters_never_seen(store: HoldStore, clock: Clock) -> None:
    meters = (meter("requests", 5), meter("microusd", 7, TOTAL), meter("concurrency", 3))

    standings = await store.standing(meters)

    assert [(one.meter, one.used, one.cap, one.remaining) for one in standings] == [
        (meters[0], 0, 5, 5),
        (meters[1], 0, 7, 7),
        (meters[2], 0, 3, 3),
    ]
    assert [one.resets_at for one in standings] == [clock.now, None, None]


async def test_a_standing_resets_when_its_content_has_left(store: HoldStore, clock: Clock) -> None:
    limit = meter("requests", 5)
    await reserve(store, "a", (limit,))
    (standing,) = await store.standing((limit,))
    assert standing.resets_at is not None
    assert clock.now + 60 <= standing.resets_at <= clock.now + 61

    clock.now = standing.resets_at

    assert await used(store, limit) == (0,)


async def test_a_lease_that_ends_is_charged(store: HoldStore, clock: Clock) -> None:
    budget, places = meter("microusd", 100, DAY), meter("concurrency", 1)
    await reserve(store, "a", (budget, places), usd(70), lease_s=10)
    clock.now += 9.9
    assert await store.sweep() == []
    clock.now += 0.2

    assert await store.sweep() == [Expired("a", usd(70), charged=True)]
    assert await used(store, budget, places) == (70, 0)
    assert await store.sweep() == []
    assert (await store.settle("a", usd(1))).was_known is False
    assert await used(store, budget) == (70,)


async def test_a_lease_that_ends_is_given_back_where_policy_says_so(kind: str, tmp_path: Path, clock: Clock) -> None:
    store = HOLD_STORES[kind](tmp_path, clock, "release")
    budget, places = meter("microusd", 100, DAY), meter("concurrency", 1)
    await reserve(store, "a", (budget, places), usd(70), lease_s=10)

    expired = await store.sweep(START + 11)

    assert expired == [Expired("a", usd(70), charged=False)]
    assert await used(store, budget, places) == (0, 0)
    await store.close()


async def test_a_lease_may_be_extended(store: HoldStore, clock: Clock) -> None:
    await reserve(store, "a", (meter("requests", 1),), lease_s=10)
    clock.now += 8

    assert await store.extend("a", 10) is True
    clock.now += 8
    assert await store.sweep() == []
    clock.now += 3
    assert [one.hold_id for one in await store.sweep()] == ["a"]
    assert await store.extend("a", 10) is False


async def test_an_exchange_replaces_the_ceiling(store: HoldStore) -> None:
    meters = (meter("requests", 1), meter("microusd", 100, DAY), meter("concurrency", 1))
    await reserve(store, "a", meters, usd(60))

    assert isinstance(await store.exchange("a", usd(90)), Granted)
    assert await used(store, *meters) == (1, 90, 1)
    assert isinstance(await store.exchange("a", usd(20)), Granted)
    assert await used(store, *meters) == (1, 20, 1)
    assert (await store.settle("a", usd(25))).under_reserved == Demand(0, 0, 0, 5)


async def test_a_refused_exchange_leaves_the_hold_as_it_was(store: HoldStore) -> None:
    budget, places = meter("microusd", 100, DAY), meter("concurrency", 2)
    await reserve(store, "a", (budget, places), usd(40))
    await reserve(store, "b", (budget, places), usd(40))

    refused = await store.exchange("a", usd(61))

    assert isinstance(refused, Refused)
    assert (refused.meter, refused.used) == (budget, 80)
    assert await used(store, budget, places) == (80, 2)
    assert isinstance(await store.exchange("a", usd(60)), Granted)


async def test_an_exchange_may_change_the_meters(store: HoldStore) -> None:
    common, before, after = meter("microusd", 100, DAY), meter("requests", 5), meter("output_tokens", 50)
    await reserve(store, "a", (common, before), Demand(1, 0, 40, 60))

    assert isinstance(await store.exchange("a", Demand(1, 0, 51, 60), meters=(common, after)), Refused)
    assert await used(store, common, before, after) == (60, 1, 0)
    assert isinstance(await store.exchange("a", Demand(1, 0, 50, 70), meters=(common, after)), Granted)
    assert await used(store, common, before, after) == (70, 0, 50)
    await store.settle("a", Demand(1, 0, 10, 5))
    assert await used(store, common, before, after) == (5, 0, 10)


async def test_an_exchange_without_a_hold_is_none(store: HoldStore) -> None:
    assert await store.exchange("never", usd(1)) is None


async def test_a_raised_hold_counts_in_the_bucket_under_way_when_its_own_has_left(
    store: HoldStore, clock: Clock
) -> None:
    meters = budget, requests = (meter("microusd", 100, DAY), meter("requests", 1, DAY))
    await reserve(store, "a", meters, usd(60), lease_s=1e6)
    clock.now += 86_400

    assert isinstance(await store.exchange("a", usd(101)), Refused)
    assert await used(store, budget, requests) == (0, 0)
    assert isinstance(await store.exchange("a", usd(70)), Granted)
    assert await used(store, budget, requests) == (70, 0)
    await store.settle("a", usd(50))
    assert await used(store, budget, requests) == (50, 0)


@pytest.mark.parametrize("window", [SECOND, MINUTE, DAY, TOTAL])
@pytest.mark.parametrize("back_s", [0.5, 70.0, 4000.0, 1e6])
async def test_a_clock_that_jumps_back_brings_nothing_back(
    store: HoldStore, clock: Clock, window: Window, back_s: float
) -> None:
    limit = meter("requests", 3, window)
    await reserve(store, "gone", (limit,), lease_s=1e9)
    clock.now += 0 if window == TOTAL else 2 * 86_400
    await reserve(store, "a", (limit,), lease_s=1e9)
    before = await used(store, limit)

    clock.now -= back_s
    after = await used(store, limit)
    await reserve(store, "b", (limit,), lease_s=1e9)
    raised = await used(store, limit)
    for hold_id in ("gone", "a", "b"):
        await store.release(hold_id)

    assert after == before
    assert raised == (before[0] + 1,)
    assert await used(store, limit) == (0,)


@pytest.mark.parametrize("window", [SECOND, MINUTE])
async def test_a_clock_that_jumped_far_ahead_and_back_locks_nobody_out(
    store: HoldStore, clock: Clock, window: SlidingWindow
) -> None:
    limit = meter("requests", 1, window)
    clock.now += 366 * 86_400
    await reserve(store, "a", (limit,), lease_s=1.0)
    await store.settle("a", Demand())
    clock.now = START
    assert await used(store, limit) == (1,)

    clock.now += window.seconds * 1.2

    assert isinstance(await reserve(store, "b", (limit,)), Granted)


async def test_a_lease_is_no_longer_than_given_after_a_clock_jumped_back(store: HoldStore, clock: Clock) -> None:
    clock.now += 366 * 86_400
    await reserve(store, "a", (meter("concurrency", 1),), lease_s=10)
    clock.now = START
    assert await store.sweep() == []

    clock.now += 10

    assert [one.hold_id for one in await store.sweep()] == ["a"]


async def test_no_interval_of_the_windows_length_holds_more_than_the_cap(store: HoldStore, clock: Clock) -> None:
    chance = random.Random(7)  # noqa: S311  reproducible, nothing secret
    limit = (meter("requests", 5, SlidingWindow(3)),)
    admitted = []
    for number in range(2000):
        clock.now += chance.choice([0.0, 0.01, 0.05, 0.3, 1.1])
        if isinstance(await reserve(store, str(number), limit), Granted):
            admitted.append(milliseconds(clock.now))
            await store.settle(str(number), Demand())

    assert len(admitted) > 200
    assert all(later - first >= 3000 for first, later in zip(admitted, admitted[5:], strict=False))


class Model:
    """The contract, kept the slow way: a list of everything that was ever counted."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: list[tuple[str, Meter, int, int, Demand]] = []
        self.open: dict[str, tuple[tuple[Meter, ...], Demand, float]] = {}

    def used(self, meter: Meter) -> int:
        now = milliseconds(self.clock.now)
        total = 0
        for hold_id, one, bucket, _, demand in self.rows:
            if one.key == meter.key:
                if one.window is None:
                    total += hold_id in self.open
                elif (end := one.window.expires_ms(bucket)) is None or end > now:
                    total += demand.of(one.unit)
        return total

    def reserve(self, hold_id: str, meters: tuple[Meter, ...], demands: tuple[Demand, ...], lease_s: float) -> Any:
        if hold_id in self.open:
            return None
        for index, demand in enumerate(demands):
            amounts = [(one, demand.of(one.unit)) for one in meters]
            if all(not amount or self.used(one) + amount <= one.cap for one, amount in amounts):
                now = milliseconds(self.clock.now)
                self.open[hold_id] = meters, demand, self.clock.now + lease_s
                self.rows += [
                    (hold_id, one, one.window.bucket(now) if one.window else 0, now, demand) for one in meters
                ]
                return index
        return "refused"

    def close(self, hold_id: str, actual: Demand) -> bool:
        if self.open.pop(hold_id, None) is None:
            return False
        self.rows = [
            ("", one, bucket, at, actual) if owner == hold_id else (owner, one, bucket, at, demand)
            for owner, one, bucket, at, demand in self.rows
        ]
        return True

    def sweep(self) -> set[str]:
        ended = {hold_id for hold_id, (_, _, until) in self.open.items() if until <= self.clock.now}
        for hold_id in ended:
            self.close(hold_id, self.open[hold_id][1])
        return ended


@pytest.mark.parametrize("seed", range(25))
async def test_a_store_agrees_with_the_model(store: HoldStore, clock: Clock, seed: int) -> None:
    chance, model = random.Random(seed), Model(clock)  # noqa: S311  reproducible, nothing secret
    levels = ("organisation", "team 'a'", "team 'b'")
    limits: tuple[tuple[Unit, int, Window | None], ...] = (
        ("requests", 12, MINUTE),
        ("output_tokens", 300, SlidingWindow(10)),
        ("microusd", 900, CalendarWindow("hour")),
        ("microusd", 5000, TOTAL),
        ("concurrency", 4, None),
    )
    sets = [
        tuple(meter(unit, cap, window, level) for level in chance.sample(levels, 2) for unit, cap, window in limits)
        for _ in range(4)
    ]
    every = tuple({one.key: one for one in itertools.chain(*sets)}.values())

    def demand() -> Demand:
        return Demand(1, chance.randrange(50), chance.randrange(200), chance.randrange(400))

    for step in range(250):
        clock.now += chance.choice([0, 0, 0.2, 1, 5, 30]) if step % 60 else 1800
        hold_id = str(chance.randrange(12))
        match chance.randrange(6):
            case 0 | 1 | 2:
                meters, lease_s = chance.choice(sets), chance.choice([3.0, 60.0])
                demands = (demand(), demand(), demand())
                expected = model.reserve(hold_id, meters, demands, lease_s)
                answer = await store.reserve(hold_id, meters, demands, lease_s=lease_s)
                if expected is not None:
                    assert expected == (answer.tier_index if isinstance(answer, Granted) else "refused")
            case 3:
                actual = demand()
                assert (await store.settle(hold_id, actual)).was_known == model.close(hold_id, actual)
            case 4:
                assert await store.release(hold_id) == model.close(hold_id, NOTHING)
            case _:
                assert {one.hold_id for one in await store.sweep()} == model.sweep()
        assert await used(store, *every) == tuple(model.used(one) for one in every)
        assert await store.outstanding() == len(model.open)


async def test_the_order_in_which_holds_settle_does_not_matter(kind: str, tmp_path: Path, clock: Clock) -> None:
    outcomes = set()
    for order in itertools.permutations(range(4)):
        store = HOLD_STORES[kind](tmp_path / "".join(map(str, order)), clock, "charge")
        meters = (meter("microusd", 1000, DAY), meter("output_tokens", 1000))
        for number in range(4):
            await reserve(store, str(number), meters, Demand(1, 0, 100, 200))
        for number in order:
            await store.settle(str(number), Demand(1, 0, 10 * number, 77 * number))
        outcomes.add(await used(store, *meters))
        await store.close()

    assert outcomes == {(77 * 6, 60)}


async def test_a_thousand_calls_at_once_fit_exactly_as_often_as_the_budget_allows(store: HoldStore) -> None:
    budget = (meter("microusd", 10_000, DAY),)

    async def call(number: int) -> bool:
        return isinstance(await reserve(store, str(number), budget, usd(97)), Granted)

    granted = await asyncio.gather(*(call(number) for number in range(1000)))

    assert sum(granted) == 10_000 // 97
    assert await used(store, *budget) == (10_000 // 97 * 97,)


async def test_closing_twice_is_harmless(store: HoldStore) -> None:
    await store.close()
    await store.close()
