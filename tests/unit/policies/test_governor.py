from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError, StageUnavailableError
from gateway.domain.tier import TIERS, TierName
from gateway.domain.usage import NO_USAGE, Usage
from policies.base import Reservation
from policies.effective import Policy, PolicyBook
from policies.governor import FREE, TEND_S, FreeHold, Governor, StoredHold
from policies.meters import NOTHING, Demand, Meter
from policies.settings import (
    Budget,
    HoldSettings,
    LevelSettings,
    Limits,
    OrganisationSettings,
    TeamSettings,
    UserSettings,
)
from policies.stores.holds.base import Expired, Granted, Refused
from policies.stores.holds.memory import MemoryHoldStore
from tests.support.clock import Clock
from tests.support.virtual_time import in_virtual_time

START = 1_800_000_000.0
CALL = Demand(1, 100, 50, 1000)
USAGE = Usage(input_tokens=60, cached_tokens=20, output_tokens=30, reasoning_tokens=10)
ALL_TIERS: tuple[TierName, ...] = tuple(reversed(TIERS))
DEARER = (Demand(1, microusd=400), Demand(1, microusd=200), Demand(1, microusd=100))
"""What a call may cost at each of `ALL_TIERS`."""


class House:
    """A governor over counters in memory, and what one organisation says of a key."""

    def __init__(self, store: MemoryHoldStore | None = None, **organisation: Any) -> None:
        self.clock = Clock(START)
        self.store = MemoryHoldStore(self.clock) if store is None else store
        self.governor = Governor(self.store)
        key = organisation.pop("of_key", LevelSettings())
        self.book = PolicyBook(OrganisationSettings(name="acme", **organisation), {("search", "ci"): key})
        self.policy: Policy = self.book.of_key("search", "ci")

    async def reserve(
        self,
        hold_id: str = "h",
        *demands: Demand,
        tiers: Sequence[TierName | None] = (),
        user: str | None = None,
    ) -> StoredHold | FreeHold:
        meters = self.book.meters(self.policy, user)
        asked = demands or (CALL,)
        wanted = Reservation(hold_id, self.policy, meters, asked, tiers or (None,) * len(asked), 0.0)
        return await self.governor.reserve(wanted)

    async def spend(self, microusd: int, user: str | None = None) -> None:
        """Have so much counted and nothing held."""
        hold = await self.reserve(f"spent-{microusd}-{user}", Demand(1), user=user)
        await hold.settle(NO_USAGE, microusd)

    def used(self, user: str | None = None) -> dict[str, int]:
        """Return what is counted, by unit; one meter a unit."""
        return {one.meter.unit: one.used for one in self.store.standing_now(self.book.meters(self.policy, user))}

    @property
    def is_idle(self) -> bool:
        return self.governor.in_flight == len(self.store) == 0


def counting() -> House:
    limits = Limits(requests_per_minute=10, input_tokens_per_day=10_000, output_tokens_per_day=10_000, concurrency=3)
    return House(limits=limits, budgets=(Budget(usd=0.01, window="total"),))


def degrading(**budget: Any) -> House:
    """Return a house whose budget of 10,000 micro-dollars degrades from 5,000 on, to `simple` from 7,500 on."""
    return House(budgets=(Budget(**{"usd": 0.01, "window": "total", "soft": 0.5, "on_soft": "degrade", **budget}),))


# ---------------------------------------------------------------- holding and settling


async def test_a_caller_without_limits_holds_nothing() -> None:
    house = House()

    hold = await house.reserve()
    await hold.cover(CALL)
    await hold.settle(USAGE, 5)
    await hold.release()

    assert hold is FREE
    assert (hold.granted, hold.demand, hold.index, hold.is_degraded) == (None, NOTHING, 0, False)
    assert len(house.store) == 0


async def test_what_a_request_may_consume_is_held() -> None:
    house = counting()

    hold = await house.reserve()

    assert house.used() == {
        "requests": 1, "input_tokens": 100, "output_tokens": 50, "microusd": 1000, "concurrency": 1,
    }  # fmt: skip
    assert hold.demand == CALL
    assert hold.granted is not None
    assert hold.granted.budget is not None
    assert hold.granted.budget.used == 1000
    assert house.governor.in_flight == 1


async def test_the_truth_takes_the_place_of_the_bound() -> None:
    house = counting()
    hold = await house.reserve()

    await hold.settle(USAGE, 700)

    assert house.used() == {
        "requests": 1, "input_tokens": 80, "output_tokens": 40, "microusd": 700, "concurrency": 0,
    }  # fmt: skip
    assert house.is_idle
    assert (hold.under_reserved, house.governor.under_reserved) == (0, 0)


async def test_what_is_given_back_counts_for_nothing() -> None:
    house = counting()
    hold = await house.reserve()

    await hold.release()

    assert set(house.used().values()) == {0}
    assert house.is_idle


@pytest.mark.parametrize("ends_first", ["settle", "release"])
async def test_only_the_first_end_of_a_hold_counts(ends_first: str) -> None:
    house = counting()
    hold = await house.reserve()
    await (hold.settle(USAGE, 700) if ends_first == "settle" else hold.release())
    before = house.used()

    await hold.settle(USAGE, 300)
    await hold.release()
    await hold.cover(Demand(1, microusd=9000))

    assert house.used() == before


async def test_more_than_was_held_is_charged_and_counted() -> None:
    house = counting()
    holds = [await house.reserve(name) for name in ("a", "b", "c")]

    for hold, cost in zip(holds, (1000, 1300, 1001), strict=True):
        await hold.settle(USAGE, cost)

    assert house.used()["microusd"] == 3301
    assert [hold.under_reserved for hold in holds] == [0, 300, 1]
    assert (house.governor.under_reserved, house.governor.under_reserved_microusd) == (2, 301)


async def test_more_tokens_than_were_held_are_no_money() -> None:
    house = counting()
    hold = await house.reserve()

    await hold.settle(Usage(input_tokens=101), 1000)

    assert house.used()["input_tokens"] == 101
    assert (hold.under_reserved, house.governor.under_reserved) == (0, 0)


async def test_a_dearer_model_is_covered() -> None:
    house = counting()
    hold = await house.reserve()

    await hold.cover(Demand(1, 100, 50, 4000))

    assert house.used()["microusd"] == hold.demand.microusd == 4000
    assert hold.granted is not None
    assert hold.granted.budget is not None
    assert hold.granted.budget.used == 4000


async def test_what_is_covered_already_changes_nothing() -> None:
    house = counting()
    hold = await house.reserve()
    granted = hold.granted

    await hold.cover(Demand(1, 1, 1, 1))

    assert hold.demand == CALL
    assert hold.granted is granted


async def test_a_model_that_cannot_be_covered_leaves_the_hold_as_it_was() -> None:
    house = counting()
    hold = await house.reserve()

    with pytest.raises(BudgetExhaustedError):
        await hold.cover(Demand(1, 100, 50, 10_001))

    assert house.used()["microusd"] == hold.demand.microusd == 1000
    assert house.governor.refused == {("org", "microusd"): 1}
    await hold.settle(USAGE, 10)
    assert house.is_idle


async def test_the_first_demand_that_fits_is_held() -> None:
    house = House(budgets=(Budget(usd=0.00025, window="total"),))

    hold = await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert (hold.index, hold.demand, hold.is_degraded) == (1, DEARER[1], False)
    assert house.governor.degraded == 0


# ---------------------------------------------------------------- refusing


async def test_the_limit_that_is_reached_is_named_and_counted() -> None:
    house = House(limits=Limits(requests_per_minute=1))
    await house.reserve("first")

    with pytest.raises(RateLimitedError, match=r"1 requests a minute of organisation 'acme'") as caught:
        await house.reserve("second")

    # 60 buckets of a second and the one under way.
    assert caught.value.retry_after_s == 61.0
    assert house.governor.refused == {("org", "requests"): 1}
    assert house.governor.in_flight == 1


ONCE = Limits(requests_per_minute=1)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("org", {"limits": ONCE}),
        ("team", {"teams": {"search": TeamSettings(limits=ONCE)}}),
        ("key", {"of_key": LevelSettings(limits=ONCE)}),
        ("user", {"users": UserSettings(limits=ONCE)}),
    ],
)
async def test_refusals_are_counted_by_the_level_of_the_limit(level: str, words: dict[str, Any]) -> None:
    house = House(**words)
    await house.reserve("first", user="u")

    with pytest.raises(RateLimitedError):
        await house.reserve("second", user="u")

    assert house.governor.refused == {(level, "requests"): 1}


async def test_nothing_is_held_anywhere_when_one_level_refuses() -> None:
    house = House(limits=Limits(requests_per_minute=9, concurrency=9), of_key=LevelSettings(limits=ONCE))
    await (await house.reserve("first")).settle(NO_USAGE, 0)

    with pytest.raises(RateLimitedError):
        await house.reserve("second")

    assert [one.used for one in house.store.standing_now(house.policy.meters)] == [1, 0, 1]
    assert house.is_idle


async def test_a_budget_that_is_used_up_says_that_asking_again_is_of_no_use() -> None:
    house = House(budgets=(Budget(usd=0.001, window="total"),), budget_status=402)
    await house.spend(1)

    with pytest.raises(BudgetExhaustedError) as caught:
        await house.reserve()

    assert (caught.value.status, caught.value.should_retry, caught.value.retry_after_s) == (402, False, None)


async def test_a_budget_that_calls_in_flight_hold_says_to_ask_again() -> None:
    house = House(budgets=(Budget(usd=0.001, window="total"),))
    other = await house.reserve("other")

    with pytest.raises(BudgetExhaustedError, match=r"0\.001000 USD are held for requests in flight") as caught:
        await house.reserve()
    await other.settle(NO_USAGE, 0)

    assert (caught.value.should_retry, caught.value.retry_after_s) == (True, 1.0)
    assert isinstance(await house.reserve(), StoredHold)


async def test_calls_in_flight_are_no_excuse_when_a_request_would_not_fit_without_them() -> None:
    house = House(budgets=(Budget(usd=0.001, window="total"),))
    await house.spend(501)
    await house.reserve("other", Demand(1, microusd=10))

    with pytest.raises(BudgetExhaustedError) as caught:
        await house.reserve("h", Demand(1, microusd=600), Demand(1, microusd=500))

    assert caught.value.should_retry is False


async def test_calls_in_flight_are_worth_waiting_for_when_the_cheapest_tier_would_fit_without_them() -> None:
    house = House(budgets=(Budget(usd=0.001, window="total"),))
    await house.spend(501)
    await house.reserve("other", Demand(1, microusd=200))

    with pytest.raises(BudgetExhaustedError) as caught:
        await house.reserve("h", Demand(1, microusd=600), Demand(1, microusd=400))

    assert caught.value.should_retry is True


async def test_what_others_hold_on_other_budgets_is_no_excuse() -> None:
    users = UserSettings(budgets=(Budget(usd=0.001, window="total"),))
    house = House(users=users)
    await house.spend(1, user="anna")
    await house.reserve("bens", user="ben")

    with pytest.raises(BudgetExhaustedError) as caught:
        await house.reserve(user="anna")

    assert caught.value.should_retry is False


# ---------------------------------------------------------------- degrading


@pytest.mark.parametrize(
    ("spent", "index"),
    [(0, 0), (4999, 0), (5000, 1), (7499, 1), (7500, 2), (9600, 2)],
)
async def test_past_the_soft_threshold_the_tier_is_capped(spent: int, index: int) -> None:
    house = degrading()
    await house.spend(spent)

    hold = await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert (hold.index, hold.demand) == (index, DEARER[index])
    assert hold.is_degraded == bool(house.governor.degraded) == (spent >= 5000 and index > 0)
    assert house.used()["microusd"] == spent + DEARER[index].microusd


async def test_what_does_not_fit_at_the_lowest_tier_is_refused() -> None:
    house = degrading()
    await house.spend(9901)

    with pytest.raises(BudgetExhaustedError):
        await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert house.governor.degraded == 0


async def test_the_request_itself_does_not_carry_a_budget_past_its_threshold() -> None:
    house = degrading()

    hold = await house.reserve("h", Demand(1, microusd=9000), Demand(1, microusd=1), tiers=ALL_TIERS[:2])

    assert (hold.index, hold.is_degraded) == (0, False)


async def test_calls_in_flight_carry_a_budget_past_its_threshold() -> None:
    house = degrading()
    await house.reserve("other", Demand(1, microusd=5000))

    hold = await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert (hold.index, hold.is_degraded) == (1, True)


@pytest.mark.parametrize(
    ("tiers", "index"),
    [
        ((None,), 0),
        (("complex",), 0),
        (("simple",), 0),
        (("complex", "simple"), 1),
        (("complex", "medium"), 1),
    ],
)
async def test_the_lowest_tier_there_is_answers_past_the_threshold(
    tiers: tuple[TierName | None, ...], index: int
) -> None:
    house = degrading()
    await house.spend(8000)

    hold = await house.reserve("h", *DEARER[: len(tiers)], tiers=tiers)

    assert hold.index == index
    assert hold.is_degraded is (index > 0)


async def test_a_threshold_that_only_warns_changes_nothing() -> None:
    house = degrading(on_soft="warn")
    await house.spend(9000)

    hold = await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert (hold.index, hold.is_degraded) == (0, False)


async def test_the_budget_furthest_past_its_threshold_decides() -> None:
    budgets = tuple(
        Budget(usd=usd, window=window, soft=0.5, on_soft="degrade") for usd, window in ((0.01, "total"), (0.012, "day"))
    )
    house = House(budgets=budgets)
    await house.spend(8000)

    hold = await house.reserve("h", *DEARER, tiers=ALL_TIERS)

    assert hold.index == 2


async def test_an_end_users_own_budget_degrades_that_user_only() -> None:
    house = House(users=UserSettings(budgets=(Budget(usd=0.01, window="total", soft=0.5, on_soft="degrade"),)))
    await house.spend(6000, user="anna")

    annas = await house.reserve("a", *DEARER, tiers=ALL_TIERS, user="anna")
    bens = await house.reserve("b", *DEARER, tiers=ALL_TIERS, user="ben")

    assert (annas.index, bens.index) == (1, 0)


async def test_a_lower_tier_that_costs_more_than_is_left_leaves_nothing_held() -> None:
    house = degrading()
    await house.spend(5000)

    with pytest.raises(BudgetExhaustedError):
        await house.reserve("h", Demand(1, microusd=10), Demand(1, microusd=5001), tiers=ALL_TIERS[:2])

    assert house.is_idle
    assert house.used()["microusd"] == 5000


async def test_a_caller_who_leaves_while_the_tier_is_capped_leaves_nothing_held() -> None:
    class Slow(MemoryHoldStore):
        async def exchange(
            self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
        ) -> Granted | Refused | None:
            exchanging.set()
            await asyncio.Event().wait()
            raise AssertionError

    exchanging = asyncio.Event()
    store = Slow(lambda: START)
    house = House(store, budgets=(Budget(usd=0.01, window="total", soft=0.5, on_soft="degrade"),))
    await house.spend(5000)
    task = asyncio.create_task(house.reserve("h", *DEARER, tiers=ALL_TIERS))
    await exchanging.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert house.is_idle
    assert house.used()["microusd"] == 5000


# ---------------------------------------------------------------- leases


@in_virtual_time
async def test_the_lease_of_a_request_in_flight_is_renewed() -> None:
    house = House(limits=Limits(concurrency=9), holds=HoldSettings(lease_s=60))
    loop = asyncio.get_running_loop()
    began = loop.time()
    hold = await house.reserve()

    while loop.time() < began + 300:
        await asyncio.sleep(10)
        house.clock.now = START + loop.time() - began
        assert await house.governor.tend() == []

    assert len(house.store) == 1
    await hold.settle(NO_USAGE, 0)


@in_virtual_time
async def test_a_hold_that_nobody_renews_is_charged_at_its_bound_and_counted() -> None:
    house = counting()
    await house.store.reserve("of-a-killed-process", house.policy.meters, (CALL,), lease_s=60)
    house.clock.now += 60

    expired = await house.governor.tend()

    assert expired == [Expired("of-a-killed-process", CALL, charged=True)]
    assert (house.governor.expired, house.governor.expired_microusd) == (1, 1000)
    assert house.used()["microusd"] == 1000


@in_virtual_time
async def test_a_hold_that_is_given_back_when_its_lease_ends_costs_nothing() -> None:
    clock = Clock(START)
    house = House(MemoryHoldStore(clock, "release"), budgets=(Budget(usd=1, window="total"),))
    await house.store.reserve("of-a-killed-process", house.policy.meters, (CALL,), lease_s=60)
    clock.now += 60

    await house.governor.tend()

    assert (house.governor.expired, house.governor.expired_microusd) == (1, 0)
    assert house.used()["microusd"] == 0


@in_virtual_time
async def test_a_request_whose_hold_has_ended_is_settled_without_a_word() -> None:
    house = counting()
    hold = await house.reserve()
    house.clock.now += 60
    await house.store.sweep()

    await hold.settle(USAGE, 10)

    assert house.used()["microusd"] == 1000
    assert house.governor.in_flight == 0


@in_virtual_time
async def test_what_ends_by_itself_is_told_once_a_second() -> None:
    house = counting()
    told: list[Expired] = []

    async def note(expired: Expired) -> None:
        told.append(expired)

    await house.store.reserve("of-a-killed-process", house.policy.meters, (CALL,), lease_s=60)
    task = asyncio.create_task(house.governor.run(note))
    await asyncio.sleep(1.5 * TEND_S)
    assert told == []
    house.clock.now += 60
    await asyncio.sleep(TEND_S)

    task.cancel()

    assert [one.hold_id for one in told] == ["of-a-killed-process"]


@in_virtual_time
async def test_a_store_that_is_lost_for_a_while_is_tended_again() -> None:
    class Flaky(MemoryHoldStore):
        lost = True
        asked = 0

        async def sweep(self, now: float | None = None) -> list[Expired]:
            self.asked += 1
            if self.lost:
                raise StageUnavailableError("lost")
            return [Expired("h", CALL, charged=True)]

    store = Flaky(lambda: START)
    told: list[Expired] = []

    async def note(expired: Expired) -> None:
        told.append(expired)

    task = asyncio.create_task(Governor(store).run(note))
    await asyncio.sleep(2.5 * TEND_S)
    assert (store.asked, told) == (2, [])
    store.lost = False
    await asyncio.sleep(TEND_S)

    task.cancel()

    assert len(told) == 1
