"""How many processes share the limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from policies.stores import replicas
from policies.stores.replicas import CAREFUL_BEATS, Replicas
from tests.support.redis_server import RedisServer, reached
from tests.support.resilience import Replica, acquaint

SET = "tierway:{acme}:replicas"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(("appendonly yes", "appendfsync always")) as started:
        yield started


@pytest.fixture
async def three(server: RedisServer) -> AsyncIterator[list[Replica]]:
    made = [Replica(server.url, command_timeout_s=1.0) for _ in range(3)]
    yield made
    for one in made:
        await one.close()


async def test_processes_count_each_other(three: list[Replica]) -> None:
    await acquaint(*three)

    assert [one.replicas.count for one in three] == [3, 3, 3]


async def test_a_process_counts_itself_before_it_knows_of_anyone(three: list[Replica]) -> None:
    assert three[0].replicas.count == 1


async def test_a_count_is_known_once_all_have_had_their_turn(three: list[Replica]) -> None:
    first = three[0].replicas
    await first.beat()
    assert not first.is_known

    await first.beat()

    assert first.is_known


async def test_organisations_are_counted_apart(server: RedisServer, three: list[Replica]) -> None:
    other = Replica(server.url, "other")
    await acquaint(*three, other)

    assert other.replicas.count == 1
    assert three[0].replicas.count == 3
    await other.close()


async def test_a_process_that_is_not_heard_is_taken_for_gone(server: RedisServer, three: list[Replica]) -> None:
    await acquaint(*three)
    seconds, microseconds = server.command("TIME")
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    quiet = three[2].replicas._name
    server.command("ZADD", SET, now_ms - 5001, quiet)

    await three[0].replicas.beat()

    assert three[0].replicas.count == 2
    assert server.command("ZSCORE", SET, quiet) is None


async def test_a_process_from_the_future_does_not_count_for_ever(server: RedisServer, three: list[Replica]) -> None:
    server.command("ZADD", SET, 9e12, "before the clock jumped back")

    await acquaint(three[0])

    assert three[0].replicas.count == 1


async def test_a_process_that_closes_is_gone_at_once(three: list[Replica]) -> None:
    await acquaint(*three)

    await three[2].replicas.close()
    await three[0].replicas.beat()

    assert three[0].replicas.count == 2


async def test_closing_without_redis_is_harmless(server: RedisServer, three: list[Replica]) -> None:
    await acquaint(*three)
    server.kill()

    await three[0].replicas.close()


async def test_the_count_stays_while_redis_is_lost(server: RedisServer, three: list[Replica]) -> None:
    await acquaint(*three)
    server.kill()

    for _ in range(2):
        await three[0].replicas.beat()

    assert three[0].replicas.count == 3
    assert three[0].replicas.is_known


async def test_the_first_that_is_back_does_not_take_itself_for_the_only_one(
    server: RedisServer, three: list[Replica]
) -> None:
    await acquaint(*three)
    server.kill()
    await three[0].replicas.beat()
    server.start()
    await reached(lambda: three[0].connection.is_available)
    server.command("DEL", SET)  # the others were not heard for longer than counts

    counts = []
    for _ in range(CAREFUL_BEATS + 1):
        await three[0].replicas.beat()
        counts.append(three[0].replicas.count)

    assert counts == [3] * CAREFUL_BEATS + [1]


async def test_a_redis_that_comes_back_empty_is_found_out(
    server: RedisServer, three: list[Replica], caplog: pytest.LogCaptureFixture
) -> None:
    await acquaint(three[0])
    server.command("FLUSHALL")

    await acquaint(three[0])

    assert three[0].replicas.wipes == 1
    assert [line.message for line in caplog.records if line.levelno >= logging.WARNING] == [
        "Redis came back without what it knew: limits and budgets count from zero, its keys are gone"
    ]


async def test_a_redis_that_kept_what_it_knew_is_not(server: RedisServer, three: list[Replica]) -> None:
    await acquaint(three[0])
    server.kill()
    await three[0].replicas.beat()
    server.start()
    await reached(lambda: three[0].connection.is_available)

    await three[0].replicas.beat()

    assert three[0].replicas.wipes == 0


async def test_running_beats_again_and_again(three: list[Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "BEAT_S", 0.001)
    running = asyncio.create_task(three[0].replicas.run())

    await reached(lambda: is_known(three[0].replicas))

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def is_known(counted: Replicas) -> bool:
    return counted.is_known
