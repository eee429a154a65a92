"""The server: uvicorn on uvloop and httptools, on one or two addresses, draining when told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
import uvloop
from litestar.types import ASGIApp

from gateway.edge.current import Current
from gateway.edge.drain import LINGER_S, Drain, accept_waiting
from gateway.edge.listening import BACKLOG, Listeners
from gateway.edge.routes import operations_app, public_app
from gateway.edge.wire import Wire
from gateway.edge.wire_limits import Sweep, WireLimits
from gateway.settings import ServerSettings

KEEP_ALIVE_S: Final = 75
"""Seconds an idle client connection is kept: longer than clients keep theirs, so that they close first."""

STALL_S: Final = 60.0
"""Seconds a caller may take not a byte of what is written to it: nginx's `send_timeout`."""

DESCRIPTORS: Final = 16
"""Descriptors of the one listening socket. libuv accepts a single connection a loop turn from each (since 1.45), and a
turn takes 10 ms under a thousand streams: with one, the last of a thousand callers waited 10 s to be let in."""

HANDSHAKE_S: Final = 0.5
"""Seconds that handshakes of https get to end when the server stops; two exchanges, mostly of 0.1 s or less."""

SIDE_DRAIN_S: Final = 1.0
"""Seconds that requests of operators get to finish once those of callers have."""

SIDE_LINGER_S: Final = 0.25
"""And an idle connection of theirs to be used: whoever scrapes `/metrics` asks every few seconds."""

GC_THRESHOLD: Final = (10_000, 5, 2)
"""Allocations between collections of the youngest generation, and how many of those before an older one's.

What is in a cycle when a connection closes is old by then: only a full collection finds it. With the last two at 20,
cycles of 30 objects a connection, since broken, kept 45 MB after a thousand connections came and went five times.
"""

_M_ARENA_MAX: Final = -8
"""From glibc's malloc.h."""

log = logging.getLogger("tierway")


def serve(
    current: Current,
    running: Callable[[], AbstractAsyncContextManager[None]],
    *,
    listeners: Listeners,
    when_ready: Callable[[str], None],
    hurried_by: Collection[int] = (signal.SIGTERM, signal.SIGINT),
) -> None:
    """Serve until a signal stops the process.

    Args:
        current: what is served.
        running: what goes on beside requests.
        listeners: where; they are closed when it stops.
        when_ready: called with the base URL once requests are accepted.
        hurried_by: the signals that end the process at once when they come as a second one.
    """
    _use_few_arenas()
    settings = current.version.settings.server
    public = public_app(current, with_operations=listeners.admin is None)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with running(), _operations(current, settings, listeners.admin):
            yield

    config = _config(_WithLifespan(public, lifespan), settings, current.telemetry.wire_refusals)
    server = _MainServer(config, current, when_ready, hurried_by)
    with asyncio.Runner(loop_factory=partial(_Loop, settings.header_timeout_s)) as runner:
        try:
            runner.run(server.serve([listeners.main, *(listeners.main.dup() for _ in range(DESCRIPTORS - 1))]))
        finally:
            # It ends. One more while threads are waited for would close the loop under them; SIGTERM still ends it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Loop(uvloop.Loop):
    """A loop whose servers wait less long for the handshake of https, as uvicorn has no setting for it.

    Args:
        handshake_timeout_s: seconds, instead of 60.
    """

    def __init__(self, handshake_timeout_s: float) -> None:
        super().__init__()
        self._handshake_timeout_s = handshake_timeout_s

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """Listen."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = self._handshake_timeout_s
        return await super().create_server(*arguments, **options)


class _WithLifespan:
    """Runs a context for as long as the server runs, and passes requests on."""

    def __init__(self, app: ASGIApp, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._app = app
        self._lifespan = lifespan

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        async with self._lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class _DrainingServer(uvicorn.Server):
    """A server that drains when it stops.

    Args:
        config: uvicorn's.
        drain_s: seconds that requests get to finish.
        linger_s: seconds that an idle connection stays open for one more request.
    """

    def __init__(self, config: uvicorn.Config, drain_s: float, linger_s: float) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._linger_s = linger_s

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop taking callers in, let requests finish, then end."""
        await accept_waiting(sockets[0])
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        # Whom the loop accepted last is a connection in its next turn only, over https after the handshake.
        await asyncio.sleep(HANDSHAKE_S if self.config.is_ssl else 0)
        drain = Drain(
            self.server_state, drain_s=self._drain_s, linger_s=self._linger_s, is_hurried=lambda: self.force_exit
        )
        await drain.run()
        if not self.force_exit:
            await self.lifespan.shutdown()


class _MainServer(_DrainingServer):
    """The server on the main address: says where it listens, and tells `/readyz` when it drains."""

    def __init__(
        self,
        config: uvicorn.Config,
        current: Current,
        when_ready: Callable[[str], None],
        hurried_by: Collection[int],
    ) -> None:
        super().__init__(config, current.version.settings.server.drain_s, LINGER_S)
        self._current = current
        self._when_ready = when_ready
        self._hurried_by = hurried_by

    async def startup(self, sockets: Any = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        if self.started:
            _settle_memory()
            address = self.servers[0].sockets[0].getsockname()
            scheme = "https" if self.config.is_ssl else "http"
            name = f"[{address[0]}]" if ":" in address[0] else address[0]
            self._when_ready(f"{scheme}://{name}:{address[1]}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at a first signal, with status 0 in the end; at a second one at once, by SIGTERM.

        SIGINT would be an exception, which every task and the log would hear of.
        """
        del frame
        if self.should_exit and sig in self._hurried_by:
            self.force_exit = True
            self._captured_signals.append(signal.SIGTERM)
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Say so, then stop."""
        self._current.draining = True
        await super().shutdown(sockets)


def _use_few_arenas() -> None:
    """Have glibc keep two heaps, not eight a core: threads come and go, and each heap keeps what it once needed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight, and let it run less often.

    The quarter of a million objects of imported libraries never go away; a full collection over them stopped
    every request for 50 ms, several times a second under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


class _SideServer(_DrainingServer):
    """A second server in the process: signals are the main one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


@asynccontextmanager
async def _operations(
    current: Current, settings: ServerSettings, listener: socket.socket | None
) -> AsyncIterator[None]:
    """Serve `/admin` and `/metrics` on their own address, where they have one, until the main one has drained."""
    if listener is None:
        yield
        return
    config = _config(operations_app(current), settings, current.telemetry.wire_refusals)
    config.lifespan = "off"
    server = _SideServer(config, SIDE_DRAIN_S, SIDE_LINGER_S)
    task = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  uvicorn tells of its start by an attribute only
            await asyncio.sleep(0.01)
        if task.done():
            task.result()
        yield
    finally:
        server.should_exit = True
        await task


def _config(app: Any, settings: ServerSettings, refused: dict[int, int]) -> uvicorn.Config:
    limits = WireLimits(
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        keep_alive_s=KEEP_ALIVE_S,
        stall_s=STALL_S,
    )
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=cast(Any, partial(Wire, Sweep(limits, refused))),
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )
    if settings.tls is not None:
        tls = settings.tls
        config.ssl_certfile, config.ssl_keyfile = tls.certificate, tls.key
        if tls.client_ca is not None:
            config.ssl_ca_certs, config.ssl_cert_reqs = tls.client_ca, ssl.CERT_REQUIRED
    return config
