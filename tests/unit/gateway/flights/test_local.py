from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import UpstreamUnreachableError
from gateway.flights.base import Closer, Errand, Outcome
from gateway.flights.local import Flights, Follower, Leader
from gateway.flights.settings import FlightSettings
from gateway.upstreams.base import PlainReply
from tests.support.flying import KEY, FedStream, Request, Shelf, Upstream, plain, turns
from tests.support.virtual_time import START_S, in_virtual_time

LIMIT_S = 60.0


def now() -> float:
    return asyncio.get_running_loop().time()


def make() -> Flights:
    return Flights(FlightSettings(limit_s=LIMIT_S))


async def test_the_first_leads_and_the_next_follow() -> None:
    flights = make()

    parts = [flights.join(KEY), flights.join(KEY), flights.join(b"other")]

    assert [type(part) for part in parts] == [Leader, Follower, Leader]
    assert flights.in_flight == 2


@in_virtual_time
async def test_an_answer_may_be_joined_until_its_request_is_over() -> None:
    flights, upstream = make(), Upstream()
    shelf_is_slow = asyncio.Event()

    async def landed(outcome: Outcome) -> None:
        await shelf_is_slow.wait()

    leader = Request(flights, upstream).start(landed=landed)
    await turns()
    joined = Request(flights, upstream).start()
    await joined.answer()
    shelf_is_slow.set()
    await leader.is_over()
    later = Request(flights, upstream).start()
    await later.answer()

    assert upstream.calls == 2
    assert (joined.is_shared, later.is_shared) == (True, False)


@in_virtual_time
async def test_who_waits_for_too_long_goes_alone() -> None:
    flights, slow, quick = make(), Upstream(is_open=False), Upstream(plain(b"quick"))
    leader = Request(flights, slow).start()
    await turns()
    followers = [Request(flights, quick).start() for _ in range(5)]
    await asyncio.gather(*(follower.answer() for follower in followers))
    waited_s = now() - START_S
    slow.gate.set()

    assert waited_s == LIMIT_S
    assert quick.calls == 5
    assert await leader.answer() == b"{}"


@in_virtual_time
async def test_who_comes_when_a_call_takes_too_long_leads_anew() -> None:
    flights, slow, quick = make(), Upstream(is_open=False), Upstream(plain(b"quick"), is_open=False)
    stuck = Request(flights, slow).start()
    await asyncio.sleep(LIMIT_S + 1)
    second = Request(flights, quick).start()
    await turns()
    third = Request(flights, quick).start()
    await turns()
    quick.gate.set()
    await asyncio.gather(second.answer(), third.answer())
    slow.gate.set()
    await stuck.answer()

    assert (slow.calls, quick.calls) == (1, 1)
    assert flights.in_flight == 0


@in_virtual_time
async def test_who_joins_late_takes_over_when_the_call_takes_too_long() -> None:
    flights, slow, quick = make(), Upstream(is_open=False), Upstream(plain(b"quick"))
    stuck = Request(flights, slow).start()
    await asyncio.sleep(LIMIT_S - 10)
    late = [Request(flights, quick).start() for _ in range(3)]
    await asyncio.gather(*(request.answer() for request in late))
    waited_s = now() - START_S
    slow.gate.set()
    await stuck.answer()

    assert waited_s == LIMIT_S
    assert quick.calls == 1


@in_virtual_time
async def test_half_of_what_is_left_to_a_request_is_kept_for_its_own_call() -> None:
    flights, slow, quick = make(), Upstream(is_open=False), Upstream()
    leader = Request(flights, slow).start()
    await turns()
    follower = Request(flights, quick).start(deadline=now() + 10.0)
    await follower.answer()
    waited_s = now() - START_S
    slow.gate.set()
    await leader.answer()

    assert waited_s == 5.0
    assert (flights.shared, flights.orphaned) == (0, 1)


@in_virtual_time
async def test_a_call_whose_caller_left_is_ended_at_the_limit() -> None:
    flights, stuck = make(), Upstream(is_open=False)
    leader = Request(flights, stuck).start(outlives=True)
    await turns()
    leader.leave()
    await leader.is_over()

    assert now() - START_S == LIMIT_S
    assert stuck.ended == 1
    assert flights.in_flight == 0


@in_virtual_time
async def test_a_stream_whose_caller_left_is_ended_at_the_limit() -> None:
    flights, stream, shelf = make(), FedStream(b"a"), Shelf()
    leader = Request(flights, Upstream(stream), shelf).start(outlives=True)
    await turns()
    leader.leave()
    await leader.is_over()

    assert now() - START_S == LIMIT_S
    assert stream.closed == 1
    assert [type(outcome) for outcome in shelf.outcomes] == [asyncio.CancelledError]


@in_virtual_time
async def test_the_task_that_waits_for_the_upstream_is_always_told() -> None:
    flights, stream = make(), FedStream(b"a")
    upstream = Upstream(stream)
    leader = Request(flights, upstream).start()
    await turns()
    assert leader.handed[0] not in (None, leader.task)
    assert leader.handed[1:] == [leader.task]

    follower = Request(flights, upstream).start()
    stream.feed(b"b")
    await turns()
    assert stream.readers[-1] is leader.handed[-1] is not leader.task

    stream.feed(None)
    await asyncio.gather(leader.answer(), follower.answer())
    assert leader.handed[-1] is stream.closed_by is not None


@in_virtual_time
async def test_a_stream_that_nobody_shares_is_read_by_its_own_request() -> None:
    stream = FedStream(b"a", b"b", None)
    request = Request(make(), Upstream(stream)).start()

    await request.answer()

    assert set(stream.readers) == {request.task}


@in_virtual_time
async def test_a_caller_who_leaves_at_once_leaves_nothing_behind() -> None:
    flights, upstream = make(), Upstream()
    leader = Request(flights, upstream).start()
    await asyncio.sleep(0)
    leader.leave()
    await leader.is_over()

    assert upstream.calls == upstream.ended
    assert flights.in_flight == 0


@in_virtual_time
async def test_what_becomes_of_the_answer_is_raised_when_the_request_is_over() -> None:
    async def landed(outcome: Outcome) -> None:
        raise ZeroDivisionError

    for upstream in (Upstream(), Upstream(FedStream(b"a", None))):
        with pytest.raises(ZeroDivisionError):
            await Request(make(), upstream).start(landed=landed).answer()


@in_virtual_time
async def test_a_leader_that_is_closed_again_or_never_led_does_nothing() -> None:
    flights, shelf = make(), Shelf()
    leader = flights.join(KEY)
    assert isinstance(leader, Leader)
    await leader.close()
    request = Request(flights, Upstream(), shelf)
    await leader.lead(request.errand())
    await leader.close()
    await leader.close()

    assert len(shelf.outcomes) == 1


@in_virtual_time
async def test_an_answer_that_came_although_its_call_was_ended_is_not_lost() -> None:
    reply = plain()
    closers: list[Closer] = []

    async def call() -> PlainReply:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return reply

    shelf = Shelf()
    errand = Errand(
        call=call,
        on_close=closers.append,
        hand_to=lambda task: None,
        deadline=float("inf"),
        landed=shelf.landed,
    )
    task = asyncio.create_task(make().fly(KEY, errand))
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    while closers:
        await closers.pop()()

    assert shelf.outcomes == [reply]


@in_virtual_time
async def test_a_stream_that_came_although_its_call_was_ended_is_closed() -> None:
    stream = FedStream(b"a")
    closers: list[Closer] = []

    async def call() -> FedStream:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return stream

    errand = Errand(call=call, on_close=closers.append, hand_to=lambda task: None, deadline=float("inf"))
    task = asyncio.create_task(make().fly(KEY, errand))
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    while closers:
        await closers.pop()()

    assert stream.closed == 1


@in_virtual_time
async def test_failures_of_others_are_counted_and_never_shown() -> None:
    flights, upstream = make(), Upstream(UpstreamUnreachableError("secret"), plain(b"ok"), is_open=False)
    leader = Request(flights, upstream).start()
    await turns()
    follower = Request(flights, upstream).start()
    await turns()
    upstream.gate.set()

    assert await follower.answer() == b"ok"
    await leader.is_over()
    assert (flights.orphaned, flights.shared) == (1, 0)
