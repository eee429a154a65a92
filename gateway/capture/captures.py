"""The captures that run: begun and ended by operators, filled by requests, bounded in every way."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import msgspec

from gateway.capture.audit import AuditLine, moment, write_audit
from gateway.capture.file import SUFFIX, CaptureFile, capture_ids, sealer_of
from gateway.capture.records import Captured, Closing, Opening
from gateway.capture.stream import MOST_ANSWER_BYTES, CapturedStream
from gateway.domain.errors import InvalidRequestError, NotFoundError, StageUnavailableError
from gateway.domain.secret import Secret
from gateway.exchange import Exchange
from gateway.telemetry import Metric, counter, gauge
from gateway.upstreams.base import PlainReply, StreamReply

log = logging.getLogger("tierway")

_T = TypeVar("_T")

MOST_MINUTES: Final = 240
MOST_RUNNING: Final = 4
"""Captures at once. It is a means for one case, not for watching everybody."""

MOST_RECORDS: Final = 1000
MOST_BYTES: Final = 64 << 20
"""Exchanges of one capture, and bytes of them; what comes after is dropped and counted."""

MOST_EXCHANGE_BYTES: Final = 4 << 20
"""Of one exchange; a longer one is dropped and counted."""

MOST_WAITING_BYTES: Final = 16 << 20
"""Bytes that wait to be written; what comes while so many do is dropped and counted."""

KEEP_S: Final = 7 * 86_400.0
"""Seconds after which the file of a capture is deleted."""


class Running(msgspec.Struct):
    """A capture that runs.

    Attributes:
        kept, dropped: exchanges.
        size: bytes of those that were kept.
    """

    opening: Opening
    kept: int = 0
    dropped: int = 0
    size: int = 0


class Captures:
    """Keeps the exchanges of the keys that captures run for; costs one look at `is_on` while none does.

    Args:
        folder: where their files are; None where there is nowhere to put them.
        key: the settings' `encryption_key`; without it nothing can be captured.
        clock: seconds since the epoch.

    Attributes:
        is_on: whether any capture runs.
        dropped: exchanges that were not kept, of all captures.
    """

    def __init__(self, folder: Path | None, key: Secret | None, clock: Callable[[], float] = time.time) -> None:
        self.is_on = False
        self.dropped = 0
        self._folder, self._key, self._clock = folder, key, clock
        self._running: dict[str, Running] = {}
        self._files: dict[str, CaptureFile] = {}
        self._streams: dict[str, CapturedStream] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._waiting_bytes = 0
        self._lock = Lock()

    @property
    def running(self) -> list[Running]:
        """Return the captures that run, oldest first."""
        self._end_those_over()
        return list(self._running.values())

    async def start(self, key: str, minutes: float, reason: str, by: str) -> Running:
        """Begin a capture for one key.

        Args:
            key: `team/name`, which exists.
            minutes: for which it runs, more than 0.
            reason: why.
            by: who asks.

        Raises:
            InvalidRequestError: nothing can be captured here, the key has one already, or too many run.
            StageUnavailableError: its file cannot be written.
        """
        folder, encryption_key = self._place()
        self._end_those_over()
        if any(one.opening.key == key for one in self._running.values()):
            raise InvalidRequestError("A capture runs for this key already.", code="capture_running", param="key")
        if len(self._running) >= MOST_RUNNING:
            raise InvalidRequestError(f"{MOST_RUNNING} captures run already; end one.", code="too_many_captures")
        now = self._clock()
        opening = Opening(
            id=f"cap-{secrets.token_hex(8)}",
            key=key,
            reason=reason,
            by=by,
            started_at=now,
            ends_at=now + minutes * 60,
        )
        running = self._running[opening.id] = Running(opening)
        try:
            self._files[opening.id] = await self._in_thread(self._open, folder, opening, encryption_key)
        except OSError as error:
            self._running.pop(opening.id, None)
            raise StageUnavailableError("the capture's file cannot be written") from error
        if opening.id in self._running:
            self.is_on = True
        else:  # it was ended before it had begun
            self._worker().submit(self._close_file, running, "operator")
        return running

    async def end(self, capture_id: str, by: str) -> None:
        """End a capture; what it has kept stays.

        Raises:
            NotFoundError: no capture of that id runs.
            StageUnavailableError: that it was ended cannot be written down; it has ended all the same.
        """
        self._end_those_over()
        running = self._running.get(capture_id)
        if running is None or self._folder is None:
            raise NotFoundError("No capture of that id runs.")
        self._end(running, "operator")
        try:
            await self._in_thread(write_audit, self._folder, self._line("end", by, running.opening))
        except OSError as error:
            raise StageUnavailableError("the audit line cannot be written") from error

    def follow(self, exchange: Exchange, stream: StreamReply) -> StreamReply:
        """Return a stream whose events are kept, where a capture runs for its caller."""
        if self._of(exchange) is None:
            return stream
        kept = self._streams[exchange.hold_id] = CapturedStream(stream)
        return kept

    def take(self, exchange: Exchange) -> None:
        """Keep an exchange that has ended, where a capture runs for its caller. Never waits."""
        stream = self._streams.pop(exchange.hold_id, None)
        running = self._of(exchange)
        if running is None:
            return
        captured = _captured(exchange, stream, self._clock())
        size = len(captured.request) + len(captured.answer)
        is_full = running.kept >= MOST_RECORDS or running.size + size > MOST_BYTES
        if is_full or size > MOST_EXCHANGE_BYTES or self._waiting_bytes + size > MOST_WAITING_BYTES:
            self._drop(running)
            return
        with self._lock:
            running.kept += 1
            running.size += size
            self._waiting_bytes += size
        self._worker().submit(self._write, running, captured, size)

    def gauges(self) -> Iterator[Metric]:
        """Yield how many captures run, and what they could not keep; nothing while there was none."""
        if self._thread is not None:
            yield gauge("tierway_captures", "Captures that run.", "state", {"running": float(len(self._running))})
            dropped = {"dropped": float(self.dropped)}
            yield counter("tierway_capture_dropped", "Exchanges that a capture could not keep.", "result", dropped)

    async def sweep(self) -> None:
        """Delete files of captures that have been kept long enough."""
        if self._folder is not None:
            await asyncio.to_thread(delete_old, self._folder, self._clock() - KEEP_S)

    async def close(self) -> None:
        """End every capture and write what waits to be written."""
        for running in list(self._running.values()):
            self._end(running, "stop")
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)

    def _place(self) -> tuple[Path, Secret]:
        if self._key is None:
            message = "Nothing is captured without 'encryption_key' in the settings: what is kept is sealed with it."
            raise InvalidRequestError(message, code="capture_needs_key")
        if self._folder is None:
            message = "Captures are kept beside a state file; a gateway whose state is on Redis has none yet."
            raise InvalidRequestError(message, code="capture_needs_file")
        return self._folder, self._key

    def _of(self, exchange: Exchange) -> Running | None:
        caller = exchange.caller
        if caller is None:
            return None
        self._end_those_over()
        path = caller.path
        return next((one for one in self._running.values() if one.opening.key == path), None)

    def _end_those_over(self) -> None:
        now = self._clock()
        for running in list(self._running.values()):
            if now >= running.opening.ends_at:
                self._end(running, "time")

    def _end(self, running: Running, how: str) -> None:
        del self._running[running.opening.id]
        self.is_on = bool(self._running)
        self._worker().submit(self._close_file, running, how)

    def _open(self, folder: Path, opening: Opening, key: Secret) -> CaptureFile:
        delete_old(folder, self._clock() - KEEP_S)
        write_audit(folder, self._line("start", opening.by, opening))
        return CaptureFile(folder, opening, sealer_of(key))

    def _write(self, running: Running, captured: Captured, size: int) -> None:
        try:
            self._files[running.opening.id].append(captured)
            is_written = True
        except (OSError, KeyError):
            is_written = False
        with self._lock:
            self._waiting_bytes -= size
            running.kept -= not is_written
        if not is_written:
            self._drop(running)

    def _close_file(self, running: Running, how: str) -> None:
        file = self._files.pop(running.opening.id, None)
        if file is None:
            return
        try:
            file.append(Closing(at=self._clock(), kept=running.kept, dropped=running.dropped, ended=how))
        except OSError:
            log.warning("capture %s: its end could not be written", running.opening.id)
        file.close()

    def _drop(self, running: Running) -> None:
        with self._lock:
            running.dropped += 1
            self.dropped += 1

    def _line(self, did: str, by: str, opening: Opening) -> AuditLine:
        at = moment(self._clock())
        return AuditLine(at=at, did=did, by=by, capture=opening.id, key=opening.key, reason=opening.reason)

    async def _in_thread(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Have the one thread that writes do something, after all that waits there."""
        return await asyncio.get_running_loop().run_in_executor(self._worker(), partial(work, *arguments))

    def _worker(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "capture")
        return self._thread


def delete_old(folder: Path, before: float) -> None:
    """Delete files of captures that nothing was added to since a moment.

    Args:
        before: seconds since the epoch.
    """
    for capture_id in capture_ids(folder):
        path = folder / (capture_id + SUFFIX)
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


def _captured(exchange: Exchange, stream: CapturedStream | None, now: float) -> Captured:
    request, reply, error = exchange.request, exchange.reply, exchange.error
    answer, is_cut = b"", False
    if stream is not None:
        answer, is_cut = stream.kept, stream.is_cut
    elif isinstance(reply, PlainReply) and error is None:
        answer, is_cut = reply.body[:MOST_ANSWER_BYTES], len(reply.body) > MOST_ANSWER_BYTES
    return Captured(
        at=now,
        request_id=exchange.request_id,
        route=exchange.route,
        status=exchange.status,
        model=request.model[:100] if request else "",
        routed_model=exchange.routed_model,
        request=request.body if request else b"",
        answer=answer,
        is_cut=is_cut,
        code=(error.code or "") if error else "",
    )
