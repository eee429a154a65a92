from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest

from gateway.domain.errors import UpstreamUnreachableError
from gateway.flights.base import Outcome
from gateway.flights.leases import Leases
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from gateway.flights.shared import SharedFlights
from gateway.redis.connection import RedisConnection
from gateway.upstreams.base import Reply
from tests.support.flying import FedStream, Request, Shelf, Upstream, connect, plain
from tests.support.redis_server import RedisServer, reached, shared_server


class Replica:
    """One replica's part."""

    def __init__(self, connection: RedisConnection, organisation: str, **settings: float) -> None:
        self.connection = connection
        made = FlightSettings(**settings)
        self.flights = SharedFlights(Flights(made), Leases(connection, organisation, lease_s=made.lease_s))

    async def close(self) -> None:
        await self.flights.close()
        await self.connection.close()


@pytest.fixture
async def replicas() -> AsyncIterator[tuple[Replica, Replica]]:
    organisation = secrets.token_hex(8)
    made = [
        Replica(connect(shared_server().url, organisation), organisation, lease_s=0.6, elsewhere_s=5.0)
        for _ in range(2)
    ]
    yield made[0], made[1]
    for replica in made:
        await replica.close()


async def test_a_replica_waits_for_the_answer_of_another(replicas: tuple[Replica, Replica]) -> None:
    upstream, shelf = Upstream(plain(b"answer"), is_open=False), Shelf()
    leader = Request(replicas[0].flights, upstream, shelf).start()
    await reached(lambda: upstream.calls == 1)
    others = [Request(replicas[1].flights, upstream, shelf).start() for _ in range(10)]
    await asyncio.sleep(0.1)
    upstream.gate.set()

    assert await asyncio.gather(*(request.answer() for request in (leader, *others))) == [b"answer"] * 11
    assert upstream.calls == 1
    assert [request.is_shared for request in others] == [True] * 10
    assert (replicas[0].flights.fetched, replicas[1].flights.fetched) == (0, 1)
    assert len(shelf.outcomes) == 1


async def test_a_replica_that_looked_too_early_finds_what_has_just_landed(replicas: tuple[Replica, Replica]) -> None:
    upstream, shelf = Upstream(plain(b"answer")), Shelf()
    await Request(replicas[0].flights, upstream, shelf).start().answer()

    late = Request(replicas[1].flights, upstream, shelf).start()

    assert await late.answer() == b"answer"
    assert upstream.calls == 1


async def test_a_stream_reaches_other_replicas_when_it_is_whole(replicas: tuple[Replica, Replica]) -> None:
    stream, shelf = FedStream(b"a"), Shelf()
    upstream = Upstream(stream)
    leader = Request(replicas[0].flights, upstream, shelf).start()
    await reached(lambda: leader.body == b"a")
    other = Request(replicas[1].flights, upstream, shelf).start()
    await asyncio.sleep(0.05)
    stream.feed(b"b", None)

    assert list(await asyncio.gather(leader.answer(), other.answer())) == [b"ab", b"ab"]
    assert (upstream.calls, other.is_shared) == (1, True)


async def test_a_replica_takes_over_when_another_one_fails(replicas: tuple[Replica, Replica]) -> None:
    upstream, shelf = Upstream(UpstreamUnreachableError("x"), plain(b"answer"), is_open=False), Shelf()
    leader = Request(replicas[0].flights, upstream, shelf).start()
    await reached(lambda: upstream.calls == 1)
    other = Request(replicas[1].flights, upstream, shelf).start()
    await asyncio.sleep(0.05)
    upstream.gate.set()

    assert await other.answer() == b"answer"
    assert (upstream.calls, other.is_shared) == (2, False)
    await leader.is_over()


async def test_a_replica_takes_over_when_another_one_dies(replicas: tuple[Replica, Replica]) -> None:
    stuck, upstream, shelf = Upstream(is_open=False), Upstream(plain(b"answer")), Shelf()
    dying = Request(replicas[0].flights, stuck, shelf).start()
    await reached(lambda: stuck.calls == 1)
    await replicas[0].flights.leases.close()

    assert await Request(replicas[1].flights, upstream, shelf).start().answer() == b"answer"
    stuck.gate.set()
    await dying.answer()


async def test_a_replica_makes_its_own_call_when_another_one_takes_too_long() -> None:
    organisation = secrets.token_hex(8)
    first = Replica(connect(shared_server().url, organisation), organisation)
    second = Replica(connect(shared_server().url, organisation), organisation, elsewhere_s=0.2)
    slow, upstream, shelf = Upstream(is_open=False), Upstream(plain(b"own")), Shelf()
    leader = Request(first.flights, slow, shelf).start()
    await reached(lambda: slow.calls == 1)
    others = [Request(second.flights, upstream, shelf).start() for _ in range(5)]

    assert await asyncio.gather(*(request.answer() for request in others)) == [b"own"] * 5
    assert upstream.calls == 1
    slow.gate.set()
    await leader.answer()
    for replica in (first, second):
        await replica.close()


async def test_a_request_keeps_half_of_its_time_when_another_replica_takes_long(
    replicas: tuple[Replica, Replica],
) -> None:
    slow, upstream, shelf = Upstream(is_open=False), Upstream(plain(b"own")), Shelf()
    leader = Request(replicas[0].flights, slow, shelf).start()
    await reached(lambda: slow.calls == 1)
    hurried = Request(replicas[1].flights, upstream, shelf)
    hurried.start(deadline=asyncio.get_running_loop().time() + 0.2)

    assert await hurried.answer() == b"own"
    slow.gate.set()
    await leader.answer()


async def test_without_redis_every_replica_makes_its_own_call() -> None:
    with RedisServer() as server:
        replica = Replica(connect(server.url), "acme")
        upstream = Upstream(plain(b"answer"))
        await Request(replica.flights, upstream).start().answer()
        server.kill()
        requests = [Request(replica.flights, upstream).start() for _ in range(10)]
        bodies = await asyncio.gather(*(request.answer() for request in requests))
        await replica.close()

    assert bodies == [b"answer"] * 10
    assert upstream.calls == 2
    assert replica.flights.unavailable == 1


async def test_a_lease_is_given_back_when_the_answer_cannot_be_kept(replicas: tuple[Replica, Replica]) -> None:
    async def landed(outcome: Outcome) -> None:
        raise ZeroDivisionError

    upstream = Upstream()
    with pytest.raises(ZeroDivisionError):
        await Request(replicas[0].flights, upstream).start(landed=landed).answer()
    began = time.monotonic()
    await Request(replicas[1].flights, upstream).start().answer()

    assert upstream.calls == 2
    assert time.monotonic() - began < 5.0


async def test_what_nobody_can_find_is_asked_for_again(replicas: tuple[Replica, Replica]) -> None:
    upstream = Upstream()
    await Request(replicas[0].flights, upstream).start(look_up=None, landed=None).answer()
    await Request(replicas[1].flights, upstream).start(look_up=None, landed=None).answer()

    assert upstream.calls == 2


async def test_a_look_up_that_is_cancelled_keeps_no_lease(replicas: tuple[Replica, Replica]) -> None:
    async def look_up() -> Reply | None:
        await asyncio.sleep(1000)
        return None

    upstream = Upstream()
    await Request(replicas[0].flights, upstream).start().answer()
    looking = Request(replicas[1].flights, upstream).start(look_up=look_up)
    await asyncio.sleep(0.1)
    looking.leave()
    await looking.is_over()

    assert await Request(replicas[0].flights, upstream).start().answer() == b"{}"
    assert upstream.calls == 2
