from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.capture.file import (
    SUFFIX,
    CaptureFile,
    UnreadableError,
    capture_ids,
    folder_of,
    read_capture,
    read_opening,
    sealer_of,
)
from gateway.capture.records import Captured, Closing, Opening
from gateway.domain.secret import Secret

KEY = Secret("an-encryption-key-0123456789")
ID = "cap-0123456789abcdef"
OPENING = Opening(id=ID, key="t/k", reason="ticket 12345", by="admin:1", started_at=1.0, ends_at=61.0)
MARKER = b"marker-of-the-prompt"
EXCHANGE = Captured(at=2.0, request_id="r", route="chat", status=200, request=MARKER, answer=b"\xff" + MARKER)
CLOSING = Closing(at=3.0, kept=1, dropped=0, ended="time")


def write(folder: Path, *entries: Captured | Closing) -> Path:
    file = CaptureFile(folder, OPENING, sealer_of(KEY))
    for entry in entries:
        file.append(entry)
    file.close()
    return folder / (ID + SUFFIX)


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    write(tmp_path, EXCHANGE, CLOSING)

    assert list(read_capture(tmp_path, ID, sealer_of(KEY))) == [OPENING, EXCHANGE, CLOSING]


def test_file_holds_nothing_readable_and_is_its_owners(tmp_path: Path) -> None:
    path = write(tmp_path / "new", EXCHANGE)

    raw = path.read_bytes()
    assert MARKER not in raw
    assert b"ticket" not in raw
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    write(tmp_path, EXCHANGE)

    with pytest.raises(UnreadableError, match="another encryption key"):
        read_opening(tmp_path, ID, sealer_of(Secret("another-key-0123456789")))


def test_records_in_another_order_do_not_open(tmp_path: Path) -> None:
    path = write(tmp_path, EXCHANGE, EXCHANGE)
    raw = path.read_bytes()
    first = 4 + int.from_bytes(raw[:4], "big")
    second = first + 4 + int.from_bytes(raw[first : first + 4], "big")
    path.write_bytes(raw[:first] + raw[second:] + raw[first:second])

    with pytest.raises(UnreadableError):
        list(read_capture(tmp_path, ID, sealer_of(KEY)))


def test_records_of_another_capture_do_not_open(tmp_path: Path) -> None:
    path = write(tmp_path, EXCHANGE)
    other = "cap-fedcba9876543210"
    path.rename(tmp_path / (other + SUFFIX))

    with pytest.raises(UnreadableError):
        read_opening(tmp_path, other, sealer_of(KEY))


@pytest.mark.parametrize("missing", [1, 20])
def test_record_that_a_killed_process_left_in_part_is_left_out(tmp_path: Path, missing: int) -> None:
    path = write(tmp_path, EXCHANGE, CLOSING)
    path.write_bytes(path.read_bytes()[:-missing])

    assert list(read_capture(tmp_path, ID, sealer_of(KEY))) == [OPENING, EXCHANGE]


@pytest.mark.parametrize("capture_id", ["../tierway", "cap-0123456789abcdef/../x", "", "cap-0123456789ABCDEF"])
def test_id_that_is_none_reads_nothing(tmp_path: Path, capture_id: str) -> None:
    with pytest.raises(UnreadableError, match="not the id"):
        list(read_capture(tmp_path, capture_id, sealer_of(KEY)))


def test_capture_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be read"):
        list(read_capture(tmp_path, ID, sealer_of(KEY)))


def test_only_captures_are_listed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "audit.log").touch()
    (tmp_path / "cap-x.sealed").touch()

    assert capture_ids(tmp_path) == [ID]
    assert capture_ids(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("state", "folder"),
    [
        ("sqlite:///tierway.db", Path("tierway.captures")),
        ("sqlite:////var/lib/x.db", Path("/var/lib/x.captures")),
        ("redis://host:6379/0", None),
    ],
)
def test_captures_lie_beside_a_state_file(state: str, folder: Path | None) -> None:
    assert folder_of(state) == folder


def test_record_shows_no_content_when_it_is_printed() -> None:
    assert "marker" not in repr(EXCHANGE)
