from __future__ import annotations

import asyncio
import errno
import os
import random
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.domain.errors import StageUnavailableError
from policies.segments import JournalInUseError, framed
from policies.stores.ledgers.base import UsageQuery, UsageRecord
from policies.stores.ledgers.embedded import LOSS_SHOWN_S, EmbeddedLedger, LedgerReader, file_of, folder_of
from tests.support.usage import START, usage_record

KILLS = 50

Open = Callable[[], EmbeddedLedger]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "tierway.db"


@pytest.fixture
async def open_ledger(state: Path) -> AsyncIterator[Open]:
    """Open a ledger in the test's folder that moves nothing unless it is asked."""
    opened: list[EmbeddedLedger] = []

    def start() -> EmbeddedLedger:
        opened.append(EmbeddedLedger(state, lambda: START, move_s=3600.0))
        return opened[-1]

    yield start
    for one in opened:
        await one.close()


def abandon(ledger: EmbeddedLedger) -> None:
    """Leave a ledger as a killed process leaves it: nothing is moved, and the folder is free."""
    if ledger._mover is not None:
        ledger._mover.cancel()
    ledger._is_closed = True
    ledger._segments.close()


class Disk:
    """Stands in for `os.write`: a disk that may be full."""

    def __init__(self) -> None:
        self.is_full = False

    def write(self, fd: int, content: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return _write(fd, content)


_write = os.write


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "write", made.write)
    return made


async def ids(ledger: EmbeddedLedger) -> list[str]:
    return [one.id async for batch in ledger.records() for one in batch]


def stored(state: Path) -> int:
    with sqlite3.connect(file_of(state)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM usage").fetchone()
    connection.close()
    return int(count)


async def test_a_record_waits_in_a_file_until_it_is_moved(open_ledger: Open, state: Path) -> None:
    ledger = open_ledger()

    await ledger.append(usage_record())

    assert (ledger.lag, stored(state)) == (1, 0)
    await ledger.usage(UsageQuery())
    assert (ledger.lag, stored(state)) == (0, 1)


async def test_records_are_moved_without_being_asked_for(state: Path) -> None:
    ledger = EmbeddedLedger(state, move_s=0.0)
    await ledger.append(usage_record())
    assert ledger._mover is not None

    await ledger._mover

    assert stored(state) == 1
    assert ledger._mover is None
    await ledger.close()


async def test_closing_moves_what_waits(open_ledger: Open, state: Path) -> None:
    ledger = open_ledger()
    await ledger.append(usage_record())

    await ledger.close()

    assert stored(state) == 1


async def test_files_that_were_moved_are_dropped(open_ledger: Open, state: Path) -> None:
    ledger = open_ledger()
    for _ in range(5):
        await ledger.append(usage_record())
        await ledger.usage(UsageQuery())

    assert len(list(folder_of(state).glob("*.journal"))) == 1
    assert len(list(folder_of(state).glob("*.snapshot"))) == 1


async def test_what_a_killed_process_left_is_moved_when_the_ledger_is_opened(open_ledger: Open, state: Path) -> None:
    ledger = open_ledger()
    left = [usage_record() for _ in range(3)]
    for record in left:
        await ledger.append(record)
    abandon(ledger)

    again = open_ledger()

    assert stored(state) == 3
    assert await ids(again) == [one.id for one in left]


async def test_a_process_killed_between_commit_and_clean_up_records_nothing_twice(
    open_ledger: Open, state: Path
) -> None:
    ledger = open_ledger()
    await ledger.append(usage_record())
    ledger._file.add(ledger._records_until(ledger._segments.number))
    abandon(ledger)

    open_ledger()

    assert stored(state) == 1


async def test_a_full_disk_counts_a_record_as_failed_and_raises_nothing(open_ledger: Open, disk: Disk) -> None:
    ledger = open_ledger()
    disk.is_full = True

    await ledger.append(usage_record())

    disk.is_full = False
    await ledger.append(kept := usage_record())
    assert (ledger.written, ledger.failed) == (1, 1)
    assert await ids(ledger) == [kept.id]


async def test_a_record_that_is_lost_is_told_of_for_some_seconds(
    state: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    moments = [START]
    ledger = EmbeddedLedger(state, lambda: moments[-1], move_s=3600.0)
    disk.is_full = True
    for _ in range(3):
        await ledger.append(usage_record())
    disk.is_full = False

    def complaint_at(moment: float) -> str:
        moments.append(moment)
        return ledger.complaint

    told = "usage cannot be written down, and is lost"
    assert [complaint_at(START + later) for later in (0, LOSS_SHOWN_S - 1)] == [told] * 2
    assert [complaint_at(START + later) for later in (LOSS_SHOWN_S, -3600)] == [""] * 2
    assert caplog.text.count("usage cannot be written down") == 1
    await ledger.close()


async def test_records_wait_while_sqlite_fails_and_are_moved_when_it_is_well(
    open_ledger: Open, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger()
    file = ledger._file._file
    file.close()
    with monkeypatch.context() as broken:
        broken.setattr(file, "_open", lambda: (_ for _ in ()).throw(sqlite3.OperationalError("disk I/O error")))
        await ledger.append(usage_record())
        with pytest.raises(StageUnavailableError):
            await ledger.usage(UsageQuery())
        await ledger.append(usage_record())
        with pytest.raises(StageUnavailableError):
            await ledger.usage(UsageQuery())
        complaint, lag = ledger.complaint, ledger.lag

    (row,) = await ledger.usage(UsageQuery())

    assert (complaint, lag) == ("usage waits to be moved into the ledger: OperationalError", 2)
    assert (row.requests, ledger.complaint, ledger.lag) == (2, "", 0)


async def test_a_file_that_is_no_database_stops_nothing_but_reading(state: Path) -> None:
    file_of(state).write_bytes(b"this is no database, and long enough to be seen as none" * 20)

    ledger = EmbeddedLedger(state, move_s=3600.0)
    await ledger.append(usage_record())

    assert ledger.complaint == "usage waits to be moved into the ledger: DatabaseError"
    assert ledger.written == 1
    with pytest.raises(StageUnavailableError):
        await ledger.usage(UsageQuery())
    await ledger.close()


async def test_a_newer_file_is_left_alone(state: Path) -> None:
    with sqlite3.connect(file_of(state)) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    ledger = EmbeddedLedger(state, move_s=3600.0)

    assert "DatabaseError" in ledger.complaint
    await ledger.close()
    reader = LedgerReader(state)
    with pytest.raises(StageUnavailableError):
        await reader.usage(UsageQuery())
    await reader.close()


async def test_bytes_that_are_no_record_are_left_out_and_counted(open_ledger: Open, state: Path) -> None:
    ledger = open_ledger()
    ledger._segments.append(framed(b"\x93\x01\x02\x03"))
    await ledger.append(kept := usage_record())

    assert await ids(ledger) == [kept.id]
    assert (ledger.written, ledger.failed) == (1, 1)


async def test_records_are_known_to_the_next_process_by_their_ids(open_ledger: Open) -> None:
    ledger = open_ledger()
    await ledger.append(kept := usage_record())
    await ledger.append(usage_record())
    abandon(ledger)

    known = open_ledger().known([kept.id, "another"])

    assert known == [kept]


async def test_a_second_process_may_not_write(open_ledger: Open, state: Path) -> None:
    open_ledger()

    with pytest.raises(JournalInUseError):
        EmbeddedLedger(state)


async def test_a_reader_sees_what_a_running_ledger_has_moved(open_ledger: Open, state: Path) -> None:
    ledger, reader = open_ledger(), LedgerReader(state)
    await ledger.append(usage_record())
    await ledger.usage(UsageQuery())
    await ledger.append(usage_record())

    (row,) = await reader.usage(UsageQuery())

    assert row.requests == 1
    await reader.close()


async def test_a_reader_of_nothing_makes_no_file(state: Path) -> None:
    reader = LedgerReader(state)

    (row,) = await reader.usage(UsageQuery())

    assert row.requests == 0
    assert list(state.parent.iterdir()) == []
    await reader.close()


async def test_the_file_is_readable_by_its_owner_only(open_ledger: Open, state: Path) -> None:
    open_ledger()

    assert stat.S_IMODE(file_of(state).stat().st_mode) == 0o600


async def test_a_closed_ledger_counts_records_as_failed_and_answers_nobody(open_ledger: Open) -> None:
    ledger = open_ledger()
    await ledger.close()

    await ledger.append(usage_record())

    assert ledger.failed == 1
    with pytest.raises(StageUnavailableError):
        await ledger.usage(UsageQuery())


async def test_a_question_that_is_given_up_leaves_the_ledger_whole(open_ledger: Open) -> None:
    ledger = open_ledger()
    await ledger.append(kept := usage_record())
    question = asyncio.ensure_future(ledger.usage(UsageQuery()))
    await asyncio.sleep(0)

    question.cancel()

    with pytest.raises(asyncio.CancelledError):
        await question
    assert await ids(ledger) == [kept.id]


async def test_old_records_are_forgotten_by_themselves(state: Path) -> None:
    ledger = EmbeddedLedger(state, lambda: START, retention_days=1.0, move_s=3600.0)
    await ledger.append(usage_record(at=START - 86_401))
    await ledger.append(kept := usage_record(at=START - 86_399))
    keeping = asyncio.ensure_future(ledger.run())

    while stored(state) != 1:  # noqa: ASYNC110  the task sets no event
        await asyncio.sleep(0.001)

    assert await ids(ledger) == [kept.id]
    keeping.cancel()
    await ledger.close()


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
import msgspec
from policies.stores.ledgers.embedded import EmbeddedLedger
from tests.support.usage import usage_record
async def main():
    ledger = EmbeddedLedger(Path(sys.argv[1]), move_s=0.002)
    for number in range(10**9):
        record = usage_record(id=f"{sys.argv[2]}-{number}")
        await ledger.append(record)
        os.write(1, record.id.encode() + b"\\n")
        if number % 20 == 0:
            await asyncio.sleep(0.001)
asyncio.run(main())
"""


def killed(state: Path) -> set[str]:
    """Append in processes that are killed; return the ids they acknowledged."""
    chance = random.Random(4)  # noqa: S311  reproducible, nothing secret
    acknowledged: set[str] = set()

    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(state), str(kill)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        heard = process.stdout.read(chance.choice([1, 100, 3000, 20_000]))
        process.kill()
        heard += process.stdout.read()
        process.wait()
        process.stdout.close()
        acknowledged.update(heard.decode().split("\n")[:-1])
    return acknowledged


async def test_a_killed_process_has_lost_nothing_it_acknowledged(state: Path) -> None:
    acknowledged = await asyncio.to_thread(killed, state)

    ledger = EmbeddedLedger(state)
    found: Counter[str] = Counter(await ids(ledger))
    assert set(found.values()) == {1}
    assert acknowledged <= set(found)
    assert len(found) - len(acknowledged) <= KILLS  # one each was written and not yet acknowledged
    await ledger.close()


def test_a_record_holds_nothing_of_what_was_said() -> None:
    assert set(UsageRecord.__struct_fields__) == {
        "id", "request_id", "at", "organisation", "team", "key", "user", "route", "requested_model", "routed_model",
        "answered_model", "upstream", "tier", "cache", "status", "usage", "cost_microusd", "is_priced",
        "held_microusd", "under_reserved_microusd", "kind",
    }  # fmt: skip
