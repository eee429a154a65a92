"""Races of replicas on one Redis, and a Redis that goes away in the middle of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError
from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted
from policies.stores.holds.redis import RedisHoldStore
from policies.windows import SlidingWindow, TotalWindow
from tests.support.redis_server import RedisServer, hold_store, reached

PRICE = 97
LIMIT = Meter("org|requests", "organisation", "requests", 100, SlidingWindow(60))
BUDGET = Meter("org|microusd", "organisation", "microusd", 10_000, TotalWindow())
PLACES = Meter("org|concurrency", "organisation", "concurrency", 2_000, None)
CEILING = (Demand(1, 10, 10, PRICE),)
PATIENT: dict[str, Any] = {"command_timeout_s": 5.0, "connect_timeout_s": 5.0}


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


async def used(store: RedisHoldStore, meter: Meter) -> int:
    return (await store.standing((meter,)))[0].used


async def test_exactly_as_many_pass_as_fit_when_two_replicas_race(server: RedisServer) -> None:
    replicas = [hold_store(server.url, "acme", **PATIENT) for _ in range(2)]
    meters = (BUDGET, PLACES)

    async def call(number: int) -> bool:
        store = replicas[number % 2]
        if not isinstance(await store.reserve(str(number), meters, CEILING, lease_s=60), Granted):
            return False
        await asyncio.sleep(0)
        return (await store.settle(str(number), CEILING[0])).was_known

    passed = sum(await asyncio.gather(*(call(number) for number in range(1000))))

    assert passed == 10_000 // PRICE
    assert await used(replicas[0], BUDGET) == passed * PRICE
    assert await used(replicas[0], PLACES) == await replicas[1].outstanding() == 0
    for store in replicas:
        await store.close()


@pytest.mark.parametrize("seed", range(10))
async def test_random_cancels_leave_nothing_held_and_never_pass_the_cap(server: RedisServer, seed: int) -> None:
    replicas = [hold_store(server.url, f"acme{seed}", **PATIENT) for _ in range(2)]
    chance = random.Random(seed)  # noqa: S311  reproducible, nothing secret
    meters, cost = (BUDGET, PLACES), 0

    async def call(number: int) -> None:
        nonlocal cost
        store = replicas[number % 2]
        if isinstance(await store.reserve(str(number), meters, CEILING, lease_s=60), Granted):
            actual, ends = chance.randrange(PRICE + 1), chance.random()
            cost += 0 if ends < 0.2 else actual
            if ends < 0.2:
                await asyncio.shield(store.release(str(number)))
            else:
                await asyncio.shield(store.settle(str(number), Demand(1, 1, 1, actual)))

    tasks = [asyncio.create_task(call(number)) for number in range(400)]
    while not all(task.done() for task in tasks):
        chance.choice(tasks).cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(store.outstanding() for store in replicas))

    assert await used(replicas[0], BUDGET) == cost <= BUDGET.cap
    assert await used(replicas[0], PLACES) == await replicas[0].outstanding() == 0
    for store in replicas:
        await store.close()


def race(url: str, name: str, calls: int) -> int:
    """Ask for a hold many times at once, in a process of its own; return how many were made."""

    async def run() -> int:
        store = hold_store(url, "acme", **PATIENT)
        answers = await asyncio.gather(
            *(store.reserve(f"{name}-{number}", (LIMIT, PLACES), CEILING, lease_s=60) for number in range(calls))
        )
        await store.close()
        return sum(isinstance(answer, Granted) for answer in answers)

    return asyncio.run(run())


async def test_a_limit_of_100_lets_100_pass_over_four_processes(server: RedisServer) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        passed = await asyncio.to_thread(pool.starmap, race, [(server.url, f"p{number}", 100) for number in range(4)])

    assert sum(passed) == 100


@pytest.mark.parametrize("how", ["pause", "kill"])
async def test_a_redis_that_goes_away_under_load_loses_no_settlement(server: RedisServer, how: str) -> None:
    store = hold_store(server.url, "acme")
    meters = (Meter("vast", "organisation", "microusd", 10**12, TotalWindow()), PLACES)
    settled = refused = 0
    until = time.monotonic() + 2.0

    async def caller(name: int) -> None:
        nonlocal settled, refused
        number = 0
        while time.monotonic() < until:
            number += 1
            try:
                await store.reserve(f"{name}-{number}", meters, CEILING, lease_s=60)
            except StageUnavailableError:
                refused += 1
                await asyncio.sleep(0.01)
                continue
            await store.settle(f"{name}-{number}", CEILING[0])
            settled += 1

    callers = [asyncio.create_task(caller(name)) for name in range(32)]
    await asyncio.sleep(0.5)
    if how == "pause":
        server.pause()
        await asyncio.sleep(0.6)
        server.go_on()
    else:
        server.kill()
        await asyncio.sleep(0.2)
        server.start()
    await asyncio.gather(*callers)
    await reached(lambda: store.is_available and not store.queued)

    assert refused > 0
    assert store.failures >= 1
    assert store.dropped == 0
    assert await store.outstanding() == 0
    if how == "pause":  # a killed server without a disk starts empty
        assert await used(store, meters[0]) == settled * PRICE
    assert await used(store, PLACES) == 0
    await store.close()
