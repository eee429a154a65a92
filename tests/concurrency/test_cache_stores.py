"""What a cache keeps outside the process: found by other replicas, left by a killed one, and read by nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Final

import pytest

from cache.base import Backend
from cache.semantic.events import Stored
from cache.semantic.logs.base import EntryLog
from tests.support.kept import ANSWER, PROMPT, entry_of, event_of, open_kept
from tests.support.killed_writer import write_until_killed
from tests.support.redis_server import RedisServer

WITHIN_S: Final = 1.0

WRITER = """
import asyncio, itertools, sys, time
from tests.support.kept import entry_of, event_of, open_kept

async def main(address):
    _, answers, log = open_kept(address)
    for number in itertools.count():
        await answers.put(number, entry_of(number))
        log.append(event_of(number))
        print(number, time.time(), flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main(sys.argv[1]))
"""

Open = Callable[[], tuple[Backend, EntryLog]]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(("rdbcompression no",)) as started:
        yield started


@pytest.fixture(params=["redis", "sqlite"])
def address(request: pytest.FixtureRequest, tmp_path: Path, server: RedisServer) -> str:
    return server.url if request.param == "redis" else f"sqlite:///{tmp_path}/tierway.db"


@pytest.fixture
async def open_at(address: str) -> AsyncIterator[Open]:
    """Open the stores of a process at the address, and close them with the test."""
    async with AsyncExitStack() as stack:

        def open_one() -> tuple[Backend, EntryLog]:
            state, answers, entry_log = open_kept(address)
            for one in (state, answers, entry_log):  # the state, opened first, is closed last
                stack.push_async_callback(one.close)
            return answers, entry_log

        yield open_one


async def numbers_in(entry_log: EntryLog) -> set[int]:
    """Return the entries that a log tells of until now."""
    found: set[int] = set()
    async with asyncio.timeout(20), aclosing(entry_log.follow()) as batches:
        async for batch in batches:
            found |= {one.event.entry_id for one in batch.written if isinstance(one.event, Stored)}
            if batch.is_last:
                break
    return found


@pytest.mark.parametrize("address", ["redis"], indirect=True)
async def test_what_one_replica_stored_another_finds_within_a_second(open_at: Open) -> None:
    (answers, entry_log), (others_answers, others_log) = open_at(), open_at()
    await numbers_in(others_log)

    async with asyncio.timeout(20), aclosing(others_log.follow()) as batches:
        assert (await anext(batches)).written == []
        await answers.put(7, entry_of(7))
        entry_log.append(event_of(7))
        stored_at = time.monotonic()
        batch = await anext(batches)
        found = await others_answers.get(7)
        took_s = time.monotonic() - stored_at

    assert [one.event for one in batch.written] == [event_of(7)]
    assert found == entry_of(7)
    assert took_s < WITHIN_S


async def test_a_killed_writer_loses_nothing_older_than_a_second(address: str, open_at: Open) -> None:
    told, killed_at = await asyncio.to_thread(write_until_killed, WRITER, address)
    old = [number for number, at in told if at < killed_at - WITHIN_S]

    answers, entry_log = open_at()
    kept = await numbers_in(entry_log)

    assert len(old) > 50
    assert [number for number in old if await answers.get(number) != entry_of(number)] == []
    assert set(old) - kept == set()
    assert answers.unreadable == entry_log.failed == 0


async def test_neither_prompts_nor_answers_stand_outside_the_process(
    address: str, server: RedisServer, tmp_path: Path
) -> None:
    told, _ = await asyncio.to_thread(write_until_killed, WRITER, address)
    server.command("SAVE")

    written = _bytes_in(server.folder if address == server.url else tmp_path)
    assert len(written) > 100 * len(told)
    for secret in (PROMPT, ANSWER, entry_of(0).key):
        assert secret not in written


def _bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
