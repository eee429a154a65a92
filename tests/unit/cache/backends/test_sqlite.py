from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from cache.backends.sqlite import SqliteBackend
from cache.base import Entry, Selection
from gateway.domain.errors import StageUnavailableError
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.sealing import Sealer
from tests.support.sealed import OTHER_SEALER, SEALER

NOW = 1000.0


def entry(body: bytes = b"{}", **fields: Any) -> Entry:
    return Entry(body=body, usage=Usage(input_tokens=1), **{"answered_model": "m", "stored_at": NOW, **fields})


def backend(folder: Path, max_bytes: int = 2**20, **options: Any) -> SqliteBackend:
    return SqliteBackend(folder / "cache.db", max_bytes, options.pop("sealer", SEALER), clock=lambda: NOW, **options)


async def known(one: SqliteBackend) -> None:
    """Let it read which entries there are."""
    await one.get(10**9)
    await one._settle()


async def test_what_was_kept_is_there_after_a_start(tmp_path: Path) -> None:
    before = backend(tmp_path)
    await before.put(1, entry(key=b"k"))
    await before.put(2, entry())
    await before.delete(2)
    await before.close()
    after = backend(tmp_path)

    at_once = await after.get(1)
    await known(after)

    assert at_once == entry(key=b"k")
    assert await after.get(1) == at_once
    assert await after.get(2) is None
    assert after.bytes == entry().size
    await after.close()


async def test_what_was_kept_a_moment_ago_survives_a_kill(tmp_path: Path) -> None:
    killed = backend(tmp_path)
    await killed.put(1, entry())
    await killed._settle()
    after = backend(tmp_path)

    assert await after.get(1) == entry()

    await after.close()
    await killed.close()


async def test_the_file_is_made_with_the_first_entry_and_for_its_owner_only(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await known(one)
    assert not (tmp_path / "cache.db").exists() or (tmp_path / "cache.db").stat().st_size == 0

    await one.put(1, entry())
    await one.close()

    assert stat.S_IMODE((tmp_path / "cache.db").stat().st_mode) == 0o600


async def test_the_order_of_use_survives_a_start(tmp_path: Path) -> None:
    size = entry(b"x" * 1000).size
    before = backend(tmp_path, size * 10)
    for number in range(10):
        await before.put(number, entry(b"x" * 1000))
    await known(before)
    await before.get(0)
    await before.close()
    after = backend(tmp_path, size * 10)
    await known(after)

    await after.put(99, entry(b"x" * 1000))

    assert await after.get(0) is not None
    assert await after.get(1) is None
    await after.close()


async def test_a_smaller_bound_holds_after_a_start(tmp_path: Path) -> None:
    size = entry(b"x" * 1000).size
    before = backend(tmp_path)
    for number in range(100):
        await before.put(number, entry(b"x" * 1000))
    await before.close()
    after = backend(tmp_path, size * 20)

    await known(after)

    assert after.bytes == size * 20
    assert await after.get(79) is None
    assert await after.get(80) is not None
    await after.close()


async def test_what_is_not_in_memory_is_read_from_the_file(tmp_path: Path) -> None:
    one = backend(tmp_path, memory_bytes=20_000)
    for number in range(100):
        await one.put(number, entry(b"%d" % number * 500))
    await one._settle()

    found = [await one.get(number) for number in range(100)]

    assert found == [entry(b"%d" % number * 500) for number in range(100)]
    await one.close()


async def test_an_entry_of_a_number_that_is_deleted_while_it_is_read_does_not_come_back(tmp_path: Path) -> None:
    one = backend(tmp_path, memory_bytes=1)
    await one.put(1, entry())
    await one._settle()

    reading = asyncio.create_task(one.get(1))
    await asyncio.sleep(0)
    await one.delete(1)

    await reading
    assert await one.get(1) is None
    await one.close()


async def test_changes_before_the_file_is_known_are_newer_than_it(tmp_path: Path) -> None:
    before = backend(tmp_path)
    for number in (1, 2, 3):
        await before.put(number, entry(b"old"))
    await before.close()
    after = backend(tmp_path)

    await after.delete(1)
    await after.put(2, entry(b"new"))
    await known(after)

    assert await after.get(1) is None
    assert await after.get(2) == entry(b"new")
    assert await after.get(3) == entry(b"old")
    assert after.bytes == 2 * entry(b"old").size
    await after.close()


async def test_expired_entries_go_with_the_next_write(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await one.put(1, entry(expires_at=NOW - 1))
    await one.put(2, entry(expires_at=NOW + 1))
    await one._settle()

    await one.put(3, entry())
    await one._settle()

    assert [await one.get(number) is None for number in (1, 2, 3)] == [True, False, False]
    assert one.bytes == 2 * entry().size
    await one.close()


async def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    one = backend(tmp_path)
    with contextlib.suppress(StageUnavailableError):  # it may be begun anew before it is read
        assert await one.get(1) is None

    await one.put(1, entry())
    await one.close()

    after = backend(tmp_path)
    assert await after.get(1) == entry()
    await after.close()


async def test_a_file_of_another_version_is_emptied(tmp_path: Path) -> None:
    before = backend(tmp_path)
    await before.put(1, entry())
    await before.close()
    connection = sqlite3.connect(tmp_path / "cache.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    after = backend(tmp_path)
    with contextlib.suppress(StageUnavailableError):  # it may be read before it is begun anew
        await after.get(1)
    await after._settle()

    assert await after.get(1) is None
    await after.put(2, entry())
    assert await after.get(2) == entry()
    await after.close()


async def test_a_disk_that_fails_is_counted_and_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = SqliteBackend(tmp_path / "nowhere" / "cache.db", 2**20, SEALER)

    for number in range(3):
        await one.put(number, entry())
        await one._settle()

    assert one.failed == 3
    assert await one.get(1) == entry()
    assert len([record for record in caplog.records if "not written" in record.message]) == 1
    await one.close()


async def test_what_was_selected_before_it_was_written_goes_too(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await one.put(1, entry(tenant="a"))

    assert await one.clear(Selection(tenant="a")) == 1
    assert await one.get(1) is None
    await one.close()


async def test_after_closing_nothing_is_kept(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await one.close()

    await one.put(1, entry())

    assert not (tmp_path / "cache.db").exists()


async def test_what_was_replaced_before_it_was_written_is_selected_as_it_is_now(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await one.put(1, entry(tenant="a"))
    await one.put(2, entry(tenant="b"))
    await one._settle()
    await one.put(1, entry(tenant="b"))

    assert await one.clear(Selection(tenant="a")) == 0
    assert await one.get(1) is not None
    await one.close()


async def test_nothing_of_an_answer_stands_in_the_file(tmp_path: Path) -> None:
    one = backend(tmp_path)
    await one.put(1, entry(b"the answer to a prompt", key=b"a key"))
    await one._settle()

    written = bytes_in(tmp_path)
    assert b"entry_by_end" in written
    assert b"answer" not in written
    assert b"a key" not in written
    await one.close()


async def test_what_was_sealed_with_another_key_is_a_miss_counted_told_once_and_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = backend(tmp_path, sealer=OTHER_SEALER)
    for number in (1, 2):
        await before.put(number, entry())
    await before.close()
    one = backend(tmp_path)
    await known(one)

    found = [await one.get(number) for number in (1, 2, 1)]

    assert found == [None, None, None]
    assert one.unreadable == 2
    assert one.bytes == 0
    assert len([record for record in caplog.records if "encryption_key" in record.message]) == 1
    await one.put(1, entry())
    await one.close()
    assert rows(tmp_path) == [1]


async def test_an_entry_in_the_place_of_another_is_a_miss(tmp_path: Path) -> None:
    before = backend(tmp_path)
    await before.put(1, entry(b"one"))
    await before.put(2, entry(b"two"))
    await before.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as connection, connection:
        connection.execute("UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE id = 2) WHERE id = 1")
    one = backend(tmp_path)

    assert await one.get(1) is None
    assert await one.get(2) == entry(b"two")
    assert one.unreadable == 1
    await one.close()


async def test_what_an_earlier_key_has_sealed_is_given(tmp_path: Path) -> None:
    earlier, later = Secret("the key of last year, which was long"), Secret("the key of this year, as long as it")
    before = backend(tmp_path, sealer=Sealer(earlier))
    await before.put(1, entry())
    await before.close()
    one = backend(tmp_path, sealer=Sealer(later, earlier=(earlier,)))

    assert await one.get(1) == entry()
    await one.close()


async def test_a_hit_in_memory_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[bytes] = []
    monkeypatch.setattr(SEALER, "open", lambda sealed, **_: opened.append(sealed))
    one = backend(tmp_path)
    await one.put(1, entry())
    await one._settle()

    assert await one.get(1) == entry()
    assert opened == []
    await one.close()


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def rows(folder: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(folder / "cache.db")) as connection:
        return [number for (number,) in connection.execute("SELECT id FROM entry ORDER BY id")]
