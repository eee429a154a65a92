from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from cache.semantic.events import Event
from cache.semantic.logs.base import EntryLog
from gateway.domain.secret import Secret
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from gateway.state.base import State, StateSettings
from gateway.state.opening import open_state
from tests.support.kept import KEY, entry_of, event_of, open_kept
from tests.support.redis_server import RedisServer

NEW_KEY = Secret("the key of next year, and no shorter")
ENTRY = entry_of(1)
EVENT = event_of(1)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/tierway.db"
    else:
        with RedisServer() as server:
            yield server.url


def opened(address: str, key: Secret | None = KEY) -> State:
    return open_state(
        StateSettings(
            address=address,
            organisation="acme",
            on_expiry="charge",
            encryption_key=key,
            ledger_days=None,
        )
    )


async def first(entry_log: EntryLog) -> list[Event]:
    async with asyncio.timeout(20), aclosing(entry_log.follow()) as batches:
        return [one.event for one in (await anext(batches)).written]


async def test_without_a_key_everything_stays_in_memory(address: str) -> None:
    state = opened(address, None)

    assert state.cached.open_answers(2**20) is None
    assert state.cached.open_entry_log() is None
    assert state.cached.open_flights(Flights(FlightSettings())) is None
    await state.close()


async def test_a_later_process_finds_what_one_has_kept(address: str) -> None:
    before, answers, entry_log = open_kept(address)
    await answers.put(1, ENTRY)
    entry_log.append(EVENT)
    for one in (answers, entry_log, before):
        await one.close()
    after, answers, entry_log = open_kept(address)

    assert await answers.get(1) == ENTRY
    assert await first(entry_log) == [EVENT]
    for one in (answers, entry_log, after):
        await one.close()


async def test_what_an_earlier_key_has_sealed_is_found(address: str) -> None:
    before, answers, entry_log = open_kept(address)
    await answers.put(1, ENTRY)
    entry_log.append(EVENT)
    for one in (answers, entry_log, before):
        await one.close()
    after, answers, entry_log = open_kept(address, NEW_KEY, (KEY,))

    assert await answers.get(1) == ENTRY
    assert await first(entry_log) == [EVENT]
    for one in (answers, entry_log, after):
        await one.close()


async def test_a_file_is_made_with_the_first_entry_and_named_after_the_state(tmp_path: Path) -> None:
    before, answers, entry_log = open_kept(f"sqlite:///{tmp_path}/tierway.db")
    opening = names(tmp_path)
    await answers.put(1, ENTRY)
    entry_log.append(EVENT)
    for one in (answers, entry_log, before):
        await one.close()

    assert not {name for name in opening if "cache" in name or "semantic" in name}
    assert names(tmp_path) - opening == {"tierway.cache.db", "tierway.semantic.db"}


async def test_one_process_has_nobody_to_share_calls_with(tmp_path: Path) -> None:
    state = opened(f"sqlite:///{tmp_path}/tierway.db")

    assert state.cached.open_flights(Flights(FlightSettings())) is None
    await state.close()


async def test_a_cache_that_nobody_asks_has_no_connection(server: RedisServer) -> None:
    state, answers, entry_log = open_kept(server.url)
    before = connections(server)
    await answers.get(1)
    entry_log.append(EVENT)
    await first(entry_log)
    after = connections(server)
    for one in (answers, entry_log, state):
        await one.close()

    assert (before, after) == (0, 3)


async def test_replicas_take_turns_at_a_call(server: RedisServer) -> None:
    states = [opened(server.url) for _ in range(2)]
    one, other = [state.cached.open_flights(Flights(FlightSettings())) for state in states]
    assert one is not None
    assert other is not None

    lease = await one.leases.take(b"key")

    assert lease is not None
    assert await other.leases.take(b"key") is None
    one.leases.release(lease, has_landed=True)
    for flights in (one, other):
        await flights.close()
    for state in states:
        await state.close()


def test_stores_are_opened_where_no_loop_runs(address: str) -> None:
    state = opened(address)

    assert state.cached.open_answers(2**20) is not None
    assert state.cached.open_entry_log() is not None
    asyncio.run(state.close())


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def connections(server: RedisServer) -> int:
    """Return how many there are besides the one that asks."""
    told: Any = server.command("CLIENT", "LIST")
    return len(told.splitlines() if isinstance(told, bytes) else told) - 1
