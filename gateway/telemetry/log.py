"""The request log: one JSON object a line."""

from __future__ import annotations

import select
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import msgspec

from gateway.telemetry.record import Record

_LOG_LINES: Final = 20_000
_LOG_FLUSH_S: Final = 0.25


_PIECE_BYTES: Final = 1 << 16
"""What is written at once where nobody else writes: a call costs more than copying so much."""


class LogWriter:
    """Writes records as JSON lines from a thread of its own, so that a slow reader never stops a request.

    Args:
        out: where lines go.
        is_shared: whether other processes write there too.
    """

    def __init__(self, out: BinaryIO, *, is_shared: bool = False) -> None:
        self._out = out
        self._piece_bytes = select.PIPE_BUF if is_shared else _PIECE_BYTES
        self._pending: deque[Record] = deque()
        self._stop = threading.Event()
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="tierway-log", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Queue a line; past 20,000 waiting lines it is dropped and counted."""
        if len(self._pending) >= _LOG_LINES:
            self.dropped += 1
        else:
            self._pending.append(record)

    def close(self) -> None:
        """Write what is queued and stop."""
        self._stop.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        encode = msgspec.json.Encoder().encode
        while not self._stop.wait(_LOG_FLUSH_S) or self._pending:
            lines: list[bytes] = []
            while self._pending and len(lines) < _LOG_LINES:
                lines.append(encode(self._pending.popleft()))
            if not lines:
                continue
            for piece in _pieces(lines, self._piece_bytes):
                try:
                    self._out.write(piece)
                    self._out.flush()
                except (OSError, ValueError):
                    self.dropped += piece.count(b"\n")


def _pieces(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield whole lines in pieces of at most so many bytes: what a pipe takes in one go, where several write to it.

    POSIX has a write of more than `PIPE_BUF` bytes mix with those of others; nearly every line is shorter.
    """
    piece = bytearray()
    for line in lines:
        if piece and len(piece) + len(line) >= most:
            yield bytes(piece)
            piece.clear()
        piece += line
        piece += b"\n"
    if piece:
        yield bytes(piece)


def standard_output() -> BinaryIO:
    """Return where the request log goes."""
    out: Any = sys.stdout
    return out.buffer  # type: ignore[no-any-return]
