"""Two thousand slow and half-open connections at once: whoever else asks must not notice, and all of them must end.

`make soak-sockets` runs it, in about four minutes. Requests at a modest rate are timed in turns without the slow
connections and with them. The 99th percentile is that of all turns together: a turn of 1,000 requests has ten beyond
it, which one pause of a busy machine can fill. The last slow connections are left to the gateway, which must end
each within its time.

Slow callers are on other people's machines in reality. Here they, and the upstream of those who do not read, have a
process of their own that gives way to every other. Where the system lets processes choose their cores, and there are
two or more, the gateway has one to itself; the timed callers, their upstream and the slow connections share the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import multiprocessing
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import uvloop

from bench.load import quantile_ms, request
from bench.process import KEY, rss_mb, upstream
from gateway.edge.server import STALL_S
from gateway.edge.wire_limits import LINGER_S
from gateway.settings import ServerSettings
from tests.support.live import LiveGateway
from tests.support.scripted_upstream import chunk, events, head

LATENCY_SHARE: Final = 0.20
"""How much longer the 99th percentile may be with the slow connections than without."""

KILOBYTES_EACH: Final = 320.0
"""The most a slow connection may add to the process, on average; streams that nobody reads are nearly all of it."""

_CALLERS: Final = 8
_PER_SECOND: Final = 200.0
_SETTLE_S: Final = 1.0
_SPARE_S: Final = 3.0
_LEAST_WILLING: Final = 19
_DRIP_S: Final = 1.0
_OFFSETS: Final = itertools.count(step=0.618)
_READER_BYTES: Final = 4096
"""What the kernel takes in for a caller who does not read, about."""


class Kind(msgspec.Struct, frozen=True):
    """A way to be slow.

    Attributes:
        first: what is sent at once.
        drip: what is sent byte after byte, one a second.
        lasts_s: within which the gateway must end it.
        reads: whether anything is read.
    """

    name: str
    first: bytes
    drip: bytes
    lasts_s: float
    reads: bool = True


class Round(msgspec.Struct, frozen=True):
    """Latencies without and with the slow connections, in seconds; megabytes before and with them."""

    without: list[float]
    beside: list[float]
    before_mb: float
    beside_mb: float


class Ending(msgspec.Struct, frozen=True):
    """How the connections of a kind ended.

    Attributes:
        connections: how many there were.
        lasted_s: the longest that the gateway let one live.
        late: how many outlived their time.
    """

    connections: int
    lasted_s: float
    late: int


def main() -> int:
    """Run the rounds; exit 1 when requests were slower or failed, memory grew, or a connection outlived its time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000, help="slow ones at once (default: 2000)")
    parser.add_argument("--rounds", type=int, default=7, help="turns without and with them (default: 7)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each turn, up to 6 (default: 6)")
    arguments = parser.parse_args()
    _allow_files(3 * arguments.connections + 500)
    gateways, others = _cores()
    with (
        tempfile.TemporaryDirectory() as folder,
        _on(others),
        upstream() as mock_port,
        _slow_callers() as slow,
        _gateway(LiveGateway(Path(folder), _settings(mock_port, slow.fountain_port)), gateways) as gateway,
    ):
        done = _rounds(gateway, slow, arguments)
        endings = slow.outlive()
        _ask(gateway.address, _SETTLE_S)
    return _judge(done, endings)


def _cores() -> tuple[Collection[int], Collection[int]]:
    """Return the gateway's core and everyone else's; none where they cannot be chosen."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    return (cores[:1], cores[1:]) if len(cores) > 1 else ((), ())


@contextlib.contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """Stay on these cores, if any are named, as does each process started meanwhile."""
    if not cores:
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def _gateway(gateway: LiveGateway, cores: Collection[int]) -> Iterator[LiveGateway]:
    """Run the gateway, with all of its threads on these cores."""
    with contextlib.ExitStack() as stack:
        with _on(cores):
            stack.enter_context(gateway)
        yield gateway


def _rounds(gateway: LiveGateway, slow: _SlowCallers, arguments: argparse.Namespace) -> list[Round]:
    """Time requests without and with the slow connections by turns; the last of these stay open."""
    seconds = arguments.seconds
    done: list[Round] = []
    _ask(gateway.address, _SETTLE_S)
    for _ in range(arguments.rounds):
        slow.close()
        time.sleep(_SETTLE_S)
        without, before_mb = _ask(gateway.address, seconds), rss_mb(gateway.pid)
        slow.open(gateway.address, arguments.connections)
        time.sleep(_SETTLE_S)
        done.append(Round(without, _ask(gateway.address, seconds), before_mb, rss_mb(gateway.pid)))
    return done


def _settings(mock_port: int, fountain_port: int) -> dict[str, Any]:
    ports = {"mock": mock_port, "fountain": fountain_port}
    return {
        "server": {"drain_s": 1},
        "upstreams": {
            name: {"kind": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "max_connections": 4096}
            for name, port in ports.items()
        },
        "models": {name: {"upstream": name} for name in ports},
        "organisation": {"teams": {"soak": {"keys": [{"name": "all", "secret": KEY}]}}},
        "telemetry": {"log": {"format": "none"}},
    }


def _kinds() -> list[Kind]:
    """Return the ways to be slow, which are mixed in equal parts."""
    limits = ServerSettings()
    message = request("/v1/chat/completions", "mock", KEY, stream=False)
    lines, _, body = message.partition(b"\r\n\r\n")
    begun = lines + b"\r\n\r\n" + body[:200]
    stream = request("/v1/chat/completions", "fountain", KEY, stream=True)
    head_s, body_s = limits.header_timeout_s, limits.body_timeout_s + LINGER_S
    return [
        Kind("connected and silent", b"", b"", head_s),
        Kind("half a head", lines[:60], b"", head_s),
        Kind("a head that drips", lines[:20], lines[20:100], head_s),
        Kind("half a body", begun, b"", body_s),
        Kind("a body that drips", begun, body[200:300], body_s),
        Kind("a reader who does not read", stream, b"", 1.4 * STALL_S, reads=False),
    ]


class _SlowCallers:
    """The slow connections in their process, as the other end of its pipe has them.

    Each method raises `EOFError` when that process has failed.

    Attributes:
        fountain_port: where an upstream listens that streams without end.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.fountain_port: int = pipe.recv()

    def open(self, address: tuple[str, int], count: int) -> None:
        """Open `count` connections, in equal parts of each kind."""
        self._tell("open", address, count)

    def close(self) -> None:
        """Close all of them."""
        self._tell("close")

    def outlive(self) -> dict[str, Ending]:
        """Wait out the time of each kind; return how its connections ended."""
        return msgspec.convert(self._tell("outlive"), dict[str, Ending])

    def _tell(self, *command: Any) -> Any:
        self._pipe.send(command)
        return self._pipe.recv()


@contextlib.contextmanager
def _slow_callers() -> Iterator[_SlowCallers]:
    """Run the process of the slow connections, which ends with the pipe to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_be_slow, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            yield _SlowCallers(ours)
    finally:
        process.join(_SPARE_S)


def _be_slow(pipe: Connection) -> None:
    """Do what the pipe says, in the child process."""
    os.nice(_LEAST_WILLING)
    with contextlib.suppress(EOFError):
        uvloop.run(_obey(pipe))


async def _obey(pipe: Connection) -> None:
    """Tell the fountain's port, then answer each command with plain data.

    Raises:
        EOFError: there will be no further command.
    """
    fountain = await asyncio.get_running_loop().create_server(_Fountain, "127.0.0.1", 0, backlog=4096)
    pipe.send(fountain.sockets[0].getsockname()[1])
    slow: list[_Slow] = []
    while True:
        command, *arguments = await asyncio.to_thread(pipe.recv)
        found: dict[str, dict[str, float]] = {}
        if command == "open":
            slow = await _open(*arguments)
        elif command == "outlive":
            found = await _outlived(slow)
        else:
            _close(slow)
        pipe.send(found)


class _Fountain(asyncio.Protocol):
    """An upstream that streams for as long as it is read."""

    pouring = 0
    """How many of them are taken from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=16 * 1024)
        self._is_paused = True

    def data_received(self, data: bytes) -> None:
        del data  # requests are short, and come one to a connection
        lines = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        self._transport.write(head(200, lines))
        self.resume_writing()

    def _pour(self) -> None:
        if not self._is_paused:
            self._transport.write(_PIECE)
            asyncio.get_running_loop().call_soon(self._pour)

    def pause_writing(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            _Fountain.pouring -= 1

    def resume_writing(self) -> None:
        if self._is_paused:
            self._is_paused = False
            _Fountain.pouring += 1
            self._pour()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.pause_writing()


_EVENT: Final = events(chunk("x" * 64 * 1024))[0]
_PIECE: Final = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


class _Slow(asyncio.Protocol):
    """One slow connection."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.lasted_s: float | None = None
        self._sent = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._started = time.perf_counter()
        self.transport.write(self.kind.first)
        # Spread over the second: strangers do not drip in step.
        asyncio.get_running_loop().call_later(next(_OFFSETS) * _DRIP_S % _DRIP_S, self._drip)

    def data_received(self, data: bytes) -> None:
        del data
        if not self.kind.reads and not self._is_over:
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Read to the end, which the kernel tells only to those who read."""
        self._is_over = True
        self.transport.resume_reading()

    def _drip(self) -> None:
        if self.lasted_s is None and self._sent < len(self.kind.drip) and not self.transport.is_closing():
            self.transport.write(self.kind.drip[self._sent : self._sent + 1])
            self._sent += 1
            asyncio.get_running_loop().call_later(_DRIP_S, self._drip)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lasted_s = time.perf_counter() - self._started


class _Caller(asyncio.Protocol):
    """One connection on which requests are timed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._answered: asyncio.Future[None] | None = None

    def close(self) -> None:
        self._transport.close()

    async def ask(self) -> float:
        """Ask once; return the seconds to the whole answer.

        Raises:
            ConnectionError: there was none.
        """
        self._buffer = b""
        self._answered = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(_REQUEST)
        await self._answered
        return time.perf_counter() - started

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        lines, _, body = self._buffer.partition(b"\r\n\r\n")
        length = lines.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if self._answered is None or self._answered.done() or not length or len(body) < int(length):
            return
        if lines.startswith(b"HTTP/1.1 200"):
            self._answered.set_result(None)
        else:
            self._answered.set_exception(ConnectionError(lines.decode("latin-1")))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the connection ended"))


_REQUEST: Final = request("/v1/chat/completions", "mock", KEY, stream=False)


def _ask(address: tuple[str, int], seconds: float) -> list[float]:
    """Ask at a fixed rate, each caller in its turn; return the times in seconds."""
    return uvloop.run(_asked(address, seconds))


async def _asked(address: tuple[str, int], seconds: float) -> list[float]:
    callers = [await _connect(address, _Caller) for _ in range(_CALLERS)]
    gap_s = _CALLERS / _PER_SECOND
    started = time.perf_counter()

    async def go_on(caller: _Caller, number: int) -> list[float]:
        times: list[float] = []
        for turn in itertools.count():
            due_s = (turn + number / _CALLERS) * gap_s
            if due_s >= seconds:
                caller.close()
                return times
            await asyncio.sleep(max(started + due_s - time.perf_counter(), 0.0))
            times.append(await caller.ask())
        raise AssertionError

    found = await asyncio.gather(*(go_on(caller, number) for number, caller in enumerate(callers)))
    return [seconds for times in found for seconds in times]


async def _connect(address: tuple[str, int], make: Any, *, receive_bytes: int = 0) -> Any:
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)  # noqa: FBT003  its only parameter
    await loop.sock_connect(sock, address)
    _, protocol = await loop.create_connection(make, sock=sock)
    return protocol


async def _open(address: tuple[str, int], count: int) -> list[_Slow]:
    """Open the slow connections, first those that take the gateway some work until their streams stand still."""
    slow: list[_Slow] = []
    kinds = _kinds()
    for kind in sorted(kinds, key=lambda kind: kind.reads):
        size = 0 if kind.reads else _READER_BYTES
        for _ in range(count // len(kinds)):
            slow.append(await _connect(address, partial(_Slow, kind), receive_bytes=size))  # noqa: PERF401
        while _Fountain.pouring:  # noqa: ASYNC110  a wait of some seconds, and many who could set an event
            await asyncio.sleep(_SETTLE_S)
    return slow


def _close(slow: list[_Slow]) -> None:
    for connection in slow:
        connection.transport.abort()


async def _outlived(slow: list[_Slow]) -> dict[str, dict[str, float]]:
    """Wait out the time of each kind and end what is still there; return, by kind, the fields of an `Ending`."""
    found: dict[str, dict[str, float]] = {}
    started = time.perf_counter()
    for kind in sorted(_kinds(), key=lambda kind: kind.lasts_s):
        await asyncio.sleep(max(started + kind.lasts_s + _SPARE_S - time.perf_counter(), 0.0))
        connections = [connection for connection in slow if connection.kind == kind]
        if not kind.reads:
            for connection in connections:
                connection.read_on()
            await asyncio.sleep(_SPARE_S)
        lasted = [connection.lasted_s for connection in connections if connection.lasted_s is not None]
        late = len(connections) - len(lasted)
        found[kind.name] = {"connections": len(connections), "lasted_s": max(lasted, default=0.0), "late": late}
    _close(slow)
    return found


def _judge(rounds: list[Round], endings: dict[str, Ending]) -> int:
    """Print what was found; return the exit status."""
    without = quantile_ms([seconds for one in rounds for seconds in one.without], 0.99)
    beside = quantile_ms([seconds for one in rounds for seconds in one.beside], 0.99)
    connections = sum(ending.connections for ending in endings.values())
    each_kb = max(1024 * (one.beside_mb - one.before_mb) / connections for one in rounds)
    change = beside / without - 1
    _print_tables(rounds, endings)
    print(f"\nsoak: p99 {without:.2f} -> {beside:.2f} ms ({100 * change:+.1f} %), {each_kb:.1f} KB a connection")
    is_late = any(ending.late for ending in endings.values())
    return int(change >= LATENCY_SHARE or each_kb > KILOBYTES_EACH or is_late)


def _print_tables(rounds: list[Round], endings: dict[str, Ending]) -> None:
    print("| round | p50 / p99 alone | p50 / p99 beside them | RSS before | RSS with them |\n|---|---|---|---|---|")
    for number, one in enumerate(rounds, start=1):
        times = " | ".join(
            f"{quantile_ms(found, 0.5):.2f} / {quantile_ms(found, 0.99):.2f} ms" for found in (one.without, one.beside)
        )
        print(f"| {number} | {times} | {one.before_mb:.1f} MB | {one.beside_mb:.1f} MB |")
    print("\n| kind | connections | lasted at most | outlived their time |\n|---|---|---|---|")
    for kind in _kinds():
        ending = endings[kind.name]
        print(f"| {kind.name} | {ending.connections} | {ending.lasted_s:.1f} s | {ending.late} |")


def _allow_files(count: int) -> None:
    """Raise the bound on open files, which macOS sets to 256; processes started from here inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
