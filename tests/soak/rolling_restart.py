"""Two workers replaced again and again under load: no request may fail, and none may vanish from the counts.

`make soak-restart` runs it, for a minute: 200 requests a second, 30 % of them streams of 0.3 s, four in five on
connections that are kept. A connection that ends under a request counts as a failure even where a client would ask
again. State is on a Redis of its own, the upstream is bench/upstream.py in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import uvloop

from bench.load import request
from bench.process import KEY, upstream
from tests.support.live import LiveGateway
from tests.support.redis_server import RedisServer

WORKERS: Final = 2
_PATIENCE_S: Final = 30.0

_PLAIN: Final = request("/v1/chat/completions", "mock", KEY, stream=False)
_STREAM: Final = request("/v1/chat/completions", "mock-s10", KEY, stream=True)
_ENDS_OF_LINE: Final = b"\r\n\r\n"


class Outcome(msgspec.Struct):
    """What became of the requests.

    Attributes:
        answered: how many got a whole answer with status 200.
        failures: why the others did not.
        connections: how many were opened.
        restarts: how often all workers were replaced.
        counted: requests of the gateway's own metrics at the end, those of ended workers among them.
        workers: how many it counted itself to have then.
    """

    answered: int = 0
    failures: list[str] = []
    connections: int = 0
    restarts: int = 0
    counted: int = 0
    workers: int = 0


class _Connection:
    """One connection on which one request goes on at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_kept = True

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Self:
        return cls(*await asyncio.open_connection(*address))

    @property
    def has_ended(self) -> bool:
        """Whether the other side has said so: a client looks before it sends."""
        return self._reader.at_eof()

    async def ask(self, message: bytes) -> None:
        """Send a request and read its answer.

        Raises:
            OSError, EOFError, ValueError: there was no whole answer with status 200.
        """
        self._writer.write(message)
        lines = (await self._reader.readuntil(_ENDS_OF_LINE)).lower()
        if not lines.startswith(b"http/1.1 200"):
            raise ValueError(lines.decode("latin-1"))
        self.is_kept = b"\r\nconnection: close\r\n" not in lines
        length = lines.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length:
            await self._reader.readexactly(int(length))
            return
        events = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            events = await self._reader.readexactly(size + 2)
        await self._reader.readexactly(2)
        if b"[DONE]" not in events:
            raise ValueError(f"the stream ended with {events!r}")

    def close(self) -> None:
        self._writer.close()


class _Load:
    """Asks at a fixed rate, whatever becomes of earlier requests."""

    def __init__(self, address: tuple[str, int], outcome: Outcome) -> None:
        self._address = address
        self._outcome = outcome
        self._idle: list[_Connection] = []

    async def run(self, per_second: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_second * seconds)):
                await asyncio.sleep(started + number / per_second - loop.time())
                group.create_task(self._ask(number))
        for connection in self._idle:
            connection.close()

    async def _ask(self, number: int) -> None:
        message = _STREAM if number % 10 in (0, 3, 6) else _PLAIN
        is_short_lived = number % 5 == 4
        try:
            async with asyncio.timeout(_PATIENCE_S):
                connection = await self._connection(fresh=is_short_lived)
                try:
                    await connection.ask(message)
                except BaseException:
                    connection.close()
                    raise
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self._outcome.failures.append(f"request {number}: {error!r}")
            return
        self._outcome.answered += 1
        if connection.is_kept and not is_short_lived:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connection(self, *, fresh: bool) -> _Connection:
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.has_ended:
                return connection
            connection.close()
        self._outcome.connections += 1
        return await _Connection.open(self._address)


def settings(mock_port: int, state: str) -> dict[str, Any]:
    """Return settings with two models on the mock, one of which streams slowly."""
    mock = f"http://127.0.0.1:{mock_port}"
    return {
        "state": state,
        "upstreams": {
            "mock": {"kind": "openai", "base_url": f"{mock}/v1", "max_connections": 1000},
            "mock-s10": {"kind": "openai", "base_url": f"{mock}/s10", "max_connections": 1000},
        },
        "models": {"mock": {"upstream": "mock"}, "mock-s10": {"upstream": "mock-s10"}},
        "organisation": {"teams": {"soak": {"keys": [{"name": "all", "secret": KEY}]}}},
        "telemetry": {"log": {"format": "none"}},
    }


def restart_under_load(folder: Path, *, per_second: float, seconds: float) -> Outcome:
    """Replace the workers again and again while requests go on, and once they have ended ask for the counts."""
    with (
        RedisServer() as redis,
        upstream() as mock_port,
        LiveGateway(folder, settings(mock_port, redis.url), arguments=["--workers", str(WORKERS)]) as gateway,
    ):
        outcome = Outcome()
        with _restarting(gateway, outcome):
            uvloop.run(_Load(gateway.address, outcome).run(per_second, seconds))
        metrics = gateway.metrics()
        requests = (value for name, value in metrics.items() if name.startswith("tierway_requests_total{"))
        outcome.counted, outcome.workers = int(sum(requests)), int(metrics["tierway_workers"])
    return outcome


@contextmanager
def _restarting(gateway: LiveGateway, outcome: Outcome) -> Iterator[None]:
    """Ask for new workers, again when all are replaced; leave when the last round is over."""
    is_over = threading.Event()

    def restart() -> None:
        while not is_over.is_set():
            gateway.process.send_signal(signal.SIGUSR2)
            outcome.restarts += 1
            gateway.wait_for_messages("the workers are replaced", outcome.restarts, 120.0)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def main() -> int:
    """Run the load; exit 1 when a request failed or is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=float, default=200.0, help="requests a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = restart_under_load(Path(folder), per_second=arguments.per_second, seconds=arguments.seconds)
    for failure in outcome.failures[:10]:
        print(f"soak: {failure}", file=sys.stderr)
    print(
        f"soak: {outcome.answered} answers on {outcome.connections} connections while {WORKERS} workers were replaced "
        f"{outcome.restarts} times, {len(outcome.failures)} failures, {outcome.counted} counted"
    )
    return int(bool(outcome.failures) or outcome.counted != outcome.answered or outcome.restarts < 2)


if __name__ == "__main__":
    sys.exit(main())
