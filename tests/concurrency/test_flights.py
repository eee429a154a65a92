"""Crowds of equal requests on several replicas, whose callers leave at every point."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.domain.errors import UpstreamTimeoutError
from gateway.flights.base import Errand, Flown
from gateway.flights.idempotency import Idempotency, digest_of
from gateway.flights.leases import Leases
from gateway.flights.local import Flights
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.once.redis import RedisOnceStore
from gateway.flights.settings import FlightSettings, IdempotencySettings
from gateway.flights.shared import SharedFlights
from gateway.redis.connection import RedisConnection
from gateway.upstreams.base import Reply
from tests.support.flying import SEALER, FedStream, Request, Shelf, Upstream, connect, left_after, plain, turns
from tests.support.redis_server import shared_server

MOST_STEPS = 40
"""Turns of the loop after which every call of a test here is long over."""

DIGEST = digest_of("chat", b"{}")
BODY = b"abc"

Fly = Callable[[Errand], Awaitable[Flown]]


class House:
    """Replicas over one Redis, or one process by itself.

    Args:
        kind: `local`, `shared` or, by an idempotency key, `once-memory` or `once-redis`.
    """

    def __init__(self, kind: str, replicas: int = 1) -> None:
        self._organisation = secrets.token_hex(8)
        self._connections: list[RedisConnection] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self.locals = [Flights(FlightSettings()) for _ in range(replicas)]
        self._memory = MemoryOnceStore(IdempotencySettings())
        self.flies: list[Fly] = [self._make(kind, local) for local in self.locals]
        self.shelf = Shelf()
        self._number = 0

    def turn_page(self) -> None:
        """Let the next requests be others than those before."""
        self._number += 1
        self.shelf = Shelf()

    @property
    def _key(self) -> bytes:
        return b"%032d" % self._number

    def request(self, upstream: Upstream, replica: int = 0) -> Request:
        return Request(None, upstream, self.shelf).start_with(self.flies[replica])

    async def is_quiet(self) -> None:
        """Wait for what callers who left while their request ended have left to do."""
        for local in self.locals:
            await local.close()
        await turns()

    async def close(self) -> None:
        """Let go of everything; nothing may be left in flight."""
        await self.is_quiet()
        for local in self.locals:
            assert local.in_flight == local.room.used == 0
        for closer in self._closers:
            await closer()
        for connection in self._connections:
            await connection.close()

    def _make(self, kind: str, local: Flights) -> Fly:
        if kind == "local":
            return lambda errand: local.fly(self._key, errand)
        if kind == "shared":
            shared = SharedFlights(local, Leases(self._connect(), self._organisation, lease_s=10.0))
            self._closers.append(shared.close)
            return lambda errand: shared.fly(self._key, errand)
        settings = IdempotencySettings()
        store = (
            self._memory
            if kind == "once-memory"
            else RedisOnceStore(self._connect(), self._organisation, settings, SEALER)
        )
        once = Idempotency(store, local, lease_s=settings.lease_s)
        self._closers.append(once.close)
        return lambda errand: once.answer("search/ci", self._key.decode(), DIGEST, errand)

    def _connect(self) -> RedisConnection:
        self._connections.append(connect(shared_server().url, self._organisation))
        return self._connections[-1]


KINDS = ("local", "shared", "once-memory", "once-redis")


@pytest.fixture(params=KINDS)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    made = House(request.param)
    yield made
    await made.close()


def answers(*, streamed: bool, number: int = 3) -> list[Reply | Exception]:
    """Return an answer a call, the same each time."""
    made = [FedStream(b"a", b"b", b"c", None) if streamed else plain(BODY) for _ in range(number)]
    return list(made)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["shared", "once-redis"])
async def test_a_hundred_equal_requests_on_two_replicas_make_one_call(kind: str, streamed: bool) -> None:  # noqa: FBT001
    house, upstream = House(kind, replicas=2), Upstream(*answers(streamed=streamed), is_open=False)
    requests = [house.request(upstream, number % 2) for number in range(100)]
    await asyncio.sleep(0.05)
    upstream.gate.set()

    bodies = await asyncio.gather(*(request.answer() for request in requests))

    assert bodies == [BODY] * 100
    assert upstream.calls == 1
    assert sum(request.is_shared is False for request in requests) == 1
    await house.close()


@pytest.mark.parametrize("kind", ["shared", "once-redis"])
async def test_requests_that_keep_coming_to_two_replicas_make_one_call(kind: str) -> None:
    house, upstream = House(kind, replicas=2), Upstream(plain(BODY))
    requests = []
    for number in range(200):
        requests.append(house.request(upstream, number % 2))
        await asyncio.sleep(0.001)

    bodies = await asyncio.gather(*(request.answer() for request in requests))

    assert bodies == [BODY] * 200
    assert upstream.calls == 1
    await house.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_first_caller_who_leaves_at_any_point_takes_nothing_from_the_others(
    house: House,
    streamed: bool,  # noqa: FBT001
) -> None:
    for steps in range(MOST_STEPS):
        house.turn_page()
        upstream = Upstream(*answers(streamed=streamed))
        leader = house.request(upstream)
        others = [house.request(upstream) for _ in range(2)]

        await left_after(steps, leader)

        assert await asyncio.gather(*(other.answer() for other in others)) == [BODY, BODY]
        assert upstream.calls <= 2
        await house.is_quiet()
        assert len(house.shelf.outcomes) == upstream.calls


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_who_waits_and_leaves_at_any_point_takes_nothing_from_the_first(
    house: House,
    streamed: bool,  # noqa: FBT001
) -> None:
    for steps in range(MOST_STEPS):
        house.turn_page()
        upstream = Upstream(*answers(streamed=streamed))
        leader = house.request(upstream)
        follower = house.request(upstream)

        await left_after(steps, follower)

        assert await leader.answer() == BODY
        assert upstream.calls == 1
        await house.is_quiet()
        assert len(house.shelf.outcomes) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_when_everybody_leaves_at_any_point_nothing_goes_on(house: House, streamed: bool) -> None:  # noqa: FBT001
    for steps in range(MOST_STEPS):
        house.turn_page()
        stuck: list[Reply | Exception] = [FedStream(b"a") if streamed else plain()]
        upstream = Upstream(*stuck, is_open=streamed)
        requests = [house.request(upstream) for _ in range(3)]
        await turns(steps)
        for request in requests:
            request.leave()
        if streamed:
            for stream in stuck:
                assert isinstance(stream, FedStream)
                stream.feed(None)  # what goes on for nobody, as its key has it, goes on to here
        upstream.gate.set()

        await asyncio.gather(*(request.is_over() for request in requests))

        assert all(local.in_flight == local.room.used == 0 for local in house.locals)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
async def test_crowds_that_come_and_leave_get_whole_answers_of_few_calls(kind: str, seed: int) -> None:
    house, chance = House(kind, replicas=2 if kind != "local" else 1), random.Random(seed)  # noqa: S311  comes again
    failing = [UpstreamTimeoutError("silent"), *answers(streamed=seed % 2 == 1, number=400)]
    upstream = Upstream(*failing)
    requests, leaving = [], []
    for _ in range(200):
        requests.append(house.request(upstream, chance.randrange(len(house.flies))))
        await turns(chance.randrange(3))
        if chance.random() < 0.2:
            leaving.append(requests.pop(chance.randrange(len(requests))))
            leaving[-1].leave()

    outcomes = await asyncio.gather(*(request.answer() for request in requests), return_exceptions=True)
    await asyncio.gather(*(request.is_over() for request in leaving))

    assert set(map(str, outcomes)) <= {str(BODY), "silent"}
    assert sum(isinstance(outcome, Exception) for outcome in outcomes) <= 1
    assert upstream.calls < 200
    await house.close()
