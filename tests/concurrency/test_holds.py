"""Races for one budget: what passes, what is recorded and what stays held when calls end in every way they can."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted, HoldStore
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.members import HOLD_STORES

CALLERS = 1000
PRICE = 97
CAP = 10_000
BUDGET = Meter("team|microusd", "team", "microusd", CAP, TotalWindow())
METERS = (
    BUDGET,
    Meter("org|microusd", "organisation", "microusd", 10 * CAP, CalendarWindow("month", "Europe/Berlin")),
    Meter("org|requests", "organisation", "requests", 10 * CALLERS, SlidingWindow(60)),
    Meter("org|concurrency", "organisation", "concurrency", CALLERS, None),
)
CEILING = Demand(1, 10, 10, PRICE)


@pytest.fixture(params=HOLD_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HoldStore]:
    made = HOLD_STORES[request.param](tmp_path, time.time, "charge")
    yield made
    await made.close()


async def spent(store: HoldStore) -> int:
    return (await store.standing((BUDGET,)))[0].used


class Calls:
    """Callers of an upstream that honours its ceiling: each reserves, perhaps falls back, and settles or releases.

    Attributes:
        granted: how many holds were made.
        cost: what the upstream was paid.
        most: the most that was ever counted at once.
    """

    def __init__(self, store: HoldStore, chance: random.Random) -> None:
        self.store, self.chance = store, chance
        self.granted = self.cost = self.most = 0

    async def call(self, hold_id: str) -> None:
        await self._wait()
        answer = await self.store.reserve(hold_id, METERS, (CEILING,), lease_s=60.0)
        if not isinstance(answer, Granted):
            return
        self.granted += 1
        paid: int | None = None
        try:
            paid = await self._answer(hold_id)
        finally:
            await self._end(hold_id, paid)

    async def _answer(self, hold_id: str) -> int:
        ceiling = PRICE
        await self._wait()
        if self.chance.random() < 0.3:
            raised = self.chance.randrange(2 * PRICE)
            if isinstance(await self.store.exchange(hold_id, Demand(1, 0, 0, raised)), Granted):
                ceiling = raised
        await self._wait()
        self.most = max(self.most, await spent(self.store))
        if self.chance.random() < 0.1:
            raise ConnectionResetError
        return self.chance.randint(0, ceiling)

    async def _end(self, hold_id: str, paid: int | None) -> None:
        if paid is None:
            await self.store.release(hold_id)
            return
        self.cost += paid
        for _ in range(self.chance.randint(1, 2)):
            await self.store.settle(hold_id, Demand(1, 1, 1, paid))

    async def _wait(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)


async def race(calls: Calls, callers: int) -> None:
    tasks = [asyncio.create_task(calls.call(str(number))) for number in range(callers)]
    for task in calls.chance.sample(tasks, callers // 10):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_as_many_pass_as_the_budget_allows_however_many_are_cancelled(store: HoldStore) -> None:
    chance = random.Random(1)  # noqa: S311  reproducible, nothing secret
    passed = 0

    async def call(hold_id: str) -> None:
        nonlocal passed
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)
        answer = await store.reserve(hold_id, METERS, (CEILING,), lease_s=60.0)
        passed += isinstance(answer, Granted)
        await asyncio.sleep(0)

    tasks = [asyncio.create_task(call(str(number))) for number in range(CALLERS)]
    await asyncio.sleep(0)
    for task in chance.sample(tasks, CALLERS // 2):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Where a network lies between, a caller that was cancelled holds its share until the store hears of it.
    for number in range(CAP // PRICE):
        await call(f"late-{number}")

    assert passed == CAP // PRICE
    assert await spent(store) == passed * PRICE
    assert await store.outstanding() == passed


@pytest.mark.parametrize("seed", range(10))
async def test_what_is_recorded_is_what_was_paid_and_never_above_the_cap(store: HoldStore, seed: int) -> None:
    calls = Calls(store, random.Random(seed))  # noqa: S311  reproducible, nothing secret

    await race(calls, CALLERS)

    assert calls.granted
    assert calls.most <= CAP
    assert await spent(store) == calls.cost <= CAP
    assert await store.outstanding() == 0


async def test_a_hundred_races_leave_nothing_held(store: HoldStore) -> None:
    for seed in range(100):
        calls = Calls(store, random.Random(seed))  # noqa: S311  reproducible, nothing secret
        before = await spent(store)

        await race(calls, 60)

        assert await spent(store) == before + calls.cost <= CAP
        assert await store.outstanding() == 0
        assert (await store.standing(METERS))[3].used == 0


async def test_calls_that_never_settle_lock_nobody_out_after_their_lease(store: HoldStore) -> None:
    places = (Meter("key|concurrency", "key", "concurrency", 50, None),)
    for number in range(50):
        await store.reserve(str(number), places, (CEILING,), lease_s=5.0)
    assert not isinstance(await store.reserve("late", places, (CEILING,), lease_s=5.0), Granted)

    expired = await store.sweep(time.time() + 6)

    assert len(expired) == 50
    assert isinstance(await store.reserve("late", places, (CEILING,), lease_s=5.0), Granted)
