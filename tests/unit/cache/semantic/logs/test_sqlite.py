from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest

from cache.semantic.events import Deleted, Stored
from cache.semantic.logs import sqlite as module
from cache.semantic.logs.sqlite import SqliteEntryLog
from gateway.domain.errors import StageUnavailableError
from tests.support.sealed import OTHER_SEALER, SEALER

SECRET = b"a reading of a prompt"


def stored(number: int = 1) -> Stored:
    return Stored(b"scope", number, b"model", bytes(64), SECRET, b"answer", 1000.0, 2000.0)


async def follow(entry_log: SqliteEntryLog, count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(20), aclosing(entry_log.follow()) as batches:
        async for batch in batches:
            found += batch.written
            if len(found) >= count and batch.is_last:
                break
    return found


async def test_the_file_is_the_owners_and_made_with_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "entries.db"
    entry_log = SqliteEntryLog(path, SEALER)
    assert not path.exists()

    entry_log.append(stored())
    await entry_log.close()

    assert path.stat().st_mode & 0o777 == 0o600


async def test_nothing_of_a_deleted_entry_stays_in_the_file(tmp_path: Path) -> None:
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    entry_log.append(stored(1))
    await follow(entry_log, 1)
    entry_log.append(Deleted(b"scope", 1))
    await follow(entry_log, 1)
    await entry_log.close()

    assert SECRET not in _bytes_in(tmp_path)


def _bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_what_came_together_is_written_in_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    append = module._File.append

    def count(file: module._File, rows: Sequence[Any]) -> None:
        commits.append(len(rows))
        append(file, rows)

    monkeypatch.setattr(module._File, "append", count)
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    for number in range(100):
        entry_log.append(stored(number))
    await entry_log.close()

    assert commits == [100]


async def test_a_file_that_cannot_be_written_is_complained_of_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    entry_log = SqliteEntryLog(folder / "entries.db", SEALER)
    entry_log.append(stored())
    async with asyncio.timeout(10):
        while not entry_log.failed:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)
    complaint, failed = entry_log.complaint, entry_log.failed
    folder.mkdir()
    entry_log.append(stored())
    await follow(entry_log, 1)

    assert "fails" in complaint
    assert (failed, entry_log.failed, entry_log.written, entry_log.complaint) == (1, 1, 1, "")
    await entry_log.close()


async def test_a_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    (tmp_path / "entries.db").mkdir()
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)

    with pytest.raises(StageUnavailableError, match="OperationalError"):
        await follow(entry_log, 1)
    with pytest.raises(StageUnavailableError, match="OperationalError"):
        await entry_log.trim(5.0)
    await entry_log.close()


async def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "entries.db").write_bytes(b"no database" * 1000)
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)

    nothing = await follow(entry_log, 0)
    entry_log.append(stored())

    assert nothing == []
    assert [one.event for one in await follow(entry_log, 1)] == [stored()]
    await entry_log.close()


async def test_a_file_of_a_newer_version_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "entries.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    entry_log = SqliteEntryLog(path, SEALER)

    assert await follow(entry_log, 0) == []
    entry_log.append(stored())
    assert [one.event for one in await follow(entry_log, 1)] == [stored()]
    await entry_log.close()


async def test_rows_that_are_no_events_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "entries.db"
    first = SqliteEntryLog(path, SEALER)
    first.append(stored(1))
    await first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO event (at, entry, sealed) VALUES (?, 2, ?)", (time.time(), b"none"))
    second = SqliteEntryLog(path, SEALER)

    assert [one.event for one in await follow(second, 1)] == [stored(1)]
    assert second.failed == 1
    await second.close()


async def test_more_than_may_wait_is_lost_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    for number in range(5):
        entry_log.append(stored(number))
    complaint = entry_log.complaint
    await entry_log.close()

    assert entry_log.failed == 2
    assert complaint == "the disk is too slow"


async def test_a_closed_log_cannot_be_trimmed(tmp_path: Path) -> None:
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    await entry_log.close()

    with pytest.raises(StageUnavailableError, match="closed"):
        await entry_log.trim(5.0)


async def test_nothing_of_a_reading_stands_in_the_file(tmp_path: Path) -> None:
    entry_log = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    entry_log.append(stored())
    await follow(entry_log, 1)

    assert SECRET not in _bytes_in(tmp_path)
    await entry_log.close()


async def test_events_of_another_key_are_counted_and_dropped(tmp_path: Path) -> None:
    before = SqliteEntryLog(tmp_path / "entries.db", OTHER_SEALER)
    before.append(stored(1))
    await before.close()
    after = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    after.append(stored(2))

    found = await follow(after, 1)
    await after.close()

    assert [one.event for one in found] == [stored(2)]
    assert after.failed == 1
    with closing(sqlite3.connect(tmp_path / "entries.db")) as connection:
        assert connection.execute("SELECT entry FROM event").fetchall() == [(2,)]


async def test_an_event_in_the_place_of_another_does_not_open(tmp_path: Path) -> None:
    first = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    for number in (1, 2):
        first.append(stored(number))
    await first.close()
    with closing(sqlite3.connect(tmp_path / "entries.db")) as connection, connection:
        connection.execute("UPDATE event SET sealed = (SELECT sealed FROM event WHERE seq = 1) WHERE seq = 2")
    second = SqliteEntryLog(tmp_path / "entries.db", SEALER)

    assert [one.event for one in await follow(second, 1)] == [stored(1)]
    assert second.failed == 1
    await second.close()


async def test_numbers_go_on_where_the_last_ones_were_dropped(tmp_path: Path) -> None:
    first = SqliteEntryLog(tmp_path / "entries.db", SEALER, lambda: 5.0)
    first.append(stored(1))
    await first.close()
    second = SqliteEntryLog(tmp_path / "entries.db", SEALER)
    await second.trim(6.0)
    second.append(stored(2))
    await follow(second, 1)
    await second.close()

    with closing(sqlite3.connect(tmp_path / "entries.db")) as connection:
        assert connection.execute("SELECT seq FROM event").fetchall() == [(2,)]
