from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.segments import HEADER, JournalInUseError, Segments, framed


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    made = Segments(tmp_path)
    yield made
    made.close()


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_what_is_appended_is_read_in_order(segments: Segments) -> None:
    for record in (b"one", b"", b"\x00" * 5000):
        assert segments.append(framed(record))

    assert list(segments.records(1)) == [b"one", b"", b"\x00" * 5000]


def test_the_next_segment_grows_once_begun(segments: Segments) -> None:
    segments.append(framed(b"one"))

    assert segments.begin() is True
    segments.append(framed(b"two"))

    assert (segments.number, list(segments.records(1)), list(segments.records(2))) == (2, [b"one"], [b"two"])


def test_a_snapshot_replaces_the_segments_before_it(segments: Segments, tmp_path: Path) -> None:
    segments.append(framed(b"one"))
    segments.begin()
    segments.append(framed(b"two"))

    segments.replace(2, [b"as", b"it stood"])

    assert segments.snapshot(2) == (2, [b"as", b"it stood"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002.journal", "00000002.snapshot", "lock"]


def test_an_empty_snapshot_is_one(segments: Segments) -> None:
    segments.begin()

    segments.replace(2, [])

    assert segments.snapshot(9) == (2, [])


def test_without_a_snapshot_reading_begins_with_the_first_segment(segments: Segments) -> None:
    segments.begin()

    assert segments.snapshot(2) == (1, [])


def test_a_snapshot_that_is_not_whole_does_not_count(segments: Segments, tmp_path: Path) -> None:
    segments.begin()
    segments.replace(2, [b"good"])
    segments.begin()
    (tmp_path / "00000003.snapshot").write_bytes((tmp_path / "00000002.snapshot").read_bytes()[:-2])

    assert segments.snapshot(3) == (2, [b"good"])


def test_a_folder_is_made_private(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "a" / "b")

    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "a" / "b").iterdir())
    segments.close()


def test_a_folder_is_free_again_after_closing(tmp_path: Path) -> None:
    first = Segments(tmp_path)
    with pytest.raises(JournalInUseError):
        Segments(tmp_path)
    first.close()

    Segments(tmp_path).close()


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = open_files()
    segments = Segments(tmp_path)
    for number in range(5):
        segments.append(framed(b"x"))
        segments.begin()
        if number % 2:
            segments.sync()

    segments.close()
    segments.close()

    assert open_files() == before


def test_a_file_of_another_kind_leaves_the_folder_free(tmp_path: Path) -> None:
    (tmp_path / "00000001.journal").write_bytes(b"x" * 100)
    before = open_files()

    with pytest.raises(ValueError, match="no journal of this version"):
        Segments(tmp_path)

    assert open_files() == before


@pytest.mark.parametrize("length", range(len(HEADER) + 1))
def test_a_segment_whose_header_was_not_finished_is_begun_anew(tmp_path: Path, length: int) -> None:
    (tmp_path / "00000001.journal").write_bytes(HEADER[:length])
    segments = Segments(tmp_path)

    assert segments.append(framed(b"one"))
    assert list(segments.records(1)) == [b"one"]
    segments.close()


def test_a_segment_that_cannot_be_begun_leaves_the_old_one_growing(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(fd: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert segments.begin() is False
    monkeypatch.setattr(os, "write", write)

    assert segments.append(framed(b"one"))
    assert segments.begin() is True
    assert (segments.number, list(segments.records(1))) == (2, [b"one"])


def test_nothing_is_appended_while_a_torn_record_cannot_be_taken_back(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, truncate = os.write, os.ftruncate

    def refuse(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    segments.append(framed(b"one"))
    monkeypatch.setattr(os, "write", lambda fd, content: write(fd, content[:5]))
    monkeypatch.setattr(os, "ftruncate", refuse)
    assert segments.append(framed(b"two")) is False
    monkeypatch.setattr(os, "write", write)
    assert segments.append(framed(b"three")) is False
    monkeypatch.setattr(os, "ftruncate", truncate)

    assert segments.append(framed(b"four")) is True
    assert list(segments.records(1)) == [b"one", b"four"]
