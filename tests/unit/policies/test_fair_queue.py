from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from policies.fair_queue import (
    AT_ONCE,
    OCCUPIED,
    FairQueue,
    NotAdmittedError,
    Occupied,
    QueueFullError,
    SlotGate,
    Waited,
    WaitedTooLongError,
)
from policies.meters import NOTHING, Demand, Meter
from policies.stores.holds.base import Granted, Refused
from policies.stores.holds.memory import MemoryHoldStore
from policies.windows import SlidingWindow
from tests.support.virtual_time import in_virtual_time

RATE = Meter("org|requests|10", "organisation", "requests", 2, SlidingWindow(10))
PLACES = Meter("org|concurrency", "organisation", "concurrency", 1, None)
OTHER = Meter("team:a|requests|10", "team 'a'", "requests", 1, SlidingWindow(10))


def now() -> float:
    return asyncio.get_running_loop().time()


def soon(seconds: float = 100.0) -> float:
    return now() + seconds


def refused(meter: Meter = RATE, retry_after_s: float | None = 1000.0) -> Refused:
    return Refused(meter, meter.cap, meter.cap, retry_after_s, None)


async def settle_down() -> None:
    """Let every task run until it waits for time or for another."""
    for _ in range(20):
        await asyncio.sleep(0)


class Gate:
    """Something to try that is granted when it is told so, and remembers who tried.

    Attributes:
        answer: what an attempt returns while nothing is free.
        free: how many attempts will be granted.
        tried, granted: names in order.
    """

    def __init__(self, answer: Refused | Occupied | None = None) -> None:
        self.answer = refused() if answer is None else answer
        self.free = 0
        self.tried: list[str] = []
        self.granted: list[str] = []

    def attempt(self, name: str) -> Callable[[], Awaitable[str | Refused | Occupied]]:
        async def one() -> str | Refused | Occupied:
            self.tried.append(name)
            if not self.free:
                return self.answer
            self.free -= 1
            self.granted.append(name)
            return name

        return one


Ending = tuple[str | Refused, Waited]


def join(queue: FairQueue, gate: Gate, name: str, **options: Any) -> asyncio.Task[Ending]:
    """Start somebody who waits; the tenant is the name's first letter."""
    give_up_at = options.pop("give_up_at", soon())
    weight, cost = options.pop("weight", 1.0), options.pop("cost", 1)
    return asyncio.create_task(queue.wait(name[0], weight, cost, gate.attempt(name), give_up_at), name=name)


async def open_up(queue: FairQueue, gate: Gate, free: int) -> None:
    gate.free += free
    queue.poke()
    await settle_down()


async def leave(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Limited:
    """Requests that hold in a store and wait where it refuses, as a limiter would have them.

    Attributes:
        most: the most that was ever counted at once.
    """

    def __init__(self, meter: Meter, max_length: int = 100) -> None:
        self.meter = meter
        self.store = MemoryHoldStore(now)
        self.queue = FairQueue(max_length, key=meter.key)
        self.most = 0

    async def reserve(self, hold_id: str, wait_s: float = 100.0) -> Waited:
        async def attempt() -> Granted | Refused:
            return await self.store.reserve(hold_id, (self.meter,), (Demand(),), lease_s=1000.0)

        if not self.queue.is_contended and isinstance(await attempt(), Granted):
            return AT_ONCE
        outcome, waited = await self.queue.wait("team", 1.0, 1, attempt, soon(wait_s))
        assert isinstance(outcome, Granted)
        self.most = max(self.most, self.store.standing_now((self.meter,))[0].used)
        return waited

    async def settle(self, hold_id: str) -> None:
        await self.store.settle(hold_id, NOTHING)
        self.queue.poke()


@in_virtual_time
async def test_a_request_waits_until_the_window_has_room() -> None:
    limited = Limited(RATE)
    for name in ("first", "second"):
        await limited.reserve(name)

    waited = await limited.reserve("third")

    assert waited.position == 1
    assert 10.0 <= waited.waited_s < 10.5
    assert limited.most <= RATE.cap


@in_virtual_time
async def test_requests_pass_at_the_rate_of_the_limit_in_the_order_they_came() -> None:
    limited = Limited(RATE)
    passed: list[tuple[int, float]] = []

    async def request(number: int) -> None:
        await limited.reserve(str(number))
        passed.append((number, now()))

    began = now()
    await asyncio.gather(*(request(number) for number in range(8)))

    assert [number for number, _ in passed] == list(range(8))
    assert [round((at - began) // 10) for _, at in passed] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert limited.most <= RATE.cap


@in_virtual_time
async def test_a_place_given_back_passes_to_the_next_at_that_moment() -> None:
    limited = Limited(PLACES)
    await limited.reserve("first")
    second = asyncio.create_task(limited.reserve("second"))
    await asyncio.sleep(0.3)

    await limited.settle("first")
    waited = await second

    assert waited.waited_s == pytest.approx(0.3)


@in_virtual_time
async def test_a_limit_that_others_free_unheard_is_tried_again_by_itself() -> None:
    limited = Limited(PLACES)
    await limited.reserve("first")
    second = asyncio.create_task(limited.reserve("second"))
    await asyncio.sleep(0.3)

    await limited.store.settle("first", NOTHING)
    waited = await second

    assert waited.waited_s == pytest.approx(1.0)


@in_virtual_time
async def test_a_refusal_that_waiting_does_not_help_is_returned() -> None:
    gate = Gate(refused(retry_after_s=None))
    queue = FairQueue(10)

    outcome, waited = await join(queue, gate, "a")

    assert outcome is gate.answer
    assert waited.waited_s == 0.0
    assert not queue.is_contended


@in_virtual_time
async def test_nobody_is_held_up_by_one_whom_another_limit_stops() -> None:
    queue, stopped, free = FairQueue(10, key=RATE.key), Gate(refused(OTHER)), Gate(refused(RATE))
    first, second = join(queue, stopped, "a"), join(queue, free, "b")
    free.free = 1

    (one, _), (two, _) = await first, await second

    assert one is stopped.answer
    assert two == "b"
    assert queue.admitted == 1


@in_virtual_time
async def test_why_people_wait_is_known_to_those_who_have_not_tried() -> None:
    queue, gate = FairQueue(1, key=RATE.key), Gate()
    waiting = join(queue, gate, "a")
    await settle_down()

    with pytest.raises(QueueFullError):
        await join(queue, gate, "a")

    assert queue.last_refused is gate.answer
    await leave(waiting)


@in_virtual_time
async def test_only_the_next_tries() -> None:
    queue, gate = FairQueue(10), Gate()
    tasks = [join(queue, gate, name) for name in ("a1", "a2", "b1")]
    await settle_down()
    for _ in range(3):
        await open_up(queue, gate, 0)

    assert gate.tried == ["a1"] * 4
    await leave(*tasks)


@in_virtual_time
async def test_all_that_is_free_is_handed_out_after_one_poke() -> None:
    queue, gate = FairQueue(10), Gate()
    tasks = [join(queue, gate, name) for name in ("a1", "a2", "b1", "b2")]
    await settle_down()

    await open_up(queue, gate, 3)

    assert gate.granted == ["a1", "b1", "a2"]
    assert queue.waiting == 1
    await leave(*tasks)


@in_virtual_time
async def test_a_poke_tries_nothing_itself() -> None:
    queue, gate = FairQueue(10), Gate()
    task = join(queue, gate, "a")
    await settle_down()
    gate.free = 1

    queue.poke()

    assert gate.tried == ["a"]
    await task
    assert gate.tried == ["a", "a"]


@in_virtual_time
async def test_many_pokes_at_once_are_one_attempt() -> None:
    queue, gate = FairQueue(10), Gate()
    task = join(queue, gate, "a")
    await settle_down()

    for _ in range(1000):
        queue.poke()
    await settle_down()

    assert gate.tried == ["a", "a"]
    await leave(task)


@in_virtual_time
async def test_a_poke_during_an_attempt_is_not_lost() -> None:
    queue, free = FairQueue(10), [False]

    async def slow() -> str | Refused:
        answer = "granted" if free[0] else refused()
        await asyncio.sleep(1.0)
        return answer

    task = asyncio.create_task(queue.wait("a", 1.0, 1, slow, soon()))
    await asyncio.sleep(0.5)
    free[0] = True
    queue.poke()

    outcome, waited = await task

    assert outcome == "granted"
    assert waited.waited_s == pytest.approx(2.0)


@in_virtual_time
async def test_an_attempt_may_poke() -> None:
    queue, tried = FairQueue(10), [0]

    async def attempt() -> str | Occupied:
        tried[0] += 1
        queue.poke()
        return "granted" if tried[0] == 3 else OCCUPIED

    outcome, _ = await queue.wait("a", 1.0, 1, attempt, soon())

    assert outcome == "granted"


@in_virtual_time
async def test_what_is_given_back_while_the_first_joins_is_not_missed() -> None:
    queue, gate = FairQueue(10), Gate(OCCUPIED)
    gate.free = 1

    outcome, waited = await join(queue, gate, "a")

    assert outcome == "a"
    assert waited.waited_s == 0.0


@in_virtual_time
async def test_it_is_tried_again_when_the_last_refusal_says_so() -> None:
    queue, gate = FairQueue(10), Gate(refused(retry_after_s=7.0))
    task = join(queue, gate, "a")
    await asyncio.sleep(6.9)
    before = len(gate.tried)
    gate.free = 1

    _, waited = await task

    assert before == 1
    assert waited.waited_s == pytest.approx(7.0)


@in_virtual_time
async def test_a_pause_of_nothing_does_not_spin() -> None:
    queue, gate = FairQueue(10), Gate(refused(retry_after_s=0.0))
    task = join(queue, gate, "a")

    await asyncio.sleep(0.0105)

    assert len(gate.tried) == 11
    await leave(task)


@in_virtual_time
async def test_whoever_waits_is_seen_by_newcomers() -> None:
    queue, gate = FairQueue(10), Gate()
    before = queue.is_contended
    task = join(queue, gate, "a")
    await settle_down()
    during = queue.is_contended, queue.waiting
    await open_up(queue, gate, 1)
    await task

    assert (before, during, queue.is_contended) == (False, (True, 1), False)


@in_virtual_time
async def test_tenants_share_by_weight() -> None:
    queue, gate = FairQueue(100), Gate()
    heavy = [join(queue, gate, f"h{number}", weight=3.0) for number in range(30)]
    light = [join(queue, gate, f"l{number}", weight=1.0) for number in range(30)]
    await settle_down()

    for _ in range(20):
        await open_up(queue, gate, 1)

    assert sum(name[0] == "h" for name in gate.granted) == 15
    await leave(*heavy, *light)


@in_virtual_time
async def test_one_too_many_is_refused_at_once() -> None:
    queue, gate = FairQueue(2), Gate()
    tasks = [join(queue, gate, name) for name in ("a1", "a2")]
    await settle_down()

    with pytest.raises(QueueFullError) as caught:
        await join(queue, gate, "a3")

    assert caught.value.waited == Waited(3, None, 0.0)
    assert (queue.waiting, queue.refused_full) == (2, 1)
    await leave(*tasks)


@in_virtual_time
async def test_a_queue_without_places_refuses_everybody() -> None:
    queue, gate = FairQueue(0), Gate()

    with pytest.raises(QueueFullError):
        await join(queue, gate, "a")

    assert gate.tried == []


@in_virtual_time
async def test_a_flood_of_one_tenant_keeps_nobody_out() -> None:
    queue, gate = FairQueue(4), Gate()
    flood = [join(queue, gate, f"f{number}") for number in range(4)]
    await settle_down()
    small = join(queue, gate, "s")
    await settle_down()

    with pytest.raises(QueueFullError) as caught:
        await flood[3]

    assert caught.value.waited.position == 4
    assert queue.waiting == 4
    await open_up(queue, gate, 2)
    assert gate.granted == ["f0", "s"]
    assert queue.refused_full == 1
    await leave(small, *flood)


@in_virtual_time
async def test_whoever_is_next_is_not_displaced() -> None:
    queue, gate = FairQueue(2), Gate()
    tasks = [join(queue, gate, name, weight=0.001) for name in "ab"]
    await settle_down()

    with pytest.raises(QueueFullError):
        await join(queue, gate, "c", weight=1000.0)

    await open_up(queue, gate, 2)
    assert gate.granted == ["a", "b"]
    await asyncio.gather(*tasks)


@in_virtual_time
async def test_nobody_waits_beyond_its_moment() -> None:
    queue, gate = FairQueue(10), Gate(refused(retry_after_s=1.0))
    began = now()
    task, next_one = join(queue, gate, "a", give_up_at=began + 2.5), join(queue, gate, "a")

    with pytest.raises(WaitedTooLongError) as caught:
        await task

    assert now() == pytest.approx(began + 2.5)
    assert caught.value.waited.waited_s == pytest.approx(2.5)
    assert (queue.gave_up, queue.waiting) == (1, 1)
    await open_up(queue, gate, 1)
    assert (await next_one)[0] == "a"


@in_virtual_time
async def test_an_attempt_that_takes_too_long_is_cancelled() -> None:
    queue, ended = FairQueue(10), list[str]()

    async def hang() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "granted"

    with pytest.raises(WaitedTooLongError):
        await queue.wait("a", 1.0, 1, hang, soon(3.0))

    assert ended == ["cancelled"]
    assert not queue.is_contended


@in_virtual_time
async def test_what_is_granted_at_the_last_moment_is_kept() -> None:
    queue = FairQueue(10)

    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "granted"

    outcome, _ = await queue.wait("a", 1.0, 1, stubborn, soon(3.0))

    assert outcome == "granted"
    assert (queue.admitted, queue.gave_up) == (1, 0)


@in_virtual_time
async def test_a_moment_that_has_passed_is_refused_at_once() -> None:
    queue, gate = FairQueue(10), Gate()
    gate.free = 1

    with pytest.raises(WaitedTooLongError):
        await join(queue, gate, "a", give_up_at=now())

    assert (queue.refused_late, gate.tried) == (1, [])


@in_virtual_time
@pytest.mark.parametrize("cost", [0, -5])
async def test_an_absurd_cost_is_refused(cost: int) -> None:
    queue, gate = FairQueue(10), Gate()

    with pytest.raises(ValueError, match="cost"):
        await join(queue, gate, "a", cost=cost)

    assert not queue.is_contended


@in_virtual_time
@pytest.mark.parametrize("weight", [1e-300, 0.0, 1e300])
async def test_an_absurd_weight_is_moved_into_the_range(weight: float) -> None:
    queue, gate = FairQueue(10), Gate()
    tasks = [join(queue, gate, "a", weight=weight), join(queue, gate, "b")]
    await settle_down()

    await open_up(queue, gate, 2)

    assert sorted(gate.granted) == ["a", "b"]
    await asyncio.gather(*tasks)


def rounded(waited: Waited) -> Waited:
    expected_s = waited.expected_wait_s
    return Waited(waited.position, None if expected_s is None else round(expected_s, 6), round(waited.waited_s, 6))


async def admit_each(queue: FairQueue, gate: Gate, every_s: float, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(every_s)
        await open_up(queue, gate, 1)


@in_virtual_time
async def test_position_and_expected_wait_are_known_after_somebody_was_admitted() -> None:
    queue, gate = FairQueue(20), Gate(OCCUPIED)
    tasks = [join(queue, gate, f"a{number}") for number in range(6)]
    await admit_each(queue, gate, 2.0, 3)
    newcomer = join(queue, gate, "a")
    await admit_each(queue, gate, 2.0, 4)

    (_, before), (_, after) = await tasks[4], await newcomer

    assert rounded(before) == Waited(5, None, 10.0)
    assert rounded(after) == Waited(4, 8.0, 8.0)


@in_virtual_time
async def test_whoever_would_wait_too_long_is_refused_at_once() -> None:
    queue, gate = FairQueue(20), Gate(OCCUPIED)
    tasks = [join(queue, gate, f"a{number}") for number in range(6)]
    await admit_each(queue, gate, 2.0, 3)
    began = now()

    with pytest.raises(WaitedTooLongError) as caught:
        await join(queue, gate, "a", give_up_at=began + 7.9)

    assert now() == began
    assert rounded(caught.value.waited) == Waited(4, 8.0, 0.0)
    assert (queue.refused_late, queue.gave_up, queue.waiting) == (1, 0, 3)
    await leave(*tasks)


@in_virtual_time
async def test_an_old_estimate_keeps_nobody_from_finding_out() -> None:
    queue, gate = FairQueue(20), Gate(OCCUPIED)
    slow = [join(queue, gate, "a", give_up_at=soon(10_000.0)) for _ in range(8)]
    await admit_each(queue, gate, 500.0, 8)
    await asyncio.gather(*slow)

    first = join(queue, gate, "a", give_up_at=soon(10.0))
    await settle_down()
    with pytest.raises(WaitedTooLongError) as caught:
        await join(queue, gate, "a", give_up_at=soon(10.0))
    await admit_each(queue, gate, 0.1, 1)

    assert rounded((await first)[1]) == Waited(1, 500.0, 0.1)
    assert rounded(caught.value.waited) == Waited(2, 1000.0, 0.0)


@in_virtual_time
async def test_what_was_learned_before_the_queue_was_empty_counts_little() -> None:
    queue, gate = FairQueue(20), Gate(OCCUPIED)
    slow = [join(queue, gate, "a", give_up_at=soon(10_000.0)) for _ in range(8)]
    await admit_each(queue, gate, 500.0, 8)
    quick = join(queue, gate, "a")
    await admit_each(queue, gate, 1.0, 1)

    last = join(queue, gate, "a")
    await admit_each(queue, gate, 1.0, 1)

    assert (await last)[1].expected_wait_s == pytest.approx((500.0 + 1.0) / 2)
    await asyncio.gather(*slow, quick)


@in_virtual_time
async def test_the_expected_wait_follows_what_happens_now() -> None:
    queue, gate = FairQueue(500), Gate(OCCUPIED)
    tasks = [join(queue, gate, f"a{number}", give_up_at=soon(10_000.0)) for number in range(200)]
    await admit_each(queue, gate, 10.0, 50)
    await admit_each(queue, gate, 1.0, 100)

    newcomer = join(queue, gate, "b", give_up_at=soon(10_000.0))
    await settle_down()
    await admit_each(queue, gate, 0.0, 51)

    (_, waited) = await newcomer
    assert waited.expected_wait_s == pytest.approx(waited.position * 1.0, rel=0.05)
    await asyncio.gather(*tasks)


@in_virtual_time
async def test_the_numbers_of_a_metrics_page_add_up() -> None:
    queue, gate = FairQueue(2), Gate(OCCUPIED)
    admitted, gone = join(queue, gate, "a"), join(queue, gate, "a", give_up_at=soon(3.0))
    await settle_down()
    with pytest.raises(QueueFullError):
        await join(queue, gate, "a")
    await asyncio.sleep(5.0)
    await open_up(queue, gate, 1)
    await asyncio.gather(admitted, gone, return_exceptions=True)

    numbers = (queue.waiting, queue.admitted, queue.gave_up, queue.refused_full, queue.refused_late)
    assert numbers == (0, 1, 1, 1, 0)
    assert queue.waited_s == pytest.approx(8.0)


@in_virtual_time
async def test_an_empty_queue_has_no_task_and_no_timer() -> None:
    queue, gate = FairQueue(10), Gate(refused(retry_after_s=5.0))
    task = join(queue, gate, "a")
    await asyncio.sleep(6.0)
    await open_up(queue, gate, 1)
    await task
    queue.poke()

    loop: Any = asyncio.get_running_loop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


@in_virtual_time
@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("leaver", [0, 1, 2])
@pytest.mark.parametrize("is_poked", [False, True])
async def test_whoever_is_cancelled_leaves_no_trace_and_passes_the_turn_on(
    turns: int, leaver: int, *, is_poked: bool
) -> None:
    queue, gate = FairQueue(10), Gate(OCCUPIED)
    tasks = [join(queue, gate, name) for name in ("a1", "b1", "a2")]
    if is_poked:
        await settle_down()
        queue.poke()
    for _ in range(turns):
        await asyncio.sleep(0)

    await leave(tasks.pop(leaver))
    await settle_down()
    left = queue.waiting
    await open_up(queue, gate, 2)

    assert left == 2
    assert [task.done() for task in tasks] == [True, True]
    assert not queue.is_contended


@in_virtual_time
async def test_nobody_tries_because_one_behind_it_left() -> None:
    queue, gate = FairQueue(10), Gate()
    first, second = join(queue, gate, "a"), join(queue, gate, "b")
    await settle_down()

    await leave(second)
    await settle_down()

    assert gate.tried == ["a"]
    await leave(first)


@in_virtual_time
async def test_a_cancelled_attempt_passes_the_turn_on() -> None:
    queue, gate = FairQueue(10), Gate()
    gate.free = 1

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    first = asyncio.create_task(queue.wait("a", 1.0, 1, hang, soon()))
    await settle_down()
    second = join(queue, gate, "b")
    await settle_down()
    before = list(gate.tried)

    await leave(first)

    assert before == []
    assert (await second)[0] == "b"


@in_virtual_time
async def test_an_attempt_that_fails_fails_its_own_request_only() -> None:
    queue, gate = FairQueue(10), Gate()
    gate.free = 1

    async def broken() -> str:
        raise TimeoutError("the store's own")

    first, second = asyncio.create_task(queue.wait("a", 1.0, 1, broken, soon())), join(queue, gate, "b")

    with pytest.raises(TimeoutError, match="the store's own"):
        await first
    assert (await second)[0] == "b"
    assert (queue.admitted, queue.gave_up) == (1, 0)


@in_virtual_time
async def test_whoever_waits_no_more_is_not_charged() -> None:
    queue, gate = FairQueue(100), Gate(OCCUPIED)
    tenants = [join(queue, gate, f"{name}{number}", cost=5) for number in range(10) for name in "ab"]
    await settle_down()
    leavers = [task for task in tenants if task.get_name() in {"a1", "a2", "a3"}]
    await leave(*leavers)

    for _ in range(6):
        await open_up(queue, gate, 1)

    assert sum(name[0] == "a" for name in gate.granted) == 3
    await leave(*tenants)


class Calls:
    """Calls that hold a slot for a while.

    Attributes:
        most: the most that were under way at once.
        order: names, as they began.
    """

    def __init__(self, gate: SlotGate) -> None:
        self.gate = gate
        self.under_way = self.most = 0
        self.order: list[str] = []

    async def call(self, name: str, *, lasts_s: float = 1.0, weight: float = 1.0, wait_s: float = 1000.0) -> Waited:
        async with self.gate.slot(name[0], weight, 1, soon(wait_s)) as waited:
            self.order.append(name)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await asyncio.sleep(lasts_s)
            finally:
                self.under_way -= 1
        return waited


@in_virtual_time
async def test_a_free_slot_is_taken_at_once() -> None:
    gate = SlotGate(2, 10)

    async with gate.slot("a", 1.0, 1, soon()) as waited:
        during = gate.in_use

    assert waited is AT_ONCE
    assert (during, gate.in_use, gate.queue.admitted) == (1, 0, 0)


@in_virtual_time
async def test_no_more_than_the_slots_are_in_use() -> None:
    calls = Calls(SlotGate(3, 100))
    began = now()

    waits = await asyncio.gather(*(calls.call(f"a{number}") for number in range(10)))

    assert calls.most == 3
    assert now() - began == pytest.approx(4.0)
    assert [round(waited.waited_s) for waited in waits] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert calls.gate.in_use == 0


@in_virtual_time
async def test_a_newcomer_does_not_take_the_slot_of_those_who_wait() -> None:
    gate = SlotGate(1, 10)
    calls = Calls(gate)
    async with gate.slot("a", 1.0, 1, soon()):
        early = asyncio.create_task(calls.call("early"))
        await settle_down()

    await calls.call("newcomer")  # at this moment the slot is free, and the one who waits has not run yet

    assert calls.order == ["early", "newcomer"]
    await early


@in_virtual_time
async def test_slots_are_shared_by_weight() -> None:
    calls = Calls(SlotGate(2, 200))
    tasks = [asyncio.create_task(calls.call(f"h{number}", weight=4.0)) for number in range(60)]
    tasks += [asyncio.create_task(calls.call(f"l{number}", weight=1.0)) for number in range(60)]
    await asyncio.sleep(25.5)

    begun = calls.order[2:52]

    assert sum(name[0] == "h" for name in begun) == 40
    await leave(*tasks)
    assert calls.gate.in_use == 0


@in_virtual_time
async def test_a_call_that_fails_gives_its_slot_back() -> None:
    gate = SlotGate(1, 10)

    async def fail() -> None:
        async with gate.slot("b", 1.0, 1, soon()):
            await settle_down()
            raise RuntimeError("upstream")

    failing = asyncio.create_task(fail())
    waiting = asyncio.create_task(Calls(gate).call("a"))
    await asyncio.wait([failing])

    assert isinstance(failing.exception(), RuntimeError)
    assert (await waiting).position == 1
    assert gate.in_use == 0


@in_virtual_time
async def test_more_slots_let_more_through() -> None:
    gate = SlotGate(1, 10)
    calls = Calls(gate)
    tasks = [asyncio.create_task(calls.call(f"a{number}", lasts_s=100.0)) for number in range(4)]
    await settle_down()

    gate.resize(3)
    await settle_down()

    assert (gate.slots, gate.in_use, gate.queue.waiting) == (3, 3, 1)
    await leave(*tasks)


@in_virtual_time
async def test_fewer_slots_hold_as_calls_end() -> None:
    gate = SlotGate(3, 10)
    calls = Calls(gate)
    tasks = [asyncio.create_task(calls.call(f"a{number}")) for number in range(6)]
    await settle_down()

    gate.resize(1)
    await asyncio.sleep(1.5)

    assert (gate.in_use, gate.queue.waiting) == (1, 2)
    await asyncio.gather(*tasks)


@in_virtual_time
@pytest.mark.parametrize(("max_length", "wait_s"), [(0, 10.0), (10, 0.5)])
async def test_who_gets_no_slot_takes_none(max_length: int, wait_s: float) -> None:
    gate = SlotGate(1, max_length)
    async with gate.slot("a", 1.0, 1, soon()):
        with pytest.raises(NotAdmittedError):
            await Calls(gate).call("b", wait_s=wait_s)

    assert gate.in_use == 0
