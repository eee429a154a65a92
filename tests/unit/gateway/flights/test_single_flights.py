"""Every way to share one call: within a process, and on the Redis that replicas share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from gateway.domain.errors import UpstreamTimeoutError, UpstreamUnreachableError
from gateway.flights.base import SingleFlight
from gateway.flights.leases import Leases
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from gateway.flights.shared import SharedFlights
from tests.support.flying import FedStream, Request, Shelf, Upstream, connect, plain
from tests.support.redis_server import reached, shared_server

BROKEN = UpstreamUnreachableError("broken")


@pytest.fixture(params=["local", "shared"])
async def flights(request: pytest.FixtureRequest) -> AsyncIterator[SingleFlight]:
    local = Flights(FlightSettings())
    if request.param == "local":
        yield local
        assert local.in_flight == local.room.used == 0
        return
    organisation = secrets.token_hex(8)
    connection = connect(shared_server().url, organisation)
    shared = SharedFlights(local, Leases(connection, organisation, lease_s=10.0))
    yield shared
    assert local.in_flight == local.room.used == 0
    await shared.close()
    await connection.close()


async def called(upstream: Upstream, times: int = 1) -> None:
    await reached(lambda: upstream.calls >= times)


async def test_equal_requests_share_one_call(flights: SingleFlight) -> None:
    upstream = Upstream(plain(b"answer"))
    requests = [Request(flights, upstream).start() for _ in range(100)]

    bodies = await asyncio.gather(*(request.answer() for request in requests))

    assert bodies == [b"answer"] * 100
    assert upstream.calls == 1
    assert sum(request.is_shared is False for request in requests) == 1


async def test_requests_with_other_keys_make_their_own_calls(flights: SingleFlight) -> None:
    upstream = Upstream()

    await asyncio.gather(*(Request(flights, upstream).start(bytes([n]) * 32).answer() for n in range(3)))

    assert upstream.calls == 3


async def test_a_failed_call_is_made_again_once_for_all_who_waited(flights: SingleFlight) -> None:
    upstream = Upstream(BROKEN, plain(b"answer"), is_open=False)
    leader = Request(flights, upstream).start()
    await called(upstream)
    followers = [Request(flights, upstream).start() for _ in range(10)]
    await asyncio.sleep(0)
    upstream.gate.set()

    bodies = await asyncio.gather(*(follower.answer() for follower in followers))

    assert bodies == [b"answer"] * 10
    assert upstream.calls == 2
    with pytest.raises(UpstreamUnreachableError):
        await leader.answer()


async def test_after_two_failed_calls_everybody_goes_alone(flights: SingleFlight) -> None:
    upstream = Upstream(BROKEN, BROKEN, plain(b"answer"), is_open=False)
    first = Request(flights, upstream).start()
    await called(upstream)
    others = [Request(flights, upstream).start() for _ in range(6)]
    await asyncio.sleep(0)
    upstream.gate.set()
    await asyncio.gather(*(request.is_over() for request in (first, *others)))

    bodies = [request.body for request in others]

    assert sorted(bodies) == [b"", *[b"answer"] * 5]
    assert upstream.calls == 2 + 5


async def test_a_call_goes_on_for_those_who_wait_when_its_caller_leaves(flights: SingleFlight) -> None:
    upstream, shelf = Upstream(plain(b"answer"), is_open=False), Shelf()
    leader = Request(flights, upstream, shelf).start()
    await called(upstream)
    follower = Request(flights, upstream).start()
    await asyncio.sleep(0)
    leader.leave()
    await asyncio.sleep(0)
    upstream.gate.set()

    assert await follower.answer() == b"answer"
    await leader.is_over()
    assert upstream.calls == 1
    assert shelf.outcomes == [plain(b"answer")]


async def test_the_request_of_a_caller_who_left_is_over_when_its_call_is(flights: SingleFlight) -> None:
    upstream = Upstream(is_open=False)
    leader = Request(flights, upstream).start()
    await called(upstream)
    follower = Request(flights, upstream).start()
    await asyncio.sleep(0)
    leader.leave()
    await asyncio.sleep(0.01)
    was_over = leader.task is not None and leader.task.done()
    upstream.gate.set()
    await follower.answer()
    await leader.is_over()

    assert was_over is False


async def test_a_call_that_nobody_waits_for_is_ended(flights: SingleFlight) -> None:
    upstream, shelf = Upstream(is_open=False), Shelf()
    leader = Request(flights, upstream, shelf).start()
    await called(upstream)
    leader.leave()
    await leader.is_over()

    assert upstream.ended == 1
    assert [type(outcome) for outcome in shelf.outcomes] == [asyncio.CancelledError]


async def test_a_call_is_ended_when_the_last_who_waits_leaves(flights: SingleFlight) -> None:
    upstream = Upstream(is_open=False)
    leader = Request(flights, upstream).start()
    await called(upstream)
    followers = [Request(flights, upstream).start() for _ in range(2)]
    await asyncio.sleep(0)
    for request in (leader, *followers):
        request.leave()
    await asyncio.gather(*(request.is_over() for request in (leader, *followers)))

    assert (upstream.calls, upstream.ended) == (1, 1)


async def test_a_call_that_outlives_its_caller_goes_on_for_nobody(flights: SingleFlight) -> None:
    upstream, shelf = Upstream(plain(b"answer"), is_open=False), Shelf()
    leader = Request(flights, upstream, shelf).start(outlives=True)
    await called(upstream)
    leader.leave()
    await asyncio.sleep(0)
    upstream.gate.set()
    await leader.is_over()

    assert shelf.outcomes == [plain(b"answer")]


async def test_streams_are_shared_from_the_beginning_and_as_they_come(flights: SingleFlight) -> None:
    stream = FedStream(b"a")
    upstream = Upstream(stream)
    leader = Request(flights, upstream).start()
    await reached(lambda: leader.body == b"a")
    follower = Request(flights, upstream).start()
    stream.feed(b"b")
    await reached(lambda: follower.body == b"ab")
    late = Request(flights, upstream).start()
    await reached(lambda: late.body == b"ab")
    stream.feed(b"c", None)

    assert list(await asyncio.gather(leader.answer(), follower.answer(), late.answer())) == [b"abc"] * 3
    assert (upstream.calls, stream.closed) == (1, 1)
    assert (leader.is_shared, follower.is_shared, late.is_shared) == (False, True, True)


async def test_a_whole_stream_lands_with_its_events(flights: SingleFlight) -> None:
    shelf = Shelf()
    request = Request(flights, Upstream(FedStream(b"a", b"b", None)), shelf).start()

    await request.answer()

    assert [reply.body for reply in shelf.found.values() if hasattr(reply, "body")] == [b"ab"]


async def test_a_stream_goes_on_for_those_who_read_it_when_its_caller_leaves(flights: SingleFlight) -> None:
    stream, shelf = FedStream(b"a"), Shelf()
    upstream = Upstream(stream)
    leader = Request(flights, upstream, shelf).start()
    await reached(lambda: leader.body == b"a")
    follower = Request(flights, upstream).start()
    stream.feed(b"b")
    await reached(lambda: follower.body == b"ab")
    leader.leave()
    await asyncio.sleep(0)
    stream.feed(b"c", None)

    assert await follower.answer() == b"abc"
    await leader.is_over()
    assert upstream.calls == 1
    assert len(shelf.outcomes) == 1
    assert not isinstance(shelf.outcomes[0], BaseException)


async def test_a_stream_that_breaks_breaks_for_all_who_have_begun_to_read(flights: SingleFlight) -> None:
    stream, shelf = FedStream(b"a"), Shelf()
    upstream = Upstream(stream)
    leader = Request(flights, upstream, shelf).start()
    await reached(lambda: leader.body == b"a")
    follower = Request(flights, upstream).start()
    stream.feed(b"b")
    await reached(lambda: follower.body == b"ab")
    stream.feed(UpstreamTimeoutError("silent"))

    for request in (leader, follower):
        with pytest.raises(UpstreamTimeoutError):
            await request.answer()
    assert [type(outcome) for outcome in shelf.outcomes] == [UpstreamTimeoutError]


async def test_a_stream_that_breaks_before_it_was_shared_is_asked_for_again(flights: SingleFlight) -> None:
    stream = FedStream(b"a")
    upstream = Upstream(stream, FedStream(b"other", None))
    leader = Request(flights, upstream).start()
    await reached(lambda: leader.body == b"a" and len(stream.readers) == 2)
    follower = Request(flights, upstream).start()
    await asyncio.sleep(0)
    stream.feed(UpstreamTimeoutError("silent"))

    assert await follower.answer() == b"other"
    with pytest.raises(UpstreamTimeoutError):
        await leader.answer()
