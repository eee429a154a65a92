from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.state.learning import FileLearning, SharedLearning
from tests.support.redis_server import shared_server
from tests.support.resilience import organisation_of


def shared(folder: Path, url: str | None = None) -> tuple[SharedLearning, RedisConnection]:
    name = organisation_of(folder)
    connection = RedisConnection(
        parse_address(url or shared_server().url),
        slot_key=slot_key(name),
        command_timeout_s=5.0,
        connect_timeout_s=5.0,
    )
    return SharedLearning(connection, name), connection


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_file_keeps_what_was_saved_last(tmp_path: Path) -> None:
    store = FileLearning(tmp_path / "tierway.router")

    assert await store.load() is None
    await store.save(b"first")
    await store.save(b"second")

    assert await FileLearning(tmp_path / "tierway.router").load() == b"second"
    assert names(tmp_path) == ["tierway.router"]
    assert await store.swap(b"told") == []


async def test_a_file_that_cannot_be_written_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileLearning(tmp_path / "gone" / "tierway.router")

    with caplog.at_level(logging.WARNING):
        await store.save(b"x")

    assert "was not kept" in caplog.text


async def test_redis_keeps_what_was_saved_last_for_all(tmp_path: Path) -> None:
    (ours, one), (theirs, other) = shared(tmp_path), shared(tmp_path)

    assert await ours.load() is None
    await ours.save(b"first")
    await theirs.save(b"second")

    assert await ours.load() == b"second"
    await one.close()
    await other.close()


async def test_replicas_hear_what_the_others_have_told_and_not_their_own_word(tmp_path: Path) -> None:
    (ours, one), (theirs, other) = shared(tmp_path), shared(tmp_path)

    assert await ours.swap(b"ours") == []
    assert await theirs.swap(b"theirs") == [b"ours"]

    assert await ours.swap(b"ours again") == [b"theirs"]
    assert await theirs.swap(b"theirs") == [b"ours again"]
    await one.close()
    await other.close()


async def test_without_redis_nothing_is_known_and_nothing_raises(tmp_path: Path) -> None:
    store, connection = shared(tmp_path, "redis://127.0.0.1:1/0")

    await store.save(b"x")

    assert await store.load() is None
    assert await store.swap(b"x") == []
    await connection.close()
