"""The server: uvicorn on uvloop and httptools, listening on one or two addresses, draining when told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
import uvloop
from litestar.types import ASGIApp

from gateway.edge.current import Current
from gateway.edge.routes import operations_app, public_app
from gateway.edge.wire import Wire
from gateway.edge.wire_limits import Sweep, WireLimits
from gateway.settings import ServerSettings, SettingsError

KEEP_ALIVE_S: Final = 75
"""Seconds an idle client connection is kept: longer than clients keep theirs, so that they close first."""

STALL_S: Final = 60.0
"""Seconds a caller may take not a byte of what is written to it: nginx's `send_timeout`."""

UNSENT_BYTES: Final = 128 * 1024
"""What the kernel takes of an answer beyond what is on its way: without a bound, megabytes for each slow reader."""

BACKLOG: Final = 4096

LISTENERS: Final = 16
"""Descriptors of the one listening socket. libuv accepts a single connection a loop turn from each (since 1.45), and a
turn takes 10 ms under a thousand streams: with one, the last of a thousand callers waited 10 s to be let in."""

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
    host: str,
    port: int,
    when_ready: Callable[[str], None],
) -> None:
    """Serve until a signal stops the process.

    Args:
        current: what is served.
        running: what goes on beside requests.
        host, port: the main address; port 0 lets the system choose.
        when_ready: called with the base URL once the address is listening.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    _use_few_arenas()
    settings = current.version.settings.server
    public = public_app(current, with_operations=settings.admin_listen is None)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with running(), _operations(current, settings):
            yield

    config = _config(_WithLifespan(public, lifespan), host, port, settings, current.telemetry.wire_refusals)
    listener = _listen(host, port)
    server = _MainServer(config, current, when_ready)
    with asyncio.Runner(loop_factory=partial(_Loop, settings.header_timeout_s)) as runner:
        runner.run(server.serve([listener, *(listener.dup() for _ in range(LISTENERS - 1))]))


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


class _MainServer(uvicorn.Server):
    """The server on the main address: says where it listens, and tells `/readyz` when it drains."""

    def __init__(self, config: uvicorn.Config, current: Current, when_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._current = current
        self._when_ready = when_ready

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
        del sig, frame
        if self.should_exit:
            self.force_exit = True
            self._captured_signals.append(signal.SIGTERM)
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop taking work, let requests finish, then end."""
        self._current.draining = True
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"server.port: cannot listen on {host}:{port}: {reason}") from error
    with contextlib.suppress(OSError):  # some sandboxes do not know the option
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return listener


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


class _SideServer(uvicorn.Server):
    """A second server in the process: signals are the main one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


@asynccontextmanager
async def _operations(current: Current, settings: ServerSettings) -> AsyncIterator[None]:
    """Serve `/admin` and `/metrics` on their own address, where the settings name one."""
    if settings.admin_listen is None:
        yield
        return
    host, _, port = settings.admin_listen.rpartition(":")
    config = _config(operations_app(current), host.strip("[]"), int(port), settings, current.telemetry.wire_refusals)
    config.lifespan = "off"
    server = _SideServer(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  uvicorn tells of its start by an attribute only
            await asyncio.sleep(0.01)
        if task.done():
            task.result()
        yield
    finally:
        server.should_exit = True
        await task


def _config(app: Any, host: str, port: int, settings: ServerSettings, refused: dict[int, int]) -> uvicorn.Config:
    limits = WireLimits(
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        keep_alive_s=KEEP_ALIVE_S,
        stall_s=STALL_S,
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
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
        timeout_graceful_shutdown=int(settings.drain_s),
    )
    if settings.tls is not None:
        tls = settings.tls
        config.ssl_certfile, config.ssl_keyfile = tls.certificate, tls.key
        if tls.client_ca is not None:
            config.ssl_ca_certs, config.ssl_cert_reqs = tls.client_ca, ssl.CERT_REQUIRED
    return config
