"""Races for one budget through the governor and over HTTP, where callers leave at every point and providers fail."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from gateway.domain.usage import Usage
from policies.base import Reservation
from policies.effective import PolicyBook
from policies.governor import FreeHold, Governor, StoredHold
from policies.meters import Demand, Meter, Standing
from policies.settings import Budget, Limits, OrganisationSettings
from policies.stores.holds.base import HoldStore
from tests.soak.budget_race import hold_races, state_of
from tests.support.members import HOLD_STORES

CEILING = 97
FITS = 30
CAP = FITS * CEILING + 50
CALLERS = 1000
MOST_STEPS = 60
"""Turns of the loop after which every call of a test here is long over."""


@pytest.fixture(params=["memory", "journal", "redis", "resilient"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HoldStore]:
    made = HOLD_STORES[request.param](tmp_path, time.time, "charge")
    yield made
    await made.close()


class House:
    """A governor, one key under a budget and a limit of calls in flight, and what its calls did.

    Attributes:
        paid: what the provider was paid for calls that were settled.
        beyond: by how much that was above what was held.
        most: the most that was ever counted.
    """

    def __init__(self, store: HoldStore, seed: int = 0, *, honours: bool = True) -> None:
        self.governor, self.store = Governor(store), store
        limits = Limits(requests_per_day=10 * CALLERS, concurrency=CALLERS)
        budget = Budget(usd=CAP / 1_000_000, window="total")
        book = PolicyBook(OrganisationSettings(name="acme", limits=limits, budgets=(budget,)), {})
        self._policy = book.of_key("search", "ci")
        self._meters = book.meters(self._policy, None)
        self.chance, self._honours = random.Random(seed), honours  # noqa: S311  reproducible, nothing secret
        self.paid = self.beyond = self.most = 0

    async def standing(self, unit: str) -> Standing:
        meters: tuple[Meter, ...] = tuple(meter for meter in self._meters if meter.unit == unit)
        return (await self.store.standing(meters))[0]

    async def used(self) -> int:
        return (await self.standing("microusd")).used

    async def reserve(self, hold_id: str, microusd: int = CEILING) -> StoredHold | FreeHold:
        demand = Demand(1, 10, 10, microusd)
        return await self.governor.reserve(Reservation(hold_id, self._policy, self._meters, (demand,), (None,), 0.0))

    async def call(self, hold_id: str) -> None:
        """Do what a request does: hold, perhaps fall back to a dearer model, be answered, settle."""
        await self._pause()
        try:
            hold = await self.reserve(hold_id)
        except (BudgetExhaustedError, RateLimitedError):
            return
        cost: int | None = None
        try:
            await self._pause()
            if self.chance.random() < 0.3:
                await hold.cover(Demand(1, 10, 10, CEILING + self.chance.randrange(CEILING)))
            self.most = max(self.most, await self.used())
            if self.chance.random() < 0.9:
                cost = self.chance.randint(0, hold.demand.microusd * (1 if self._honours else 3))
        except BudgetExhaustedError:
            return
        finally:
            await self._end(hold, cost)

    async def _end(self, hold: StoredHold | FreeHold, cost: int | None) -> None:
        """Settle as the end of an exchange does: whole, even where the caller leaves meanwhile."""
        if cost is None:
            await hold.release()
            return
        self.paid += cost
        self.beyond += max(0, cost - hold.demand.microusd)
        await hold.settle(Usage(input_tokens=5, output_tokens=5), cost)
        await hold.settle(Usage(), cost)

    async def _pause(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def all_is_over(self) -> None:
        """Wait until the store has heard of everything: what a caller left behind is on its way."""
        async with asyncio.timeout(10):
            while await self.store.outstanding():  # noqa: ASYNC110  another connection's work sets no event
                await asyncio.sleep(0.01)
        assert self.governor.in_flight == 0
        assert (await self.standing("concurrency")).used == 0


async def left_after(steps: int, work: Coroutine[Any, Any, None]) -> None:
    """Begin something and cancel it after some turns of the loop."""
    task = asyncio.create_task(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def race(house: House, callers: int, leaving: int) -> None:
    tasks = [asyncio.create_task(house.call(f"c{number}")) for number in range(callers)]
    for task in house.chance.sample(tasks, leaving):
        for _ in range(house.chance.randrange(3)):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_as_many_callers_pass_as_ceilings_fit(store: HoldStore) -> None:
    house = House(store)

    answers = await asyncio.gather(*(house.reserve(f"c{n}") for n in range(CALLERS)), return_exceptions=True)

    assert sum(isinstance(answer, StoredHold) for answer in answers) == FITS
    assert sum(isinstance(answer, BudgetExhaustedError) for answer in answers) == CALLERS - FITS
    assert await house.used() == FITS * CEILING


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_counted_is_what_was_paid_and_never_above_the_cap(store: HoldStore, seed: int) -> None:
    house = House(store, seed)

    await race(house, CALLERS, CALLERS // 5)

    await house.all_is_over()
    assert house.most <= CAP
    assert 0 < await house.used() == house.paid <= CAP
    assert house.governor.under_reserved == 0


@pytest.mark.parametrize("seed", range(5))
async def test_a_provider_that_exceeds_its_limit_exceeds_the_cap_by_what_is_counted_at_most(
    store: HoldStore, seed: int
) -> None:
    house = House(store, seed, honours=False)

    await race(house, CALLERS, CALLERS // 5)

    await house.all_is_over()
    assert house.governor.under_reserved_microusd == house.beyond > 0
    assert await house.used() == house.paid <= CAP + house.beyond


async def test_a_caller_who_leaves_at_any_point_holds_nothing(store: HoldStore) -> None:
    house = House(store)

    for steps in range(MOST_STEPS):
        await left_after(steps, house.call(f"c{steps}"))

    await house.all_is_over()
    assert await house.used() == house.paid <= CAP


async def test_a_caller_who_leaves_while_it_settles_is_counted_all_the_same(store: HoldStore) -> None:
    house = House(store, honours=False)
    for steps in range(1, MOST_STEPS):
        hold = await house.reserve(f"c{steps}", 1)

        await left_after(steps, hold.settle(Usage(input_tokens=1), 3))

    await house.all_is_over()
    counted = house.governor.under_reserved_microusd
    assert await house.used() - counted == counted // 2 > 0


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_callers_over_http_never_spend_more_than_the_budget(kind: str, tmp_path: Path) -> None:
    with state_of(kind) as state:
        assert await hold_races(tmp_path, state, races=3, generous=1, callers=300, late=100) == []
