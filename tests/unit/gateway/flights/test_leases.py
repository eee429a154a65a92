from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.flights.leases import Lease, Leases
from tests.support.flying import KEY, connect, turns
from tests.support.redis_server import RedisServer, reached, shared_server

NAME = "tierway:{acme}:flight:" + KEY.hex()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Leases, Leases]]:
    """Two replicas' leases."""
    organisation = secrets.token_hex(8)
    connections = [connect(shared_server().url, organisation) for _ in range(2)]
    made = [Leases(connection, organisation, lease_s=0.3) for connection in connections]
    yield made[0], made[1]
    for leases, connection in zip(made, connections, strict=True):
        await leases.close()
        await connection.close()


async def take(leases: Leases) -> Lease:
    lease = await leases.take(KEY)
    assert lease is not None
    return lease


async def freed(leases: Leases) -> Lease:
    """Wait until a lease can be taken, and take it."""
    async with asyncio.timeout(10):
        while (lease := await leases.take(KEY)) is None:  # noqa: ASYNC110  another's giving back sets no event
            await asyncio.sleep(0.01)
    return lease


async def test_one_replica_at_a_time_has_a_lease(pair: tuple[Leases, Leases]) -> None:
    lease = await take(pair[0])

    assert lease.has_landed is False
    assert await pair[1].take(KEY) is None
    assert await pair[0].take(KEY) is None
    assert await pair[1].take(b"other") is not None


async def test_a_lease_that_is_given_back_can_be_taken(pair: tuple[Leases, Leases]) -> None:
    pair[0].release(await take(pair[0]), has_landed=False)

    assert (await freed(pair[1])).has_landed is False


async def test_who_takes_a_lease_learns_that_an_answer_has_landed(pair: tuple[Leases, Leases]) -> None:
    pair[0].release(await take(pair[0]), has_landed=True)

    assert (await freed(pair[1])).has_landed is True


async def test_a_lease_is_renewed_while_it_is_held(pair: tuple[Leases, Leases]) -> None:
    await take(pair[0])
    await asyncio.sleep(0.7)

    assert await pair[1].take(KEY) is None
    assert pair[0].renewal.lost == 0


async def test_the_lease_of_a_replica_that_died_ends(pair: tuple[Leases, Leases]) -> None:
    await take(pair[0])
    await pair[0].close()

    assert (await freed(pair[1])).has_landed is False


async def test_a_lease_that_another_replica_has_by_now_stays_with_it(pair: tuple[Leases, Leases]) -> None:
    lost = await take(pair[0])
    await pair[0].close()
    await freed(pair[1])
    pair[0].renewal.begin(lost)
    await reached(lambda: pair[0].renewal.lost == 1)
    pair[0].release(lost, has_landed=True)
    await asyncio.sleep(0.05)

    assert await pair[0].take(KEY) is None


async def test_an_attempt_that_is_cancelled_at_any_point_holds_nothing(pair: tuple[Leases, Leases]) -> None:
    for steps in range(25):
        task = asyncio.create_task(pair[0].take(KEY))
        await turns(steps)
        task.cancel()
        (taken,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(taken, Lease):
            pair[0].release(taken, has_landed=False)
        pair[1].release(await freed(pair[1]), has_landed=False)


async def test_a_lease_lasts_as_long_as_it_should_and_leaves_a_word_for_a_while(server: RedisServer) -> None:
    connection = connect(server.url)
    leases = Leases(connection, "acme", lease_s=10.0)
    lease = await take(leases)
    held_ms = server.command("PTTL", NAME)
    leases.release(lease, has_landed=True)
    await reached(lambda: server.command("GET", NAME) == b"landed")
    told_ms = server.command("PTTL", NAME)

    assert 9000 < held_ms <= 10_000
    assert 4000 < told_ms <= 5000
    await leases.close()
    await connection.close()


async def test_nobody_knows_who_has_a_lease_without_redis(server: RedisServer) -> None:
    connection = connect(server.url)
    leases = Leases(connection, "acme", lease_s=0.1)
    await take(leases)
    server.kill()

    with pytest.raises(StageUnavailableError):
        await leases.take(KEY)
    await asyncio.sleep(0.1)
    assert leases.renewal.lost == 0
    await leases.close()
    await connection.close()
