from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.flights.once.base import New, Stored
from gateway.flights.once.redis import RedisOnceStore
from gateway.flights.records import Record
from gateway.flights.settings import IdempotencySettings
from gateway.redis.connection import RedisConnection
from tests.support.flying import SEALER, connect, turns
from tests.support.redis_server import RedisServer, reached

FIRST, SECOND = New(b"\x01", b"d", b"1"), New(b"\x01", b"d", b"2")
KEY = "tierway:{acme}:once:01"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def connection(server: RedisServer) -> AsyncIterator[RedisConnection]:
    made = connect(server.url)
    yield made
    await made.close()


async def test_redis_lets_go_by_itself(server: RedisServer, connection: RedisConnection) -> None:
    store = RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER)
    await store.begin(FIRST)
    running_ms = server.command("PTTL", KEY)
    await store.complete(FIRST, Record(body=b"{}"))
    kept_ms = server.command("PTTL", KEY)

    assert 14_000 < running_ms <= 15_000
    assert 86_399_000 < kept_ms <= 86_400_000


async def test_an_attempt_that_is_cancelled_at_any_point_begins_nothing(connection: RedisConnection) -> None:
    store = RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER)
    for steps in range(25):
        task = asyncio.create_task(store.begin(FIRST))
        await turns(steps)
        task.cancel()
        (state,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(state, New):
            await store.fail(state)

        assert await store.begin(SECOND) == SECOND
        await store.fail(SECOND)


async def test_organisations_do_not_meet(server: RedisServer, connection: RedisConnection) -> None:
    other = connect(server.url, "other")
    await RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER).begin(FIRST)

    assert await RedisOnceStore(other, "other", IdempotencySettings(), SEALER).begin(SECOND) == SECOND
    await other.close()


async def test_an_answer_that_cannot_be_read_is_not_made_again(
    server: RedisServer, connection: RedisConnection
) -> None:
    store = RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER)
    server.command("HSET", KEY, "digest", "d", "record", "\xc1")

    with pytest.raises(StageUnavailableError):
        await store.begin(FIRST)


async def test_nothing_begins_without_redis_and_a_lost_answer_is_counted(
    server: RedisServer, connection: RedisConnection
) -> None:
    store = RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER)
    await store.begin(FIRST)
    server.kill()
    with pytest.raises(StageUnavailableError):
        await store.begin(SECOND)
    await store.complete(FIRST, Record(body=b"{}"))
    server.start()
    await reached(lambda: connection.is_available)

    assert store.lost == 1
    assert await store.begin(SECOND) == SECOND


async def test_an_answer_is_kept_once_whoever_repeats_it(connection: RedisConnection) -> None:
    store = RedisOnceStore(connection, "acme", IdempotencySettings(), SEALER)
    await store.begin(FIRST)
    await store.complete(FIRST, Record(body=b"1"))
    await store.complete(FIRST, Record(body=b"2"))

    assert await store.begin(SECOND) == Stored(Record(body=b"1"))
