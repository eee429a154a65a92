"""What all workers have counted, for whichever is asked: each tells it on a socket, and leaves it behind at its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from gateway.edge.workers.assignment import Assignment
from gateway.telemetry import Telemetry
from gateway.telemetry.merging import Ended, Tally, as_families, exposition, lay_aside, merge

PATIENCE_S: Final = 1.0
"""Seconds another worker gets to answer; one that takes longer is left out. Scrapers wait for 10 by default."""

MAX_BYTES: Final = 64 * 2**20
"""The longest answer of a worker: a thousand times what 50 models and 50 teams come to."""

_ENDED: Final = "ended"

log = logging.getLogger("tierway")

_encode = msgspec.msgpack.Encoder().encode
_read_tally = msgspec.msgpack.Decoder(Tally).decode
_read_ended = msgspec.msgpack.Decoder(Ended).decode


class Tallies:
    """The counts of every worker, as one of them sees them.

    Args:
        assignment: whose place this is.
        telemetry: its own counts.
    """

    def __init__(self, assignment: Assignment, telemetry: Telemetry) -> None:
        self._assignment = assignment
        self._telemetry = telemetry
        self._folder = Path(assignment.folder)
        self._reading = asyncio.Lock()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Answer other workers; at the end leave the last counts behind, before answering ends.

        In this order somebody who finds the socket closed finds the counts left behind.
        """
        path = self._assignment.tally_socket()
        server = await asyncio.start_unix_server(self._answer, path)
        self._telemetry.read_with(self.read)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the folder is gone when the supervisor is
                _replace(self._assignment.last_tally(), _encode(self._own()))
            server.close()
            path.unlink(missing_ok=True)

    async def read(self) -> bytes:
        """Return the metrics of all workers in Prometheus's text format.

        One reading goes on at a time. Counts of a worker that does not answer within `PATIENCE_S` are missing.
        """
        async with self._reading:
            own = self._assignment.tally_socket()
            paths = [path for path in self._folder.glob("*.sock") if path != own]
            asked = await asyncio.gather(*map(_ask, paths))
            running = [self._own(), *(tally for tally in asked if tally is not None)]
            return await asyncio.to_thread(self._merged, running)

    def _merged(self, running: Sequence[Tally]) -> bytes:
        top_n = self._telemetry.label_top_n
        answered = {tally.number for tally in running}
        left_behind = [tally for tally in _left_behind(self._folder) if tally.number not in answered]
        ended = lay_aside(left_behind, _ended(self._folder), label_top_n=top_n)
        return exposition(merge(running, ended, label_top_n=top_n))

    def _own(self) -> Tally:
        return Tally(self._assignment.number, self._assignment.slot, as_families(self._telemetry.families()))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell another worker; it asks by connecting."""
        del reader
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                writer.write(_encode(self._own()))
                await writer.drain()
        writer.close()


async def _ask(path: Path) -> Tally | None:
    """Return what the worker at a socket has counted; None when it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return _read_tally(await _read(reader))
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError) as error:
        if not isinstance(error, FileNotFoundError | ConnectionRefusedError):  # as of one that has just ended
            log.warning("worker %s does not tell what it has counted: %s", path.stem, type(error).__name__)
        return None


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read to the end, within bounds."""
    data = bytearray()
    while len(data) <= MAX_BYTES and (piece := await reader.read(2**16)):
        data += piece
    return bytes(data)


def fold(folder: Path, *, label_top_n: int) -> None:
    """Add what ended workers have left behind to that of those before them, so that it does not grow.

    Only the supervisor does this. A reader sees each worker once whenever it looks: it reads the parts before the
    whole, and the whole says who is in it before their parts are removed.

    Raises:
        OSError: nothing could be written; the parts are still there.
    """
    tallies = list(_left_behind(folder))
    if tallies:
        _replace(folder / _ENDED, _encode(lay_aside(tallies, _ended(folder), label_top_n=label_top_n)))
        for tally in tallies:
            (folder / f"{tally.number}.tally").unlink(missing_ok=True)


def _left_behind(folder: Path) -> Iterator[Tally]:
    for path in sorted(folder.glob("*.tally")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield _read_tally(path.read_bytes())


def _ended(folder: Path) -> Ended:
    try:
        return _read_ended((folder / _ENDED).read_bytes())
    except (OSError, msgspec.DecodeError):
        return Ended()


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole: who reads it meanwhile sees the one before."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_bytes(content)
    scratch.replace(path)
