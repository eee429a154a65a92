"""Processes that share one limit of 100 a minute, and a Redis that is restarted while they all ask."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier, Event
from typing import Any

import msgspec
import pytest

from gateway.domain.errors import StageUnavailableError
from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted, Refused
from policies.windows import SlidingWindow
from tests.support.redis_server import RedisServer, reached
from tests.support.resilience import Replica, acquaint

CAP = 100
PROCESSES = 4
SHARE = Meter("org|requests|60", "organisation", "requests", CAP, SlidingWindow(60))
DENY = msgspec.structs.replace(SHARE, lost="deny")
PATIENCE_S = 60.0
CALL = Demand()

_spawn = multiprocessing.get_context("spawn")

Work = Callable[[Replica, str, Meter, Barrier, Event], Any]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(("appendonly yes", "appendfsync always")) as started:
        yield started


class Ended(msgspec.Struct):
    """What one process did: holds made in each stretch of its work, and what is left."""

    made: list[int]
    local_grants: int
    owed: int


def run(url: str, name: str, meter: Meter, work: Work, shared: tuple[Barrier, Event, Any]) -> None:
    """Be one process: get to know the others, work, and tell what came of it."""
    together, enough, results = shared

    async def live() -> Ended:
        replica = Replica(url)
        await acquaint(replica)
        await meet(together)
        await acquaint(replica)
        assert replica.replicas.count == PROCESSES
        await meet(together)
        made = await work(replica, name, meter, together, enough)
        await paid(replica)
        ended = Ended(made, replica.store.local_grants, replica.store.owed)
        await replica.close()
        return ended

    results.put(msgspec.json.encode(asyncio.run(live())))


async def meet(together: Barrier) -> None:
    await asyncio.to_thread(together.wait, PATIENCE_S)


async def ask(replica: Replica, meter: Meter, hold_id: str) -> Granted | Refused | None:
    """Ask for a hold and settle it; None where Redis is lost and the meter does not go on without it."""
    try:
        answer = await replica.store.reserve(hold_id, (meter,), (CALL,), lease_s=60.0)
    except StageUnavailableError:
        return None
    if isinstance(answer, Granted):
        assert (await replica.store.settle(hold_id, CALL)).was_known
    return answer


async def take(replica: Replica, meter: Meter, name: str, calls: int) -> int:
    answers = [await ask(replica, meter, f"{name}-{number}") for number in range(calls)]
    return sum(isinstance(answer, Granted) for answer in answers)


async def paid(replica: Replica) -> None:
    await reached(lambda: replica.connection.is_available, PATIENCE_S)
    while replica.store.owed:
        await replica.store.sweep()


async def ask_until_enough(replica: Replica, name: str, meter: Meter, _: Barrier, enough: Event) -> list[int]:
    made = number = 0
    while not enough.is_set():
        number += 1
        made += isinstance(await ask(replica, meter, f"{name}-{number}"), Granted)
        await asyncio.sleep(0.005)
    await paid(replica)
    return [made, await take(replica, meter, f"{name}-after", CAP)]


async def ask_in_step(replica: Replica, name: str, meter: Meter, together: Barrier, _: Event) -> list[int]:
    before = await take(replica, meter, f"{name}-before", 10)
    await meet(together)
    await replica.store.reserve(f"{name}-looks", (meter,), (CALL,), lease_s=60.0)
    await replica.store.release(f"{name}-looks")
    await meet(together)
    await meet(together)  # Redis is killed
    during = await take(replica, meter, f"{name}-during", CAP)
    await meet(together)
    await meet(together)  # Redis is back
    await paid(replica)
    await meet(together)
    return [before, during, await take(replica, meter, f"{name}-after", CAP)]


class Processes:
    """Four of them, which this one meets at their barrier."""

    def __init__(self, server: RedisServer, meter: Meter, work: Work) -> None:
        self.together, self.enough = _spawn.Barrier(PROCESSES + 1), _spawn.Event()
        self._results: Any = _spawn.SimpleQueue()
        shared = self.together, self.enough, self._results
        self._started = [
            _spawn.Process(target=run, args=(server.url, f"p{number}", meter, work, shared), daemon=True)
            for number in range(PROCESSES)
        ]
        for one in self._started:
            one.start()

    async def end(self) -> list[Ended]:
        for one in self._started:
            await asyncio.to_thread(one.join, PATIENCE_S)
        assert [one.exitcode for one in self._started] == [0] * PROCESSES
        return [msgspec.json.decode(self._results.get(), type=Ended) for _ in self._started]


def used(server: RedisServer) -> int:
    return int(server.command("HGET", f"tierway:{{acme}}:meter:{SHARE.key}", "t") or 0)


async def restarted_in_the_middle(server: RedisServer, meter: Meter) -> list[Ended]:
    """Let processes ask while Redis is killed, stays away for half a second and comes back."""
    processes = Processes(server, meter, ask_until_enough)
    await meet(processes.together)
    await meet(processes.together)
    await reached(lambda: used(server) >= 30, PATIENCE_S)
    server.kill()
    await asyncio.sleep(0.5)
    server.start()
    await asyncio.sleep(0.5)
    processes.enough.set()
    return await processes.end()


async def test_a_limit_of_100_lets_100_pass_over_four_processes(server: RedisServer) -> None:
    processes = Processes(server, SHARE, ask_until_enough)
    await meet(processes.together)
    await meet(processes.together)
    processes.enough.set()

    ended = await processes.end()

    assert sum(sum(one.made) for one in ended) == used(server) == CAP
    assert sum(one.local_grants for one in ended) == 0


async def test_a_limit_that_denies_lets_exactly_100_pass_whenever_redis_is_restarted(server: RedisServer) -> None:
    ended = await restarted_in_the_middle(server, DENY)

    assert sum(sum(one.made) for one in ended) == used(server) == CAP
    assert sum(one.local_grants for one in ended) == 0
    assert server.command("ZCARD", "tierway:{acme}:leases") == 0


async def test_a_limit_that_shares_lets_pass_a_cap_on_redis_and_a_cap_in_shares_at_most(server: RedisServer) -> None:
    ended = await restarted_in_the_middle(server, SHARE)

    passed = sum(sum(one.made) for one in ended)
    assert CAP <= passed <= 2 * CAP
    assert all(one.local_grants <= CAP // PROCESSES for one in ended)
    assert sum(one.local_grants for one in ended) > 0
    assert used(server) == passed
    assert server.command("ZCARD", "tierway:{acme}:leases") == 0


async def test_a_limit_that_shares_lets_exactly_100_pass_where_all_saw_the_same_and_all_have_paid(
    server: RedisServer,
) -> None:
    processes = Processes(server, SHARE, ask_in_step)
    for _ in range(4):
        await meet(processes.together)
    server.kill()
    await meet(processes.together)
    await meet(processes.together)
    server.start()
    await meet(processes.together)
    await meet(processes.together)

    before, during, after = (sum(stretch) for stretch in zip(*(one.made for one in await processes.end()), strict=True))

    assert before == 40
    assert 50 <= during <= 60
    assert before + during + after == used(server) == CAP
    assert server.command("ZCARD", "tierway:{acme}:leases") == 0
