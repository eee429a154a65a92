"""Numbered files that only grow, and snapshots that replace them: what a journal is kept in.

A folder holds segments. `00000007.journal` is what happened, one record after the other; `00000007.snapshot` is how
everything stood before it. A record is its length and its CRC-32 (4 bytes each, little-endian), then its bytes. What
follows the first record that is not whole was never acknowledged, and is cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

HEADER: Final = b"tierway journal 1\n"
"""The first bytes of every file."""

_FRAME: Final = struct.Struct("<II")
_COUNT: Final = struct.Struct("<Q")


class JournalInUseError(Exception):
    """Another store, here or in another process, writes to the folder."""


class Segments:
    """The files of one folder. The thread that appends also begins segments; any other may sync and write snapshots.

    Args:
        folder: made if it is not there.

    Attributes:
        number: of the segment that grows.
        size: of that segment, in bytes.
        cut_bytes: how many bytes after the last whole record were cut off when the folder was opened.

    Raises:
        JournalInUseError: the folder is in use.
        OSError: the folder cannot be written.
        ValueError: a file is of another kind or a later version.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._guard = threading.Lock()
        self._fd: int | None = None
        self._ended: list[int] = []
        self._is_torn = self._is_dirty = False
        self.number = self.size = self.cut_bytes = 0
        self._lock = _lock(folder / "lock")
        try:
            numbers = self._numbers("journal")
            self._continue(numbers[-1] if numbers else max(self._numbers("snapshot"), default=1))
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, record: bytes) -> bool:
        """Write a framed record, or several; False when they are not written, none of them.

        A record that was written in part is taken back, at once or before the next.
        """
        if self._fd is None or (self._is_torn and not self._mend()):
            return False
        try:
            written = os.write(self._fd, record)
        except OSError:
            return False
        if written == len(record):
            self.size += written
            self._is_dirty = True
            return True
        self._is_torn = True
        self._mend()
        return False

    def begin(self) -> bool:
        """Let the next segment grow; False when it cannot be made, and this one goes on."""
        path = self._path(self.number + 1, "journal")
        fd = self._make(path) if self._fd is not None else None
        if fd is None or self._fd is None:
            return False
        with self._guard:
            self._ended.append(self._fd)
            self._fd = fd
        self.number, self.size, self._is_torn, self._is_dirty = self.number + 1, len(HEADER), False, True
        return True

    def sync(self) -> None:
        """Have the disk write down what was appended, and close the segments that have ended.

        Raises:
            OSError: it could not.
        """
        with self._guard:
            ended, self._ended = self._ended, []
            # The segment may end and be closed while the disk is busy.
            growing = os.dup(self._fd) if self._fd is not None and self._is_dirty else None
            self._is_dirty = False
        _sync_and_close(ended if growing is None else [*ended, growing])
        if ended:
            self._sync_folder()

    def snapshot(self, highest: int) -> tuple[int, list[bytes]]:
        """Return the newest whole snapshot with a number up to `highest`: that number, and its records.

        Where there is none, the number is the first segment's.
        """
        for number in reversed(self._numbers("snapshot")):
            count, *records = [record for record, _ in _records(self._path(number, "snapshot"))] or [b""]
            if number <= highest and count == _COUNT.pack(len(records)):
                return number, records
        return min(self._numbers("journal"), default=highest), []

    def records(self, number: int) -> Iterator[bytes]:
        """Read the whole records of a segment, oldest first."""
        return (record for record, _ in _records(self._path(number, "journal")))

    def replace(self, number: int, snapshot: Sequence[bytes]) -> None:
        """Keep how everything stood before a segment, and remove what it stands for.

        Raises:
            OSError: it could not be written; nothing was removed.
        """
        path = self._path(number, "snapshot")
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(HEADER + framed(_COUNT.pack(len(snapshot))))
            file.writelines(framed(record) for record in snapshot)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        self._sync_folder()
        for kind in ("journal", "snapshot"):
            for old in self._numbers(kind):
                if old < number:
                    self._path(old, kind).unlink(missing_ok=True)

    def close(self) -> None:
        """Sync, close and let others in; twice is harmless."""
        if self._fd is None:
            return
        try:
            self.sync()
        finally:
            with self._guard:
                fd, self._fd = self._fd, None
            os.close(fd)
            os.close(self._lock)

    def _continue(self, number: int) -> None:
        """Open a segment where its last whole record ends."""
        path = self._path(number, "journal")
        end = max((end for _, end in _records(path)), default=len(HEADER)) if path.exists() else 0
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        written = os.fstat(self._fd).st_size
        if written < len(HEADER):
            os.ftruncate(self._fd, 0)
            os.write(self._fd, HEADER)
            end = written = len(HEADER)
        self.number, self.size, self.cut_bytes = number, end, written - end
        if self.cut_bytes:
            os.ftruncate(self._fd, end)
        for draft in self._folder.glob("*.draft"):
            draft.unlink()
        self._sync_folder()

    def _make(self, path: Path) -> int | None:
        """Make a file with its header; None when that cannot be done."""
        try:
            fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            if os.write(fd, HEADER) == len(HEADER):
                return fd
        os.close(fd)
        return None

    def _mend(self) -> bool:
        assert self._fd is not None  # noqa: S101  the caller looked
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            return False
        self._is_torn = False
        return True

    def _numbers(self, kind: str) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob(f"*.{kind}") if path.stem.isdecimal())

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:08d}.{kind}"

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def framed(record: bytes) -> bytes:
    """Put length and checksum before a record."""
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


def _records(path: Path) -> Iterator[tuple[bytes, int]]:
    """Read the whole records of a file, each with the offset at which it ends; none where it does not exist."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    if not content.startswith(HEADER):
        if HEADER.startswith(content):
            return  # the process ended while it made the file
        raise ValueError(f"{path.name} is no journal of this version")
    at = len(HEADER)
    while at + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, at)
        end = at + _FRAME.size + length
        record = content[at + _FRAME.size : end]
        if end > len(content) or zlib.crc32(record) != checksum:
            return
        yield record, end
        at = end


def _sync_and_close(fds: list[int]) -> None:
    errors = []
    for fd in fds:
        try:
            os.fsync(fd)
        except OSError as error:
            errors.append(error)
        finally:
            os.close(fd)
    if errors:
        raise errors[0]


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise JournalInUseError(f"{path.parent.name} is in use by another process") from error
    return fd
