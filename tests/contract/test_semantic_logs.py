"""Every log of entries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from pkgutil import iter_modules

import pytest

import cache.semantic.logs
from cache.semantic.events import Deleted, Event, Judged, Stored
from cache.semantic.logs.base import BATCH, Batch, EntryLog
from tests.support.semantic import LOGS

Make = Callable[..., EntryLog]


def stored(number: int = 1) -> Stored:
    return Stored(b"scope", number, b"model", bytes(64), b"reading", b"answer", 1000.0, 2000.0)


@pytest.fixture(params=LOGS)
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[EntryLog] = []

    def make_one(max_events: int = 1000) -> EntryLog:
        made.append(LOGS[request.param](tmp_path, time.time, max_events))
        return made[-1]

    yield make_one
    for one in made:
        await one.close()


async def read(entry_log: EntryLog, position: str = "", count: int = 0) -> tuple[list[Event], str]:
    """Read until nothing more is there, and at least some events; returns them and the position after them."""
    events: list[Event] = []
    async with asyncio.timeout(20), aclosing(entry_log.follow(position)) as batches:
        async for batch in batches:
            events += [one.event for one in batch.written]
            position = batch.position
            if batch.is_last and len(events) >= count:
                return events, position
    raise AssertionError("the log ended")


def test_every_log_is_tried_here() -> None:
    modules = {module.name for module in iter_modules(cache.semantic.logs.__path__)}

    assert set(LOGS) == modules - {"base"}


async def test_a_new_log_tells_that_it_is_empty(make: Make) -> None:
    events, _ = await read(make())

    assert events == []


async def test_events_of_every_kind_come_back_as_they_were(make: Make) -> None:
    entry_log = make()
    events: list[Event] = [
        stored(),
        stored(2**63 - 1),
        Judged(b"scope", "faq", 0.9, is_right=False, is_report=True, pairs=(b"one", b"two")),
        Deleted(b"scope", 7, is_reported=True),
    ]
    for event in events:
        entry_log.append(event)

    found, _ = await read(entry_log, count=4)

    await entry_log.close()  # an event may be read before its writer hears that it is there
    assert found == events
    assert entry_log.written == 4


async def test_more_than_a_batch_comes_in_order(make: Make) -> None:
    entry_log = make()
    numbers = range(2 * BATCH + 10)
    for number in numbers:
        entry_log.append(stored(number))

    found, _ = await read(entry_log, count=len(numbers))

    assert [event.entry_id for event in found if isinstance(event, Stored)] == list(numbers)


async def test_what_is_appended_while_one_follows_comes(make: Make) -> None:
    entry_log = make()
    _, position = await read(entry_log)
    later = asyncio.create_task(read(entry_log, position, count=1))
    await asyncio.sleep(0.05)

    entry_log.append(stored(5))

    assert (await later)[0] == [stored(5)]


async def test_following_goes_on_after_a_position(make: Make) -> None:
    entry_log = make()
    entry_log.append(stored(1))
    _, position = await read(entry_log, count=1)
    entry_log.append(stored(2))

    assert (await read(entry_log, position, count=1))[0] == [stored(2)]


async def test_another_process_reads_what_one_has_written(make: Make) -> None:
    first = make()
    first.append(stored(1))
    await read(first, count=1)
    await first.close()
    second = make()

    async with asyncio.timeout(20), aclosing(second.follow()) as batches:
        batch: Batch = await anext(batches)

    assert [one.event for one in batch.written] == [stored(1)]
    assert batch.written[0].origin == first.origin != second.origin


async def test_closing_writes_what_waits(make: Make) -> None:
    first = make()
    for number in range(300):
        first.append(stored(number))
    await first.close()

    assert len((await read(make(), count=300))[0]) == 300


async def test_a_deletion_comes_after_what_it_deletes_or_instead(make: Make) -> None:
    entry_log = make()
    entry_log.append(stored(1))
    entry_log.append(stored(2))
    entry_log.append(Deleted(b"scope", 1))

    found, _ = await read(entry_log, count=2)

    assert found[-1] == Deleted(b"scope", 1)
    assert stored(2) in found


async def test_the_oldest_go_beyond_the_bound(make: Make) -> None:
    entry_log = make(max_events=200)
    for number in range(1000):
        entry_log.append(stored(number))
    await entry_log.close()

    found, _ = await read(make(), count=1)

    assert 200 <= len(found) < 400
    assert found[-1] == stored(999)


async def test_trimming_forgets_what_is_old(make: Make) -> None:
    entry_log = make()
    for number in range(250):
        entry_log.append(stored(number))
    await read(entry_log, count=250)
    await asyncio.sleep(0.02)
    middle = time.time()
    await asyncio.sleep(0.02)
    entry_log.append(stored(1000))
    await read(entry_log, count=251)

    dropped = await entry_log.trim(middle)

    assert dropped == 250
    assert (await read(entry_log))[0] == [stored(1000)]


async def test_a_position_of_another_kind_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="no position"):
        await read(make(), "yesterday")


async def test_closing_ends_those_that_follow(make: Make) -> None:
    entry_log = make()

    async def follow() -> None:
        async for _ in entry_log.follow():
            pass

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.05)

    await entry_log.close()
    await entry_log.close()

    async with asyncio.timeout(10):
        await follower


async def test_what_is_appended_after_closing_is_lost_and_counted(make: Make) -> None:
    entry_log = make()
    await entry_log.close()

    entry_log.append(stored())

    assert entry_log.failed == 1


async def test_a_sound_log_complains_of_nothing(make: Make) -> None:
    entry_log = make()
    entry_log.append(stored())
    await read(entry_log, count=1)

    assert entry_log.complaint == ""
