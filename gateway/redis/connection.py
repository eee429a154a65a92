"""One connection to Redis for all tasks of an event loop: the calls of one tick share a pipeline.

While one pipeline is under way the calls of later ticks gather for the next, so the busier the gateway, the fewer its
writes and reads. When the connection is lost every call fails at once until another is made in the background; what
must not be lost waits in a backlog, which is sent before anything else.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import RedisAddress, open_connection, read_replies

MAX_PIPELINE: Final = 256
"""Calls in one pipeline: at about 0.1 ms a script, a tenth of the default command timeout."""

FIRST_PAUSE_S: Final = 0.1
"""How long every call fails at once after a failure, before a connection is tried."""

LONGEST_PAUSE_S: Final = 2.0
"""Between two tries, at most; each failure doubles the pause, and up to a quarter is taken off at random."""

CLOSE_S: Final = 2.0
"""How long `close` waits for what is still to be sent."""

# A server that answers one of these is there and cannot do its work. Before Redis 7 a script's error only names it.
_OUTAGES: Final = (
    AskError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_OUTAGE: Final = re.compile(r"(?:^|-|\s)(?:OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY|NOAUTH)\s")

Part = bytes | str | int


class Script(msgspec.Struct, frozen=True):
    """A script as Redis knows it.

    Attributes:
        sha: SHA-1 of the source in hexadecimal, the name EVALSHA takes.
    """

    source: bytes
    sha: str


def load_script(*paths: Path) -> Script:
    """Read a script that is written in one file or several, in this order."""
    source = b"\n".join(path.read_bytes() for path in paths)
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


def pack(*parts: Part) -> bytes:
    """Return a command as it is sent."""
    packed: bytes = pack_command(parts)  # type: ignore[arg-type]  # tuples of a narrower type are as good
    return packed


class _Call:
    """A command and who waits for its answer.

    Attributes:
        is_kept: it is sent even if nobody waits, and again after the connection was lost.
        is_sent: it may have arrived.
    """

    __slots__ = ("future", "is_kept", "is_sent", "packed")

    def __init__(self, packed: bytes, future: asyncio.Future[Any], *, is_kept: bool) -> None:
        self.packed, self.future, self.is_kept, self.is_sent = packed, future, is_kept, False


class RedisConnection:
    """Sends commands to one Redis, from one event loop.

    It connects with the first call, or with `open`.

    Args:
        address: where.
        scripts: those that commands may name; they are loaded with each connection and whenever Redis has lost them.
        slot_key: in a cluster, a key of the one slot that every command touches.
        command_timeout_s: longest silence within a pipeline, seconds, > 0.
        connect_timeout_s: for making a connection, seconds, > 0.
        max_backlog: commands kept while there is no connection; beyond it the oldest is dropped.

    Attributes:
        failures: how often a connection was lost or could not be made.
        dropped: kept commands that were given up: too many waited, or Redis refused them.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        scripts: Sequence[Script] = (),
        slot_key: str = "",
        command_timeout_s: float = 0.25,
        connect_timeout_s: float = 1.0,
        max_backlog: int = 10_000,
    ) -> None:
        self.failures = self.dropped = 0
        self._address, self._scripts, self._slot_key = address, tuple(scripts), slot_key
        self._command_timeout_s, self._connect_timeout_s = command_timeout_s, connect_timeout_s
        self._max_backlog = max_backlog
        self._connection: AbstractConnection | None = None
        self._queue: list[_Call] = []
        self._backlog: deque[bytes] = deque()
        self._under_way: list[_Call] = []
        self._pump: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._is_down = self._is_closed = False
        self._idle = asyncio.Event()

    def add_scripts(self, scripts: Iterable[Script]) -> None:
        """Let commands name further scripts."""
        self._scripts += tuple(scripts)

    @property
    def is_available(self) -> bool:
        """Tell whether calls are tried: not since the last failure, nor before the first connection."""
        return self._connection is not None and not self._is_down

    @property
    def queued(self) -> int:
        """Return how many kept commands wait for a connection."""
        return len(self._backlog)

    async def open(self) -> None:
        """Connect.

        Raises:
            StageUnavailableError: Redis does not answer; it is tried again in the background.
        """
        await self.call(pack("PING"))

    async def call(self, packed: bytes, *, undo: Callable[[], bytes] | None = None) -> Any:
        """Send a command and return its answer, bytes undecoded.

        Args:
            packed: the command.
            undo: makes the command that is kept and sent when this one may have been carried out but its answer
                reaches nobody: the caller was cancelled or the connection lost.

        Raises:
            StageUnavailableError: there is no connection, it was lost, or Redis refused the command.
        """
        if self._is_down or self._is_closed:
            raise self._unavailable()
        call = self._submit(packed, is_kept=False)
        try:
            return await call.future
        except (asyncio.CancelledError, StageUnavailableError):
            if undo is not None and call.is_sent:
                _ = self.keep(undo())
            raise

    def keep(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a command that must not be lost.

        It may arrive twice, so it must change nothing the second time.

        Returns:
            The answer to come; None when there is no connection and the command waits in the backlog.
        """
        if self._is_closed or self._is_down:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_result(None)
            self._put_off([packed])
            return future
        return self._submit(packed, is_kept=True).future

    async def close(self) -> None:
        """Send what waits, for `CLOSE_S` seconds at most, and disconnect; twice is harmless."""
        pump, self._is_closed = self._pump, True
        if pump is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._idle.wait()
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump
        self._pump = None
        await self._disconnect()

    def _submit(self, packed: bytes, *, is_kept: bool) -> _Call:
        loop = asyncio.get_running_loop()
        call = _Call(packed, loop.create_future(), is_kept=is_kept)
        self._queue.append(call)
        self._idle.clear()
        if self._pump is None:
            self._pump = loop.create_task(self._run(), name="redis")
        elif self._wake is not None:
            self._wake.set_result(None)  # the pump goes on once this tick's calls have all been added
            self._wake = None
        return call

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    await self._connect()
                    while True:
                        await self._next()
                        pause_s = FIRST_PAUSE_S
                except (RedisError, OSError, EOFError) as error:
                    await self._lose(error)
                await asyncio.sleep(pause_s * random.uniform(0.75, 1.0))  # noqa: S311  spreads replicas, guards nothing
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            self._is_down = True
            self._fail_calls(self._unavailable())

    async def _next(self) -> None:
        """Send what has gathered; wait when nothing has."""
        while not self._queue:
            self._idle.set()
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        if await self._has_ended():
            await self._disconnect()
            await self._connect()
        taken, self._queue = self._queue[:MAX_PIPELINE], self._queue[MAX_PIPELINE:]
        self._under_way = [call for call in taken if call.is_kept or not call.future.done()]
        if self._under_way:
            await self._send(self._under_way)
        self._under_way = []
        # Those who were just answered often call again at once; let them, so that they share the next pipeline too.
        await asyncio.sleep(0)

    async def _has_ended(self) -> bool:
        """Tell whether there is no connection any more, when nothing is under way: what can be read is its end."""
        try:
            return self._connection is None or await self._connection.can_read()
        except (RedisError, OSError, EOFError):
            return True

    async def _connect(self) -> None:
        """Make a connection, teach it the scripts, and send the backlog."""
        async with asyncio.timeout(self._connect_timeout_s):
            self._connection = await open_connection(
                self._address, slot_key=self._slot_key, connect_timeout_s=self._connect_timeout_s
            )
            await self._load_scripts()
        while self._backlog:
            calls = self._take_backlog()
            self._under_way = calls
            await self._send(calls)
            self._under_way = []
        self._is_down = False

    def _take_backlog(self) -> list[_Call]:
        loop = asyncio.get_running_loop()
        packed = [self._backlog.popleft() for _ in range(min(MAX_PIPELINE, len(self._backlog)))]
        return [_Call(one, loop.create_future(), is_kept=True) for one in packed]

    async def _send(self, calls: list[_Call]) -> None:
        """Send commands together and hand out the answers; those whose script was unknown are sent once more."""
        unknown = await self._exchange(calls)
        if unknown:
            async with asyncio.timeout(self._command_timeout_s):
                await self._load_scripts()
            for call in await self._exchange(unknown):
                self._refuse(call, self._unavailable())

    async def _exchange(self, calls: list[_Call]) -> list[_Call]:
        connection, unknown = self._connection, []
        assert connection is not None  # noqa: S101  made before anything is sent
        for call in calls:
            call.is_sent = True
        async with asyncio.timeout(self._command_timeout_s):
            await connection.send_packed_command([call.packed for call in calls], check_health=False)
            replies = await read_replies(connection, len(calls))
        for call, reply in zip(calls, replies, strict=True):
            if not isinstance(reply, Exception):
                if not call.future.done():
                    call.future.set_result(reply)
            elif isinstance(reply, NoScriptError):
                unknown.append(call)
            elif _is_outage(reply):
                raise reply
            else:
                self._refuse(call, self._unavailable(reply))
        return unknown

    async def _load_scripts(self) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101  made before anything is sent
        await connection.send_packed_command(
            [pack("SCRIPT", "LOAD", script.source) for script in self._scripts], check_health=False
        )
        for _ in self._scripts:
            await connection.read_response(disable_decoding=True)

    async def _lose(self, error: Exception) -> None:
        self.failures += 1
        self._is_down = True
        self._fail_calls(self._unavailable(error))
        await self._disconnect()

    def _fail_calls(self, error: StageUnavailableError) -> None:
        calls, self._queue, self._under_way = self._under_way + self._queue, [], []
        unanswered = [call for call in calls if call.is_kept and not _is_answered(call)]
        self._put_off([call.packed for call in unanswered], first=True)
        for call in calls:
            if not call.future.done():
                _end(call, error)
        if not self._backlog:
            self._idle.set()

    def _put_off(self, commands: Iterable[bytes], *, first: bool = False) -> None:
        if first:
            self._backlog.extendleft(reversed(list(commands)))
        else:
            self._backlog.extend(commands)
        while len(self._backlog) > self._max_backlog:
            self._backlog.popleft()
            self.dropped += 1
        if self._backlog:
            self._idle.clear()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(RedisError, OSError, TimeoutError):
                await connection.disconnect(nowait=True)

    def _refuse(self, call: _Call, error: StageUnavailableError) -> None:
        """Answer a call that Redis would not carry out, now or later."""
        self.dropped += call.is_kept
        if not call.future.done():
            _end(call, error)

    def _unavailable(self, error: Exception | None = None) -> StageUnavailableError:
        # Only the kind of the fault: what redis-py says may repeat what it was given.
        reason = "is out of reach" if error is None else f"failed ({type(error).__name__})"
        unavailable = StageUnavailableError(f"Redis at {self._address} {reason}")
        unavailable.__cause__ = error
        return unavailable


def _is_outage(error: Exception) -> bool:
    return not isinstance(error, ResponseError) or isinstance(error, _OUTAGES) or bool(_OUTAGE.search(str(error)))


def _end(call: _Call, error: StageUnavailableError) -> None:
    if call.is_kept:
        call.future.set_result(None)
    else:
        call.future.set_exception(error)


def _is_answered(call: _Call) -> bool:
    return call.future.done() and not call.future.cancelled()
