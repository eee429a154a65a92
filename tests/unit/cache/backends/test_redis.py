from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cache.backends.redis import RedisBackend
from cache.base import Entry, id_text
from gateway.domain.errors import StageUnavailableError
from gateway.domain.usage import NO_USAGE
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer
from tests.support.redis_server import RedisServer, shared_server
from tests.support.resilience import organisation_of
from tests.support.sealed import OTHER_SEALER, SEALER


def entry(body: bytes = b"{}", **fields: Any) -> Entry:
    return Entry(body=body, usage=NO_USAGE, answered_model="m", stored_at=0.0, **fields)


def backend(
    url: str, organisation: str, max_bytes: int = 2**20, timeout_s: float = 5.0, *, sealer: Sealer = SEALER
) -> RedisBackend:
    connection = RedisConnection(
        parse_address(url),
        slot_key=slot_key(organisation),
        command_timeout_s=timeout_s,
        connect_timeout_s=timeout_s,
    )
    return RedisBackend(connection, organisation, max_bytes, sealer)


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[RedisBackend]:
    made = backend(shared_server().url, organisation_of(tmp_path))
    yield made
    await made.close()


def left(folder: Path) -> list[bytes]:
    """Return the names that Redis has of an organisation's cache."""
    found: list[bytes] = shared_server().command("KEYS", f"{slot_key(organisation_of(folder))}cache:*")
    return found


async def test_another_replica_gives_what_one_has_kept(one: RedisBackend, tmp_path: Path) -> None:
    other = backend(shared_server().url, organisation_of(tmp_path))
    await one.put(1, entry())

    assert await other.get(1) == entry()

    await other.delete(1)
    assert await one.get(1) is None
    await other.close()


async def test_organisations_share_nothing(one: RedisBackend, tmp_path: Path) -> None:
    other = backend(shared_server().url, organisation_of(tmp_path / "other"))
    await one.put(1, entry())

    assert await other.get(1) is None
    await other.close()


async def test_redis_drops_an_entry_when_it_expires(one: RedisBackend, tmp_path: Path) -> None:
    await one.put(1, entry(expires_at=time.time() + 100))
    name = f"{slot_key(organisation_of(tmp_path))}cache:entry:{id_text(1)}"

    assert 98_000 < shared_server().command("PTTL", name) <= 100_000


async def test_an_entry_that_redis_has_dropped_gives_its_room_back(one: RedisBackend, tmp_path: Path) -> None:
    await one.put(1, entry(b"x" * 1000))
    shared_server().command("DEL", f"{slot_key(organisation_of(tmp_path))}cache:entry:{id_text(1)}")

    assert await one.get(1) is None
    await one.put(2, entry())
    assert one.bytes == entry().size


async def test_expired_entries_make_room_first(tmp_path: Path) -> None:
    one = backend(shared_server().url, organisation_of(tmp_path), entry(b"x" * 1000).size * 10)
    for number in range(9):
        await one.put(number, entry(b"x" * 1000))
    await one.put(9, entry(b"x" * 1000, expires_at=time.time() - 10))

    await one.put(99, entry(b"x" * 1000))

    assert await one.get(9) is None
    assert await one.get(0) is not None
    await one.close()


async def test_nothing_is_left_of_what_is_deleted(one: RedisBackend, tmp_path: Path) -> None:
    await one.put(1, entry())
    await one.delete(1)

    assert left(tmp_path) == [f"{slot_key(organisation_of(tmp_path))}cache:sums".encode()]


async def test_what_another_version_has_written_is_no_entry(one: RedisBackend, tmp_path: Path) -> None:
    shared_server().command("SET", f"{slot_key(organisation_of(tmp_path))}cache:entry:{id_text(1)}", b"\xc1")

    assert await one.get(1) is None


async def test_a_lost_redis_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        one = backend(server.url, "acme", timeout_s=0.5)
        await one.put(1, entry())
        server.kill()

        for _ in range(3):
            await one.put(2, entry())
        with pytest.raises(StageUnavailableError):
            await one.get(1)

        assert one.failed == 3
        assert 1 <= len([record for record in caplog.records if "was not kept" in record.message]) <= 2
        await one.close()


async def test_nothing_of_an_answer_stands_in_redis(one: RedisBackend, tmp_path: Path) -> None:
    await one.put(1, entry(b"the answer to a prompt", key=b"a key"))

    found = shared_server().command("GET", entry_name(tmp_path, 1))
    assert len(found) > 0
    assert b"answer" not in found
    assert b"a key" not in found


async def test_a_long_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    one = backend(shared_server().url, organisation_of(tmp_path), 2**24)
    body = os.urandom(200_000)
    await one.put(1, entry(body))

    assert await one.get(1) == entry(body)
    await one.close()


async def test_what_was_sealed_with_another_key_is_a_miss_counted_and_forgotten(
    one: RedisBackend, tmp_path: Path
) -> None:
    other = backend(shared_server().url, organisation_of(tmp_path), sealer=OTHER_SEALER)
    await other.put(1, entry())

    found = await one.get(1)

    assert found is None
    assert one.unreadable == 1
    assert await other.get(1) is None
    assert other.unreadable == 0
    await other.close()


async def test_an_entry_in_the_place_of_another_is_a_miss(one: RedisBackend, tmp_path: Path) -> None:
    await one.put(1, entry(b"one"))
    await one.put(2, entry(b"two"))
    shared_server().command("SET", entry_name(tmp_path, 1), shared_server().command("GET", entry_name(tmp_path, 2)))

    assert await one.get(1) is None
    assert await one.get(2) == entry(b"two")
    assert one.unreadable == 1


def entry_name(folder: Path, number: int) -> str:
    return f"{slot_key(organisation_of(folder))}cache:entry:{id_text(number)}"
