"""Every store of responses."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.stored import sqlite
from gateway.stored.base import MAX_TEXT, Record, ResponseStore
from gateway.stored.sqlite import SqliteResponseStore
from tests.support.clock import Clock
from tests.support.members import RESPONSE_STORES
from tests.support.moment import Moment

BOUND = 100_000

HOSTILE = [
    "'; DROP TABLE record; --",
    '"quoted"',
    "nul\0inside",
    "\0",
    "%",
    "_",
    "../../etc/passwd",
    "line\r\nbreak",
    "\U0001f600\u202e",
    "x" * MAX_TEXT,
]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture(params=RESPONSE_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[ResponseStore]:
    made = RESPONSE_STORES[request.param](tmp_path, clock, BOUND)
    yield made
    await made.close()


@pytest.fixture
async def disk(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteResponseStore]:
    made = SqliteResponseStore(tmp_path / "responses.db", clock, max_bytes=BOUND)
    yield made
    await made.close()


def record(record_id: str = "resp_1", **fields: Any) -> Record:
    defaults = {
        "id": record_id,
        "owner": "acme/search",
        "upstream": "openai",
        "model": "gpt-x",
        "created_at": 1_000_000.0,
        "expires_at": 1_000_100.0,
    }
    return Record(**{**defaults, **fields})


async def settle(store: ResponseStore) -> None:
    """Wait until nothing waits to be written."""
    writer = getattr(store, "_writer", None)
    if writer is not None:
        await writer


async def test_a_new_store_knows_nothing(store: ResponseStore) -> None:
    assert await store.get("resp_1") is None
    assert await store.delete("resp_1") is False
    assert await store.sweep() == 0


async def test_what_is_put_is_found_whole(store: ResponseStore) -> None:
    full = record(upstream="", owner="ümlaut/\U0001f600", expires_at=math.inf, sealed=bytes(range(256)))

    await store.put(full)

    assert await store.get("resp_1") == full
    await settle(store)
    assert await store.get("resp_1") == full


async def test_a_second_put_replaces_the_first(store: ResponseStore) -> None:
    await store.put(record(model="first", sealed=b"1" * 50))
    await settle(store)

    await store.put(record(model="second"))
    assert (await store.get("resp_1")) == record(model="second")
    await settle(store)

    assert (await store.get("resp_1")) == record(model="second")


async def test_only_the_last_of_many_puts_in_a_row_is_kept(store: ResponseStore) -> None:
    for number in range(50):
        await store.put(record(model=f"m{number}"))
    await settle(store)

    assert await store.get("resp_1") == record(model="m49")


@pytest.mark.parametrize("settled", [False, True])
async def test_what_is_deleted_is_gone(store: ResponseStore, settled: bool) -> None:  # noqa: FBT001  a parameter
    await store.put(record("resp_1"))
    await store.put(record("resp_2"))
    if settled:
        await settle(store)

    assert await store.delete("resp_1") is True
    assert await store.delete("resp_1") is False
    await settle(store)

    assert await store.get("resp_1") is None
    assert await store.get("resp_2") == record("resp_2")


async def test_a_record_is_deleted_in_all_its_versions(store: ResponseStore) -> None:
    await store.put(record(model="first"))
    await asyncio.sleep(0)
    await store.put(record(model="second"))

    deletion = asyncio.create_task(store.delete("resp_1"))
    await asyncio.sleep(0)
    seen = await store.get("resp_1")

    assert seen is None
    assert await deletion is True
    assert await store.get("resp_1") is None


async def test_what_is_put_after_its_deletion_stays(store: ResponseStore) -> None:
    await store.put(record(model="first"))
    deletion = asyncio.create_task(store.delete("resp_1"))
    await asyncio.sleep(0)

    await store.put(record(model="second"))
    await deletion
    await settle(store)

    assert await store.get("resp_1") == record(model="second")


@pytest.mark.parametrize("settled", [False, True])
async def test_a_record_is_not_found_from_the_second_it_expires(
    store: ResponseStore,
    clock: Clock,
    settled: bool,  # noqa: FBT001  a parameter
) -> None:
    await store.put(record(expires_at=clock.now + 10))
    if settled:
        await settle(store)
    clock.now += 9.5
    before = await store.get("resp_1")

    clock.now += 0.5

    assert before is not None
    assert await store.get("resp_1") is None
    assert await store.delete("resp_1") is False


async def test_a_sweep_drops_what_expired_and_nothing_else(store: ResponseStore, clock: Clock) -> None:
    for number in range(60):
        await store.put(record(f"resp_{number}", expires_at=clock.now + number))
    await settle(store)
    clock.now += 19.5

    assert await store.sweep() == 20
    assert await store.sweep() == 0
    assert await store.get("resp_19") is None
    assert await store.get("resp_20") is not None


async def test_an_expired_record_may_be_put_anew(store: ResponseStore, clock: Clock) -> None:
    await store.put(record(expires_at=clock.now + 1))
    await settle(store)
    clock.now += 5

    await store.put(record(expires_at=clock.now + 1))

    assert await store.get("resp_1") == record(expires_at=clock.now + 1)


async def test_what_was_put_first_goes_first_beyond_the_bound(store: ResponseStore) -> None:
    fits = BOUND // record(sealed=b"x" * 9000).size

    for number in range(fits + 3):
        await store.put(record(f"resp_{number}", created_at=1_000_000.0 + number, sealed=b"x" * 9000))
    await settle(store)

    kept = [number for number in range(fits + 3) if await store.get(f"resp_{number}")]
    assert kept == list(range(3, fits + 3))
    assert store.failed == 0


async def test_replacing_and_deleting_give_their_room_back(store: ResponseStore) -> None:
    await store.put(record("old", created_at=1.0))
    for number in range(40):
        await store.put(record("big", sealed=b"x" * 60_000))
        await settle(store)
        if number % 2:
            await store.delete("big")

    assert await store.get("old") is not None


async def test_a_record_larger_than_the_bound_is_counted_and_disturbs_nobody(store: ResponseStore) -> None:
    await store.put(record("resp_1"))
    await store.put(record("resp_2"))

    await store.put(record("resp_2", sealed=b"x" * BOUND))
    await settle(store)

    assert store.failed == 1
    assert await store.get("resp_1") == record("resp_1")
    assert await store.get("resp_2") == record("resp_2")


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
async def test_a_hostile_id_is_an_id_like_any_other(store: ResponseStore, hostile: str) -> None:
    await store.put(record("resp_1"))
    await store.put(record(hostile, model="hostile"))
    await settle(store)

    assert await store.get(hostile) == record(hostile, model="hostile")
    assert await store.get("nul") is None
    assert await store.delete(hostile) is True
    assert await store.get(hostile) is None
    assert await store.get("resp_1") == record("resp_1")


@pytest.mark.parametrize("refused", ["", "x" * 10_000, "half an emoji \ud83d"], ids=["empty", "long", "surrogate"])
async def test_an_id_that_cannot_be_kept_is_unknown(store: ResponseStore, refused: str) -> None:
    await store.put(record(refused))

    assert store.failed == 1
    assert await store.get(refused) is None
    assert await store.delete(refused) is False


@pytest.mark.parametrize("field", ["owner", "upstream", "model"])
async def test_a_field_may_be_empty_and_not_without_bound(store: ResponseStore, field: str) -> None:
    await store.put(record("resp_1", **{field: ""}))
    await store.put(record("resp_2", **{field: "x" * 10_000}))
    await store.put(record("resp_3", **{field: "half an emoji \ud83d"}))
    await settle(store)

    assert store.failed == 2
    assert [number for number in range(1, 4) if await store.get(f"resp_{number}")] == [1]


async def test_a_hundred_tasks_do_not_disturb_each_other(store: ResponseStore) -> None:
    async def live(number: int) -> list[bool]:
        mine = record(f"resp_{number}", model=f"m{number}")
        seen = []
        for turn in range(10):
            mine = msgspec.structs.replace(mine, sealed=bytes([turn]) * 10)
            await store.put(mine)
            seen.append(await store.get(mine.id) == mine)
            await asyncio.sleep(0)
            seen.append(await store.get(mine.id) == mine)
            if turn % 3 == 2:
                seen.append(await store.delete(mine.id))
                seen.append(await store.get(mine.id) is None)
        return seen

    lives = await asyncio.gather(*(live(number) for number in range(100)))
    await settle(store)

    assert all(all(seen) for seen in lives)
    assert sum([await store.get(f"resp_{number}") is not None for number in range(100)]) == 100
    assert store.failed == 0


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_of_calls_is_answered_as_by_a_dict(
    store: ResponseStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(sqlite, "_BATCH", 3)
    monkeypatch.setattr(sqlite, "_EXPIRED_AT_ONCE", 2)
    chance = Random(seed)  # noqa: S311  nothing secret
    model: dict[str, Record] = {}

    for step in range(400):
        clock.now += chance.choice([0, 0, 1])
        model = {key: one for key, one in model.items() if one.expires_at > clock.now}
        key = f"resp_{chance.randrange(8)}"
        match chance.choice(["put", "put", "get", "delete", "sweep", "pause"]):
            case "put":
                model[key] = record(key, model=f"m{step}", expires_at=clock.now + chance.randrange(20))
                await store.put(model[key])
            case "delete":
                known = key in model and model[key].expires_at > clock.now
                assert await store.delete(key) is known
                model.pop(key, None)
            case "sweep":
                await store.sweep()
            case "pause":
                await asyncio.sleep(chance.choice([0, 0.001]))
        expected = model.get(key)
        is_live = expected is not None and expected.expires_at > clock.now
        assert await store.get(key) == (expected if is_live else None)


async def test_sweeping_while_others_write_loses_nothing(store: ResponseStore, clock: Clock) -> None:
    async def sweep() -> None:
        for _ in range(20):
            await store.sweep()

    sweeping = asyncio.create_task(sweep())
    for number in range(100):
        await store.put(record(f"resp_{number}"))
        await asyncio.sleep(0)
    await sweeping
    await settle(store)

    assert [number for number in range(100) if await store.get(f"resp_{number}") is None] == []


async def test_closing_twice_is_harmless(store: ResponseStore) -> None:
    await store.put(record())

    await store.close()
    await store.close()


async def test_recent_use_keeps_a_record_in_memory(tmp_path: Path, clock: Clock) -> None:
    store = RESPONSE_STORES["memory"](tmp_path, clock, 10 * record().size)
    for number in range(10):
        await store.put(record(f"resp_{number}"))
    await store.get("resp_0")

    await store.put(record("resp_10"))

    assert await store.get("resp_0") is not None
    assert await store.get("resp_1") is None


async def test_records_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    first = RESPONSE_STORES["sqlite"](tmp_path, clock, BOUND)
    for number in range(300):
        await first.put(record(f"resp_{number}", sealed=b"s"))
    await first.close()

    second = RESPONSE_STORES["sqlite"](tmp_path, clock, 10 * BOUND)
    kept = [await second.get(f"resp_{number}") for number in range(300)]
    await second.close()

    room = BOUND // record(sealed=b"s").size
    assert kept == [None] * (300 - room) + [record(f"resp_{number}", sealed=b"s") for number in range(300 - room, 300)]


async def test_the_bound_counts_what_an_earlier_process_wrote(tmp_path: Path, clock: Clock) -> None:
    first = RESPONSE_STORES["sqlite"](tmp_path, clock, BOUND)
    await first.put(record("resp_1", sealed=b"x" * 60_000))
    await first.close()

    second = RESPONSE_STORES["sqlite"](tmp_path, clock, BOUND)
    await second.put(record("resp_2", sealed=b"x" * 60_000))
    await settle(second)

    assert await second.get("resp_1") is None
    assert await second.get("resp_2") is not None
    await second.close()


async def test_records_are_bounded_in_number_too(tmp_path: Path, clock: Clock) -> None:
    store = SqliteResponseStore(tmp_path / "responses.db", clock, max_records=3)
    for number in range(5):
        await store.put(record(f"resp_{number}", created_at=float(number)))
    await settle(store)

    assert [number for number in range(5) if await store.get(f"resp_{number}")] == [2, 3, 4]
    await store.close()


async def test_a_committed_record_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from gateway.stored.base import Record; from gateway.stored.sqlite import SqliteResponseStore\n"
        "async def main():\n"
        "    store = SqliteResponseStore(Path(sys.argv[1]))\n"
        "    await store.put(Record(id='a', owner='o', upstream='u', model='m', created_at=1.0, expires_at=9e9))\n"
        "    await store._writer\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "responses.db")]
    killed = await asyncio.to_thread(subprocess.run, arguments, check=False)
    store = SqliteResponseStore(tmp_path / "responses.db", lambda: 2.0)

    found = await store.get("a")

    assert killed.returncode == -9
    assert found is not None
    assert found.upstream == "u"
    await store.close()


async def test_a_file_is_made_with_the_first_record_for_its_owner_only(
    disk: SqliteResponseStore, tmp_path: Path
) -> None:
    await disk.get("resp_1")
    await disk.delete("resp_1")
    await disk.sweep()
    assert not files(tmp_path)

    await disk.put(record())
    await settle(disk)

    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}


async def test_what_is_deleted_is_overwritten_in_the_file(disk: SqliteResponseStore, tmp_path: Path) -> None:
    await disk.put(record(sealed=b"needle" * 2000))
    await settle(disk)

    await disk.delete("resp_1")
    await disk.sweep()

    assert not any(b"needle" in path.read_bytes() for path in files(tmp_path))


async def test_the_loop_runs_on_while_the_disk_is_busy(disk: SqliteResponseStore, tmp_path: Path) -> None:
    await disk.put(record("resp_1"))
    await settle(disk)
    other = sqlite3.connect(tmp_path / "responses.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    await disk.put(record("resp_2"))
    for _ in range(20):
        await asyncio.sleep(0.001)
    during = await disk.get("resp_2")
    other.execute("COMMIT")
    other.close()
    await settle(disk)

    assert during == record("resp_2")
    assert await disk.get("resp_2") == record("resp_2")
    assert disk.failed == 0


async def test_puts_that_came_in_meanwhile_share_a_commit(disk: SqliteResponseStore) -> None:
    commits = []
    put = disk._file.put

    def counted(records: Sequence[Record]) -> None:
        commits.append(len(records))
        put(records)

    disk._file.put = counted  # type: ignore[method-assign]  # nothing public tells of commits
    for number in range(100):
        await disk.put(record(f"resp_{number}"))
    await settle(disk)

    assert commits == [100]


async def test_a_queue_that_is_full_refuses_and_says_so_once(
    disk: SqliteResponseStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sqlite, "_MAX_WAITING", 3)
    free = hold_thread(disk)

    for number in range(5):
        await disk.put(record(f"resp_{number}"))
    free()
    await settle(disk)

    assert disk.failed == 2
    assert [number for number in range(5) if await disk.get(f"resp_{number}")] == [0, 1, 2]
    assert [line.message for line in caplog.records] == ["1 records of 512 bytes were not kept: the disk is too slow"]


async def test_the_queue_is_bounded_in_bytes(disk: SqliteResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_MAX_WAITING_BYTES", 3 * 10_512)
    free = hold_thread(disk)

    for number in range(5):
        await disk.put(record(f"resp_{number}", sealed=b"x" * 10_000))
    free()
    await settle(disk)
    await disk.put(record("resp_5", sealed=b"x" * 10_000))

    assert disk.failed == 2
    assert [number for number in range(6) if await disk.get(f"resp_{number}")] == [0, 1, 2, 5]


async def test_a_replaced_record_makes_room_in_the_queue(
    disk: SqliteResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_MAX_WAITING_BYTES", 3 * 10_512)
    free = hold_thread(disk)

    for _ in range(20):
        await disk.put(record("resp_1", sealed=b"x" * 10_000))
    free()
    await settle(disk)

    assert (disk.failed, disk._waiting_bytes) == (0, 0)


async def test_a_caller_who_leaves_does_not_take_a_deletion_back(disk: SqliteResponseStore) -> None:
    await disk.put(record())
    await settle(disk)
    free = hold_thread(disk)
    deletion = asyncio.create_task(disk.delete("resp_1"))
    await asyncio.sleep(0)

    deletion.cancel()
    await asyncio.wait((deletion,))
    free()

    assert deletion.cancelled()
    assert await disk.get("resp_1") is None


async def test_closing_writes_what_waits(tmp_path: Path, clock: Clock) -> None:
    store = SqliteResponseStore(tmp_path / "responses.db", clock)
    free = hold_thread(store)
    await store.put(record("resp_1"))
    await asyncio.sleep(0)
    await store.put(record("resp_2"))
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    await store.put(record("resp_3"))
    free()
    await closing

    again = SqliteResponseStore(tmp_path / "responses.db", clock)

    assert [number for number in range(1, 4) if await again.get(f"resp_{number}")] == [1, 2]
    assert store.failed == 1
    await again.close()


async def test_a_closed_store_says_that_it_cannot_tell(disk: SqliteResponseStore) -> None:
    await disk.close()

    with pytest.raises(StageUnavailableError):
        await disk.get("resp_1")
    with pytest.raises(StageUnavailableError):
        await disk.delete("resp_1")
    assert await disk.sweep() == 0


def no_folder(path: Path) -> None:
    path.parent.rmdir()


def not_a_database(path: Path) -> None:
    path.write_bytes(b"prose, not pages. " * 1000)


def a_folder(path: Path) -> None:
    path.mkdir()


def newer_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(f"{''.join(sqlite._MIGRATIONS)} PRAGMA user_version = 99;")
    connection.close()


def other_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE record (id TEXT)")
    connection.close()


@pytest.mark.parametrize("spoil", [no_folder, not_a_database, a_folder, newer_schema, other_schema])
async def test_a_broken_disk_loses_records_and_never_an_answer(
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], None],
) -> None:
    path = tmp_path / "folder" / "responses.db"
    path.parent.mkdir()
    spoil(path)
    store = SqliteResponseStore(path, clock)

    for number in range(4):
        await store.put(record(f"resp_{number}", sealed=b"prompt"))
        await settle(store)
    swept = await store.sweep()
    await store.close()

    assert (store.failed, swept) == (4, 0)
    (line,) = (line for line in caplog.records if line.levelno >= logging.WARNING)
    assert line.message.startswith("1 records of 518 bytes were not kept: ")
    assert "prompt" not in line.message
    assert "resp_" not in line.message


@pytest.mark.parametrize("spoil", [not_a_database, newer_schema])
async def test_a_broken_disk_is_not_taken_for_an_unknown_id(
    tmp_path: Path, clock: Clock, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path / "responses.db")
    store = SqliteResponseStore(tmp_path / "responses.db", clock)

    with pytest.raises(StageUnavailableError):
        await store.get("resp_1")
    with pytest.raises(StageUnavailableError):
        await store.delete("resp_1")
    await store.close()


async def test_a_disk_that_recovers_is_used_again(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "responses.db"
    not_a_database(path)
    store = SqliteResponseStore(path, clock)
    await store.put(record("resp_1"))
    await settle(store)

    path.unlink()
    await store.put(record("resp_2"))
    await settle(store)

    assert store.failed == 1
    assert await store.get("resp_1") is None
    assert await store.get("resp_2") == record("resp_2")
    await store.close()


async def test_a_disk_that_breaks_again_is_told_of_again(
    disk: SqliteResponseStore, caplog: pytest.LogCaptureFixture
) -> None:
    for created_at in (math.nan, math.nan, 1.0, math.nan):
        await disk.put(record(created_at=created_at))
        await settle(disk)

    assert disk.failed == 3
    assert len(caplog.records) == 2


async def test_a_batch_that_fails_leaves_the_bound_exact(disk: SqliteResponseStore) -> None:
    await disk.put(record("resp_1", sealed=b"x" * 40_000))
    await settle(disk)
    await disk.put(record("resp_2", sealed=b"x" * 50_000))
    await disk.put(record("resp_3", created_at=math.nan))
    await settle(disk)
    assert disk.failed == 2

    await disk.put(record("resp_4", sealed=b"x" * 50_000))
    await settle(disk)

    assert [number for number in range(1, 5) if await disk.get(f"resp_{number}")] == [1, 4]


async def test_the_room_taken_is_known_exactly(disk: SqliteResponseStore, tmp_path: Path, clock: Clock) -> None:
    chance = Random(1)  # noqa: S311  nothing secret
    for number in range(300):
        size = chance.choice([0, 100, 5000])
        await disk.put(record(f"resp_{chance.randrange(90)}", expires_at=clock.now + 50, sealed=bytes(size)))
        if number % 7 == 0:
            clock.now += 1
            await disk.delete(f"resp_{chance.randrange(90)}")
            await disk.sweep()
    await settle(disk)

    connection = sqlite3.connect(tmp_path / "responses.db")
    kept = connection.execute("SELECT count(*), sum(size), sum(length(sealed)) FROM record").fetchone()
    connection.close()

    assert (disk._file._records, disk._file._bytes) == kept[:2]
    assert kept[1] == kept[2] + kept[0] * record().size
    assert 0 < kept[1] <= BOUND


async def test_the_file_says_which_schema_it_has(disk: SqliteResponseStore, tmp_path: Path) -> None:
    await disk.put(record())
    await settle(disk)

    connection = sqlite3.connect(tmp_path / "responses.db")
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "journal_mode")]
    connection.close()

    assert found == [1, "wal"]


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def hold_thread(store: SqliteResponseStore) -> Callable[[], None]:
    """Keep the store's one thread busy until the returned function is called."""
    moment = Moment("the thread goes on")
    store._thread._executor.submit(moment.wait)
    return moment.happen
