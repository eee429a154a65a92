from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from cache.semantic.events import Deleted, Stored
from cache.semantic.logs.redis import RedisEntryLog
from gateway.domain.errors import StageUnavailableError
from tests.support.redis_server import RedisServer, reached
from tests.support.sealed import OTHER_SEALER
from tests.support.semantic import redis_log


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def stored(number: int = 1) -> Stored:
    return Stored(b"scope", number, b"model", bytes(64), b"reading", b"answer", 1000.0, 2000.0)


async def first(entry_log: RedisEntryLog, position: str = "") -> tuple[list[object], str]:
    async with asyncio.timeout(20), aclosing(entry_log.follow(position)) as batches:
        batch = await anext(batches)
    return [one.event for one in batch.written], batch.position


async def test_events_stand_in_one_stream_of_the_organisation(server: RedisServer) -> None:
    entry_log = redis_log(server.url, "acme")
    entry_log.append(stored())
    await first(entry_log)

    assert server.command("KEYS", "*") == [b"tierway:{acme}:semantic"]
    assert server.command("XLEN", "tierway:{acme}:semantic") == 1
    await entry_log.close()


async def test_organisations_do_not_read_each_other(server: RedisServer) -> None:
    ours, theirs = redis_log(server.url, "acme"), redis_log(server.url, "other")
    ours.append(stored())
    await reached(lambda: ours.written == 1)

    assert (await first(theirs))[0] == []
    await ours.close()
    await theirs.close()


async def test_entries_of_others_in_the_stream_are_counted_and_passed_over(server: RedisServer) -> None:
    entry_log = redis_log(server.url, "acme")
    server.command("XADD", "tierway:{acme}:semantic", "*", "e", "none")
    entry_log.append(stored())
    await reached(lambda: entry_log.written == 1)

    assert (await first(entry_log))[0] == [stored()]
    assert entry_log.failed == 1
    await entry_log.close()


async def test_a_lost_redis_raises_to_those_that_follow(server: RedisServer) -> None:
    entry_log = redis_log(server.url, "acme")
    await first(entry_log)
    server.kill()

    with pytest.raises(StageUnavailableError):
        await first(entry_log)
    await entry_log.close()


async def test_what_is_appended_while_redis_is_lost_arrives_once_it_is_back(server: RedisServer) -> None:
    entry_log = redis_log(server.url, "acme")
    await first(entry_log)
    entry_log.append(stored(1))
    await reached(lambda: entry_log.written == 1)
    server.kill()
    entry_log.append(stored(2))
    await reached(lambda: entry_log.complaint != "")
    entry_log.append(Deleted(b"scope", 1))
    complaint = entry_log.complaint
    server.start()
    await reached(lambda: bool(server.command("XLEN", "tierway:{acme}:semantic") == 2))

    assert "wait for Redis" in complaint
    assert entry_log.failed == 0
    await reached(lambda: entry_log.complaint == "")
    await entry_log.close()


async def test_events_that_redis_refuses_are_counted_and_complained_of(server: RedisServer) -> None:
    server.command("SET", "tierway:{acme}:semantic", "no stream")
    entry_log = redis_log(server.url, "acme")
    entry_log.append(stored())
    await reached(lambda: entry_log.failed == 1)

    assert "refuses" in entry_log.complaint
    await entry_log.close()


async def test_nothing_of_a_reading_stands_in_redis(server: RedisServer) -> None:
    entry_log = redis_log(server.url, "acme")
    entry_log.append(Stored(b"scope", 1, b"model", bytes(64), b"a reading of a prompt", b"answer", 1000.0, 2000.0))
    await reached(lambda: entry_log.written == 1)

    written = repr(server.command("XRANGE", "tierway:{acme}:semantic", "-", "+"))
    assert len(written) > 100
    assert "reading" not in written
    await entry_log.close()


async def test_events_of_another_key_are_counted_and_left_to_those_that_have_it(server: RedisServer) -> None:
    ours, theirs = redis_log(server.url, "acme"), redis_log(server.url, "acme", sealer=OTHER_SEALER)
    theirs.append(stored(1))
    await reached(lambda: theirs.written == 1)

    assert (await first(ours))[0] == []
    assert ours.failed == 1
    assert (await first(theirs))[0] == [stored(1)]
    await ours.close()
    await theirs.close()
