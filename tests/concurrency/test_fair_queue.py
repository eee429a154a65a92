"""Crowds in a fair queue: what is shared, what is bounded and what is left when callers end in every way they can.

Time is virtual and chance is seeded, so that a failure comes again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import pytest

from policies.fair_queue import FairQueue, QueueFullError, SlotGate, WaitedTooLongError
from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted, Refused
from policies.stores.holds.memory import MemoryHoldStore
from policies.windows import SlidingWindow
from tests.support.virtual_time import in_virtual_time

FOR_EVER_S = 1e6


def now() -> float:
    return asyncio.get_running_loop().time()


async def finish(tasks: Iterable[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  chance that comes again, guarding nothing


class Ends:
    """How the callers of one queue ended.

    Attributes:
        count: by kind of end.
        late: callers that were kept beyond their moment to give up.
    """

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.late = 0

    def note(self, kind: str, give_up_at: float) -> None:
        self.count[kind] += 1
        self.late += now() > give_up_at + 1e-6


class Crowd:
    """Callers of a gate: some give up, some are cancelled, some calls fail.

    Attributes:
        most: the most calls that were under way at once.
        begun: of each tenant the numbers of its calls in the order in which they got a slot after waiting.
    """

    def __init__(self, gate: SlotGate, chance: random.Random) -> None:
        self.gate, self.chance, self.ends = gate, chance, Ends()
        self.under_way = self.most = 0
        self.begun: dict[str, list[int]] = {}

    async def call(self, tenant: str, number: int) -> None:
        give_up_at = now() + self.chance.choice([0.0, 0.5, 2.0, 10.0, FOR_EVER_S])
        weight, cost = float(1 + ord(tenant) % 3), self.chance.randint(1, 9)
        try:
            async with self.gate.slot(tenant, weight, cost, give_up_at) as waited:
                self.ends.note("admitted" if waited.position else "at once", give_up_at)
                if waited.position:
                    self.begun.setdefault(tenant, []).append(number)
                await self._answer()
        except QueueFullError:
            self.ends.note("full", give_up_at)
        except WaitedTooLongError as error:
            self.ends.note("gave up" if error.waited.waited_s else "late", give_up_at)
        except ConnectionError:
            self.ends.count["failed"] += 1

    async def _answer(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.chance.choice([0.0, 0.1, 0.1, 1.0]))
            if self.chance.random() < 0.1:
                raise ConnectionError
        finally:
            self.under_way -= 1

    async def run(self, count: int) -> list[asyncio.Task[None]]:
        tasks = []
        for number in range(count):
            tasks.append(asyncio.create_task(self.call(self.chance.choice("abcdef"), number)))
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.choice([0.0, 0.0, 0.05, 0.3]))
            if self.chance.random() < 0.2:
                self.chance.choice(tasks).cancel()
            if self.chance.random() < 0.02:
                self.gate.resize(self.chance.randint(1, 5))
        return tasks


@pytest.mark.parametrize("seed", range(40))
@in_virtual_time
async def test_however_callers_end_no_slot_and_nobody_is_lost(seed: int) -> None:
    gate = SlotGate(3, 25)
    crowd = Crowd(gate, seeded(seed))

    await finish(await crowd.run(400))

    queue, ends = gate.queue, crowd.ends
    assert (gate.in_use, queue.waiting, crowd.under_way) == (0, 0, 0)
    assert crowd.most <= 5
    assert ends.late == 0
    assert queue.admitted == ends.count["admitted"]
    assert queue.gave_up == ends.count["gave up"]
    assert queue.refused_full == ends.count["full"]
    assert queue.refused_late == ends.count["late"]
    assert ends.count.keys() >= {"admitted", "at once", "gave up", "full", "late", "failed"}
    for numbers in crowd.begun.values():
        assert numbers == sorted(numbers)


@in_virtual_time
async def test_after_a_crowd_everything_works_as_before() -> None:
    gate = SlotGate(2, 25)
    crowd = Crowd(gate, seeded(7))
    for task in await crowd.run(200):
        task.cancel()
    await finish([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])

    gate.resize(2)
    async with gate.slot("a", 1.0, 1, now() + 1.0), gate.slot("b", 1.0, 1, now() + 1.0):
        during = gate.in_use

    assert during == 2
    assert (gate.in_use, gate.queue.waiting) == (0, 0)


class Backlog:
    """Tenants of whom there is always somebody waiting, and what they were given.

    Attributes:
        given: costs of those who were let through, by tenant.
    """

    def __init__(self, gate: SlotGate, shares: dict[str, float], dearest: int, chance: random.Random) -> None:
        self.gate, self.shares, self.dearest, self.chance = gate, shares, dearest, chance
        self.given: Counter[str] = Counter()

    async def _calls(self, tenant: str) -> None:
        while True:
            cost = self.chance.randint(1, self.dearest)
            async with self.gate.slot(tenant, self.shares[tenant], cost, now() + FOR_EVER_S) as waited:
                if waited.position:
                    self.given[tenant] += cost
                await asyncio.sleep(self.chance.uniform(0.5, 1.5))

    async def run(self, workers: int, lasts_s: float) -> None:
        tasks = [asyncio.create_task(self._calls(tenant)) for tenant in self.shares for _ in range(workers)]
        await asyncio.sleep(lasts_s)
        for task in tasks:
            task.cancel()
        await finish(tasks)


@pytest.mark.parametrize("dearest", [1, 1000])
@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_shares_converge_to_the_weights(seed: int, dearest: int) -> None:
    shares = {"a": 1.0, "b": 2.0, "c": 5.0}
    backlog = Backlog(SlotGate(4, 1000), shares, dearest, seeded(seed))

    await backlog.run(workers=20, lasts_s=1000.0)

    total = sum(backlog.given.values())
    for tenant, weight in shares.items():
        assert backlog.given[tenant] / total == pytest.approx(weight / 8.0, abs=0.01)


@in_virtual_time
async def test_a_tenant_that_asks_now_and_then_is_not_held_up_by_a_flood() -> None:
    gate = SlotGate(1, 50)
    done = asyncio.Event()
    positions: list[int] = []
    overtaken: list[int] = []

    async def flood() -> None:
        while not done.is_set():
            try:
                async with gate.slot("flood", 1.0, 1, now() + FOR_EVER_S):
                    await asyncio.sleep(1.0)
            except QueueFullError:
                await asyncio.sleep(0.5)

    floods = [asyncio.create_task(flood()) for _ in range(60)]
    await asyncio.sleep(10.0)
    full = gate.queue.waiting
    for _ in range(20):
        before = gate.queue.admitted
        async with gate.slot("small", 1.0, 1, now() + FOR_EVER_S) as waited:
            positions.append(waited.position)
            overtaken.append(gate.queue.admitted - before - 1)
        await asyncio.sleep(3.3)
    done.set()
    await finish(floods)

    assert full == 50
    assert set(positions) == {2}
    assert max(overtaken) <= 2


@pytest.mark.parametrize("seed", range(10))
@in_virtual_time
async def test_a_flood_never_makes_more_wait_than_may(seed: int) -> None:
    chance = seeded(seed)
    gate = SlotGate(1, 30)
    most = 0
    tasks: deque[asyncio.Task[None]] = deque()

    async def call(tenant: str) -> None:
        async with gate.slot(tenant, 1.0, 1, now() + 20.0):
            await asyncio.sleep(0.1)

    for _ in range(1000):
        tenant = "flood" if chance.random() < 0.8 else f"tenant {chance.randint(0, 40)}"
        tasks.append(asyncio.create_task(call(tenant)))
        await asyncio.sleep(chance.choice([0.0, 0.0, 0.0, 0.2]))
        most = max(most, gate.queue.waiting)
    await finish(tasks)

    assert most == 30
    assert not gate.queue.is_contended
    assert gate.queue._order._flows == {}


METER = Meter("org|requests|60", "organisation", "requests", 100, SlidingWindow(60))
PLACES = Meter("org|concurrency", "organisation", "concurrency", 20, None)


class Limited:
    """Requests on two limits: each waits for the one that refused it, and holds until it is answered.

    Attributes:
        queues: by key of the meter.
        most: the most that was ever counted, by key.
        starved: requests that would have waited for ever and did not get through.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.store, self.ends = chance, MemoryHoldStore(now), Ends()
        self.queues = {meter.key: FairQueue(1000, key=meter.key) for meter in (METER, PLACES)}
        self.most = {METER.key: 0, PLACES.key: 0}
        self.starved = 0

    async def request(self, number: int) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, 30.0))
        give_up_at = now() + self.chance.choice([5.0, 100.0, FOR_EVER_S])
        hold_id = str(number)
        try:
            is_granted = await self._reserve(hold_id, give_up_at)
        except WaitedTooLongError:
            self.ends.note("gave up", give_up_at)
            self.starved += give_up_at >= FOR_EVER_S
            return
        assert is_granted
        self.ends.note("granted", give_up_at)
        try:
            await asyncio.sleep(self.chance.uniform(0.1, 3.0))
        finally:
            await self.store.settle(hold_id, Demand())
            self.queues[PLACES.key].poke()

    async def _reserve(self, hold_id: str, give_up_at: float) -> bool:
        async def attempt() -> Granted | Refused:
            answer = await self.store.reserve(hold_id, (METER, PLACES), (Demand(),), lease_s=FOR_EVER_S)
            for standing in self.store.standing_now((METER, PLACES)):
                self.most[standing.meter.key] = max(self.most[standing.meter.key], standing.used)
            return answer

        contended = next((queue for queue in self.queues.values() if queue.is_contended), None)
        outcome = None if contended else await attempt()
        while not isinstance(outcome, Granted):
            queue = self.queues[outcome.meter.key] if outcome else contended
            assert queue is not None
            tenant = f"team {len(hold_id)}"
            outcome, _ = await queue.wait(tenant, 1.0, 1, attempt, give_up_at)
        return True


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_a_thousand_requests_that_wait_for_limits_stay_within_them(seed: int) -> None:
    chance = seeded(seed)
    limited = Limited(chance)
    tasks = [asyncio.create_task(limited.request(number)) for number in range(1000)]
    for _ in range(100):
        await asyncio.sleep(0.4)
        chance.choice(tasks).cancel()

    await finish(tasks)

    assert limited.most == {METER.key: 100, PLACES.key: 20}
    assert limited.ends.late == 0
    assert sum(limited.ends.count.values()) >= 900
    assert limited.ends.count["granted"] >= 300
    assert limited.starved == 0
    assert await limited.store.outstanding() == 0
    assert [queue.waiting for queue in limited.queues.values()] == [0, 0]
