"""Files of captures: sealed records one after the other, each bound to its place in its capture."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.capture.records import USE, Entry, Opening
from gateway.domain.secret import Secret
from gateway.sealing import Sealer

SUFFIX: Final = ".sealed"

_LENGTH: Final = struct.Struct(">I")
_ID: Final = re.compile(r"cap-[0-9a-f]{16}")


class UnreadableError(Exception):
    """A capture cannot be read: it is not there, damaged, or sealed with another key."""


def folder_of(state: str) -> Path | None:
    """Return where captures are kept beside a state file, None where the state is none.

    Args:
        state: `state` of the settings.
    """
    scheme, _, path = state.partition(":///")
    return Path(path).with_suffix(".captures") if scheme == "sqlite" else None


def sealer_of(key: Secret, earlier: Sequence[Secret] = ()) -> Sealer:
    """Return what seals and opens captures."""
    return Sealer(key, USE, earlier)


class CaptureFile:
    """Appends to the file of one capture. It is readable by its owner only.

    Args:
        folder: is made where it does not exist.
        opening: the first record, which is written at once.
        sealer: seals each record.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, opening: Opening, sealer: Sealer) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._sealer = sealer
        self._id = opening.id
        self._count = 0
        handle = os.open(folder / (opening.id + SUFFIX), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)
        try:
            self.append(opening)
        except OSError:
            self._file.close()
            raise

    def append(self, entry: Entry) -> None:
        """Write one record; blocks for the time of a write.

        Raises:
            OSError: it cannot be written. What was written of it is cut off again.
        """
        sealed = self._sealer.seal(msgspec.msgpack.encode(entry), about=_about(self._id, self._count))
        end = self._file.tell()
        piece = _LENGTH.pack(len(sealed)) + sealed
        try:
            if self._file.write(piece) != len(piece):
                raise OSError("a record was written in part")  # noqa: TRY301  as the system itself may say
        except OSError:
            self._file.truncate(end)
            raise
        self._count += 1

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_capture(folder: Path, capture_id: str, sealer: Sealer) -> Iterator[Entry]:
    """Yield the records of a capture, in order; a last one that is not whole, as of a killed process, is left out.

    Raises:
        UnreadableError: there is no such capture, or a record does not open.
    """
    if not _ID.fullmatch(capture_id):
        raise UnreadableError("that is not the id of a capture")
    try:
        with (folder / (capture_id + SUFFIX)).open("rb") as file:
            yield from _read(file.read, capture_id, sealer)
    except OSError as error:
        raise UnreadableError(f"it cannot be read ({error.strerror})") from error


def read_opening(folder: Path, capture_id: str, sealer: Sealer) -> Opening:
    """Return the first record of a capture. Raises what `read_capture` does."""
    first = next(read_capture(folder, capture_id, sealer), None)
    if not isinstance(first, Opening):
        raise UnreadableError("it does not begin as a capture does")
    return first


def capture_ids(folder: Path) -> list[str]:
    """Return the ids of the captures in a folder, oldest first; none where it does not exist."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.glob(f"cap-*{SUFFIX}") if _ID.fullmatch(path.stem)]
    return [path.stem for path in sorted(found, key=lambda path: (path.stat().st_mtime, path.stem))]


def _about(capture_id: str, index: int) -> bytes:
    """Return what a record is bound to: another order, or another capture, does not open."""
    return f"{capture_id}:{index}".encode()


def _read(read: Callable[[int], bytes], capture_id: str, sealer: Sealer) -> Iterator[Entry]:
    index = 0
    while len(head := read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        sealed = read(length)
        if len(sealed) < length:
            return
        plain = sealer.open(sealed, about=_about(capture_id, index))
        if plain is None:
            raise UnreadableError("it was sealed with another encryption key, or is damaged")
        yield msgspec.msgpack.decode(plain, type=Entry)
        index += 1
