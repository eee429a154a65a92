from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cache.base import Entry, Selection
from cache.entry_file import EntryFile, EntryWriter
from gateway.domain.usage import NO_USAGE
from tests.support.sealed import SEALER


def entry(**fields: object) -> Entry:
    return Entry(**{"body": b"{}", "usage": NO_USAGE, "answered_model": "m", "stored_at": 0.0, **fields})  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_read_as_empty_and_not_made(tmp_path: Path) -> None:
    file = EntryFile(tmp_path / "cache.db", SEALER)

    assert file.get(1) is None
    assert not (tmp_path / "cache.db").exists()


def test_a_reader_sees_what_a_writer_has_committed(tmp_path: Path) -> None:
    writer, reader = EntryWriter(tmp_path / "cache.db", SEALER), EntryFile(tmp_path / "cache.db", SEALER)

    writer.write({1: entry(scope=b"s"), 2: entry()}, (), 0.0)

    assert reader.get(1) == entry(scope=b"s")
    assert writer.select(Selection(scope=b"s")) == [1]
    writer.close()
    reader.close()


def test_a_reader_makes_no_tables(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "cache.db").close()
    (tmp_path / "cache.db").touch()

    assert EntryFile(tmp_path / "cache.db", SEALER).get(1) is None
    assert (tmp_path / "cache.db").stat().st_size == 0


def test_sizes_come_by_use(tmp_path: Path) -> None:
    writer = EntryWriter(tmp_path / "cache.db", SEALER)
    writer.write({number: entry(body=b"x" * number) for number in (1, 2, 3)}, (), 0.0)
    writer.write({}, (1,), 0.0)

    sizes, total = writer.sizes()

    assert list(sizes.items()) == [(2, 514), (3, 515), (1, 513)]
    assert total == 1542
    writer.close()


def test_a_write_tells_what_it_dropped_as_expired(tmp_path: Path) -> None:
    writer = EntryWriter(tmp_path / "cache.db", SEALER)

    assert writer.write({1: entry(expires_at=5.0), 2: entry(expires_at=6.0)}, (), 5.0) == [1]
    assert writer.get(1) is None
    assert writer.get(2) is not None
    writer.close()


def test_a_write_that_fails_changes_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    writer = EntryWriter(tmp_path / "cache.db", SEALER)
    writer.write({1: entry()}, (), 0.0)

    with pytest.raises(OverflowError):
        writer.write({2: entry(), 2**70: entry()}, (), 0.0)

    assert writer.get(2) is None
    assert writer.write({3: entry()}, (), 0.0) == []
    writer.close()
