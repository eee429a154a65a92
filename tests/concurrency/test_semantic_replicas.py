"""Replicas of the semantic cache on one Redis, and one process on its own disk, killed in the midst of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.semantic.base import Found
from cache.semantic.cache import SemanticCache
from cache.semantic.logs.sqlite import SqliteEntryLog
from tests.support.killed_writer import write_until_killed
from tests.support.redis_server import RedisServer
from tests.support.sealed import SEALER
from tests.support.semantic import EGG, SCOPE, THE_EGG, DictPayloads, keep, make_cache, redis_log, warmed

ORGANISATION = "acme"
WITHIN_S = 1.0

STORER = """
import asyncio, itertools, sys, time
from cache.semantic.logs.sqlite import SqliteEntryLog
from tests.support.sealed import SEALER
from tests.support.semantic import DictPayloads, keep, make_cache, redis_log, warmed
from pathlib import Path

async def main(where):
    log = redis_log(where, "acme") if where.startswith("redis:") else SqliteEntryLog(Path(where), SEALER)
    cache, payloads = await warmed(make_cache(log)), DictPayloads()
    for number in itertools.count():
        text = f"How long is the river number{number} of the northern country?"
        assert await keep(cache, payloads, number, text, scope=b"scope %d" % number)
        print(number, time.time(), flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main(sys.argv[1]))
"""


class AnyPayloads(DictPayloads):
    """Has an answer for every number."""

    async def get(self, entry_id: int, scope: bytes) -> str:
        return f"answer {entry_id}"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


async def replica(server: RedisServer, payloads: DictPayloads) -> SemanticCache:
    return await warmed(make_cache(redis_log(server.url, ORGANISATION), payloads=payloads))


async def found_by(cache: SemanticCache, text: str, scope: bytes = SCOPE, within_s: float = WITHIN_S) -> Found | None:
    """Ask until there is a hit or the time is over."""
    until = time.monotonic() + within_s
    while True:
        outcome = await cache.begin(scope, text).result(1.0)
        if isinstance(outcome, Found):
            return outcome
        if time.monotonic() > until:
            return None
        await asyncio.sleep(0.005)


async def test_an_answer_stored_by_one_is_a_hit_on_the_other_within_a_second(server: RedisServer) -> None:
    payloads = DictPayloads()
    one, other = await replica(server, payloads), await replica(server, payloads)
    await keep(one, payloads, 7, EGG)

    found = await found_by(other, THE_EGG)

    assert found is not None
    assert found.payload == "answer 7"
    await one.close()
    await other.close()


async def test_a_new_replica_is_warm_with_all_that_others_stored(server: RedisServer) -> None:
    payloads = DictPayloads()
    one = await replica(server, payloads)
    for number in range(600):
        await keep(one, payloads, number, f"How long is the river number{number}?", scope=b"scope %d" % (number % 50))
    await one.close()

    new = await replica(server, payloads)

    assert len(new.entries) == 600
    await new.close()


async def test_a_deletion_by_one_ends_the_hits_of_the_other_within_a_second(server: RedisServer) -> None:
    payloads = AnyPayloads()
    one, other = await replica(server, payloads), await replica(server, payloads)
    await keep(one, payloads, 7, EGG)
    assert await found_by(other, THE_EGG) is not None

    await one.delete(7)

    async with asyncio.timeout(WITHIN_S):
        while len(other.entries):  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.005)
    await one.close()
    await other.close()


async def test_replicas_that_store_at_once_end_up_with_the_same(server: RedisServer) -> None:
    payloads = DictPayloads()
    caches = [await replica(server, payloads) for _ in range(3)]

    async def fill(at: int) -> None:
        for number in range(at, 300, 3):
            await keep(
                caches[at], payloads, number, f"How long is the river number{number}?", scope=b"%d" % (number % 9)
            )
            if number % 30 == at:
                await caches[at].delete(number)

    await asyncio.gather(*(fill(at) for at in range(3)))
    async with asyncio.timeout(10):
        while {len(cache.entries) for cache in caches} != {300 - 30}:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)

    ids = [{number for number in range(300) if cache.entries.find(number) is not None} for cache in caches]
    assert ids[0] == ids[1] == ids[2]
    for cache in caches:
        await cache.close()


async def test_a_replica_that_missed_an_outage_of_redis_catches_up(server: RedisServer) -> None:
    payloads = DictPayloads()
    one, other = await replica(server, payloads), await replica(server, payloads)
    server.kill()
    await keep(one, payloads, 7, EGG)
    own = await found_by(one, THE_EGG)
    server.start()

    assert own is not None
    assert await found_by(other, THE_EGG, within_s=20.0) is not None
    await one.close()
    await other.close()


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
async def test_a_killed_process_loses_nothing_older_than_a_second(
    server: RedisServer, tmp_path: Path, kind: str
) -> None:
    where = server.url if kind == "redis" else str(tmp_path / "entries.db")
    told = await asyncio.to_thread(write_until_killed, STORER, where)
    log = redis_log(where, ORGANISATION) if kind == "redis" else SqliteEntryLog(Path(where), SEALER)
    cache = await warmed(make_cache(log, payloads=AnyPayloads()))
    old = [number for number, at in told[0] if at < told[1] - WITHIN_S]

    assert len(old) > 50
    assert [number for number in old if cache.entries.find(number) is None] == []
    assert await found_by(cache, f"How long is a river number{old[0]} of the northern country?", b"scope 0") is not None
    await cache.close()
