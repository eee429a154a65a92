from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.sqlite.file import DURABLE, Connection, SqliteFile, SqliteView

MIGRATIONS = ("CREATE TABLE one (n INTEGER) STRICT;", "CREATE TABLE two (n INTEGER) STRICT;")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteFile]:
    made = SqliteFile(path, MIGRATIONS)
    yield made
    made.close()


def add(connection: Connection, n: int) -> None:
    connection.execute("INSERT INTO one VALUES (?)", (n,))


def told(file: SqliteView, query: str) -> object:
    return file.rows(query)[0][0]


def test_a_file_is_made_when_something_is_written_and_is_its_owners(file: SqliteFile, path: Path) -> None:
    assert file.rows("SELECT n FROM one") == []
    assert not path.exists()

    file.transact(lambda connection: add(connection, 1))

    assert path.stat().st_mode & 0o777 == 0o600
    assert file.rows("SELECT n FROM one WHERE n = ?", (1,)) == [(1,)]


def test_a_file_forgets_and_keeps_its_log_apart(file: SqliteFile) -> None:
    file.transact(lambda connection: add(connection, 1))

    pragmas = ("journal_mode", "synchronous", "secure_delete", "user_version")
    assert [told(file, f"PRAGMA {pragma}") for pragma in pragmas] == ["wal", 1, 1, 2]


def test_a_durable_file_waits_for_the_disk(path: Path) -> None:
    file = SqliteFile(path, MIGRATIONS, pragmas=DURABLE)
    file.transact(lambda connection: add(connection, 1))

    assert told(file, "PRAGMA synchronous") == 2
    file.close()


def test_a_file_of_an_earlier_version_is_led_to_this_one(path: Path) -> None:
    before = SqliteFile(path, MIGRATIONS[:1])
    before.transact(lambda connection: add(connection, 1))
    before.close()
    after = SqliteFile(path, MIGRATIONS)

    assert after.rows("SELECT (SELECT max(n) FROM one), (SELECT count(*) FROM two)") == [(1, 0)]
    after.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")

    for one in (SqliteFile(path, MIGRATIONS), SqliteView(path, 2)):
        with pytest.raises(sqlite3.DatabaseError, match="newer"):
            one.rows("SELECT 1")


@pytest.mark.parametrize("contents", [b"", b"no database, but long enough to be read as one" * 100])
def test_what_can_be_made_again_is_begun_anew(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    file = SqliteFile(path, MIGRATIONS)

    assert file.rows_or_anew("SELECT n FROM one") == []
    file.transact(lambda connection: add(connection, 1))
    assert file.rows_or_anew("SELECT n FROM one") == [(1,)]
    file.close()


def test_a_locked_file_is_not_begun_anew(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.transact(lambda connection: add(connection, 1))

    with pytest.raises(sqlite3.OperationalError):
        file.rows_or_anew("SELECT n FROM none_of_it")

    assert file.rows("SELECT n FROM one") == [(1,)]


def test_a_transaction_is_carried_out_whole_or_not_at_all(file: SqliteFile) -> None:
    def fail(connection: Connection) -> None:
        add(connection, 1)
        raise sqlite3.OperationalError("the disk is full")

    with pytest.raises(sqlite3.OperationalError):
        file.transact(fail)

    assert file.rows("SELECT n FROM one") == []


def test_what_is_counted_is_counted_again_after_a_failure(path: Path) -> None:
    counted: list[int] = []
    file = SqliteFile(
        path, MIGRATIONS, on_open=lambda one: counted.extend(one.execute("SELECT count(*) FROM one").fetchone())
    )
    file.transact(lambda connection: add(connection, 1))
    with pytest.raises(sqlite3.OperationalError):
        file.rows("SELECT n FROM none_of_it")

    file.transact(lambda connection: add(connection, 2))

    assert counted == [0, 1]
    file.close()


def test_a_folder_that_is_not_there_fails_until_it_is(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "later" / "some.db", MIGRATIONS)
    with pytest.raises(OSError, match="No such file"):
        file.transact(lambda connection: add(connection, 1))
    (tmp_path / "later").mkdir()

    file.transact(lambda connection: add(connection, 1))

    assert file.rows("SELECT n FROM one") == [(1,)]
    file.close()


def test_a_view_reads_what_was_written_and_writes_nothing(file: SqliteFile, path: Path) -> None:
    view = SqliteView(path, 2)
    assert view.rows("SELECT n FROM one") == []
    file.transact(lambda connection: add(connection, 1))

    assert view.rows("SELECT n FROM one") == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        view.rows("INSERT INTO one VALUES (2)")


def test_a_view_finds_nothing_before_the_tables_are_made(path: Path) -> None:
    path.touch()

    assert SqliteView(path, 2).rows("SELECT n FROM one") == []
    assert path.stat().st_size == 0
