"""Records on Redis: what the other stores need not do."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.stored import redis
from gateway.stored.base import Record
from gateway.stored.redis import RedisResponseStore
from tests.support.redis_server import RedisServer, reached

BOUND = 100_000
SUMS = "tierway:{acme}:responses:sums"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisResponseStore]:
    made = open_store(server)
    yield made
    await made.close()


def open_store(server: RedisServer, organisation: str = "acme") -> RedisResponseStore:
    connection = RedisConnection(parse_address(server.url), slot_key=slot_key(organisation), command_timeout_s=1.0)
    return RedisResponseStore(connection, organisation, max_bytes=BOUND)


def record(record_id: str = "resp_1", **fields: Any) -> Record:
    made = {"id": record_id, "owner": "acme/search", "upstream": "openai", "model": "gpt-x", "created_at": 1.0}
    return Record(**{**made, "expires_at": time.time() + 1000.0, **fields})


async def test_what_one_replica_puts_another_finds_and_deletes(server: RedisServer, store: RedisResponseStore) -> None:
    other, kept = open_store(server), record()
    await store.put(kept)

    assert await other.get("resp_1") == kept
    assert await other.delete("resp_1") is True
    assert await store.get("resp_1") is None
    await other.close()


async def test_organisations_do_not_see_each_other(server: RedisServer, store: RedisResponseStore) -> None:
    other = open_store(server, "other")
    await store.put(record())

    assert await other.get("resp_1") is None
    await other.close()


async def test_redis_drops_a_record_by_itself_when_it_expires(server: RedisServer, store: RedisResponseStore) -> None:
    await store.put(record("resp_1"))
    await store.put(record("resp_2", expires_at=math.inf))
    await store.put(record("resp_3", expires_at=1e300))
    await store.put(record("resp_4", expires_at=-math.inf))

    lives = [server.command("PTTL", f"tierway:{{acme}}:responses:record:resp_{number}") for number in (1, 2, 3)]

    assert 900_000 < lives[0] <= 1_000_000
    assert lives[1:] == [-1, -1]
    assert store.failed == 0
    assert await store.get("resp_4") is None


async def test_a_record_that_redis_dropped_gives_its_room_back_with_a_sweep(
    server: RedisServer, store: RedisResponseStore
) -> None:
    await store.put(record("resp_1", expires_at=time.time() + 0.05, sealed=b"x" * 5000))
    await store.put(record("resp_2"))
    await reached(lambda: server.command("DBSIZE") == 5)

    swept = await store.sweep()

    assert swept == 1
    assert int(server.command("HGET", SUMS, "bytes")) == record().size
    assert server.command("ZCARD", "tierway:{acme}:responses:order") == 1


async def test_nothing_is_left_of_what_is_deleted(server: RedisServer, store: RedisResponseStore) -> None:
    for number in range(20):
        await store.put(record(f"resp_{number}", sealed=b"x" * 100))
    for number in range(20):
        await store.delete(f"resp_{number}")

    assert int(server.command("HGET", SUMS, "bytes")) == 0
    assert server.command("KEYS", "*") == [SUMS.encode()]


async def test_room_is_made_in_as_many_steps_as_it_takes(
    server: RedisServer, store: RedisResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_AT_ONCE", 3)
    for number in range(50):
        await store.put(record(f"resp_{number}", sealed=b"x" * 1000))

    await store.put(record("big", sealed=b"x" * 90_000))

    assert int(server.command("HGET", SUMS, "bytes")) <= BOUND
    assert await store.get("big") is not None
    assert await store.get("resp_49") is not None
    assert store.failed == 0


async def test_what_has_expired_makes_room_before_what_has_not(store: RedisResponseStore) -> None:
    await store.put(record("old", sealed=b"x" * 40_000))
    await store.put(record("expired", expires_at=1.0, sealed=b"x" * 40_000))

    await store.put(record("new", sealed=b"x" * 40_000))

    assert await store.get("old") is not None
    assert await store.get("new") is not None


async def test_a_moment_that_is_no_number_is_refused(store: RedisResponseStore) -> None:
    await store.put(record("resp_1"))

    await store.put(record("resp_1", expires_at=math.nan))

    assert store.failed == 1
    assert await store.get("resp_1") is not None


async def test_a_lost_redis_loses_records_and_never_an_answer(
    server: RedisServer, store: RedisResponseStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put(record("resp_0"))
    server.kill()

    for number in range(4):
        await store.put(record(f"resp_{number}", sealed=b"prompt"))
    swept = await store.sweep()

    assert (store.failed, swept) == (4, 0)
    lines = [line.message for line in caplog.records if line.levelno >= logging.WARNING]
    assert 0 < len(lines) <= 3
    assert not any("prompt" in line or "resp_" in line for line in lines)


async def test_a_lost_redis_is_not_taken_for_an_unknown_id(server: RedisServer, store: RedisResponseStore) -> None:
    await store.put(record())
    server.kill()

    with pytest.raises(StageUnavailableError):
        await store.get("resp_1")
    with pytest.raises(StageUnavailableError):
        await store.delete("resp_1")


async def test_a_redis_that_comes_back_is_used_again(server: RedisServer, store: RedisResponseStore) -> None:
    await store.put(record())
    server.kill()
    await store.put(record("resp_1"))
    server.start()
    await reached(lambda: store._redis.is_available)

    await store.put(record("resp_2"))

    assert await store.get("resp_2") is not None
    assert store.failed == 1


async def test_a_closed_store_says_that_it_cannot_tell(store: RedisResponseStore) -> None:
    await store.put(record())
    await store.close()
    await store.close()

    with pytest.raises(StageUnavailableError):
        await store.get("resp_1")
    await store.put(record("resp_2"))
    assert store.failed == 1
    assert await store.sweep() == 0


def test_each_script_opens_with_what_it_takes_and_keeps() -> None:
    for path in redis._LUA.glob("*.lua"):
        head = path.read_text().partition("\n\n")[0]
        assert "Invariant:" in path.read_text(), path.name
        assert path.name == "record.lua" or all(word in head for word in ("KEYS", "ARGV", "Returns")), path.name
