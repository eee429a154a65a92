"""An HTTP/1.1 client over asyncio streams of bytes, parsed by llhttp (httptools).

It exists because a call that its caller has left must stop within milliseconds, at the cost of a Rust client:
see docs/decisions/002-http1-engine.md for both measurements.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Final, cast

import httptools

from gateway.domain.errors import (
    UpstreamClosedError,
    UpstreamError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.upstreams.transport import Headers, Request, Upload

MAX_HEAD_BYTES: Final = 128 * 1024
"""The longest head of an answer; nginx and OpenAI stay below 16 KiB."""

READ_AHEAD_BYTES: Final = 64 * 1024
"""Bytes of a body kept for a slow reader before the socket is no longer read."""

IDLE_S: Final = 30.0
"""Seconds a connection is kept without work, up to half as much again; common servers close after 60 or more."""


class Http1Engine:
    """A pool of connections to one origin.

    Args:
        host, port: where to connect.
        tls: the context for https, or None.
        max_connections: calls in flight at once; one more waits for `connect_s`.
        connect_s: seconds for connecting, handshake included.
    """

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, max_connections: int, connect_s: float
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._connect_s = connect_s
        self._free = max_connections
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        default = 443 if tls else 80
        name = f"[{host}]" if ":" in host else host
        authority = name if port == default else f"{name}:{port}"
        self._host_line = b"host: " + authority.encode("idna" if not authority.isascii() else "ascii") + b"\r\n"
        self._closed = False

    async def send(self, request: Request) -> Http1Response:
        """Send a request; see `Engine.send`. A kept connection that died meanwhile is replaced once."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait_for_a_place()
        try:
            if isinstance(request.body, Upload):
                return Http1Response(self, await self._upload(request, request.body))
            head = self._head(request, b"content-length: %d" % len(request.body))
            return Http1Response(self, await self._exchange(head + request.body))
        except BaseException:
            self._leave()
            raise

    async def close(self) -> None:
        """Close every connection, those in use included."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()

    def _head(self, request: Request, framing: bytes) -> bytes:
        """Return all of a message but its body; `framing` is the header line that says where that ends."""
        lines = b"".join([b"%b: %b\r\n" % line for line in request.headers])
        return b"%b %b HTTP/1.1\r\n%b%b%b\r\n\r\n" % (
            request.method, request.target, self._host_line, lines, framing,
        )  # fmt: skip

    async def _upload(self, request: Request, upload: Upload) -> _Connection:
        """Send a body that arrives in pieces, which cannot be sent twice: on a fresh connection."""
        length = upload.length
        framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
        return await self._ask_afresh(self._head(request, framing), upload)

    async def _ask_afresh(self, message: bytes, upload: Upload | None = None) -> _Connection:
        try:
            return await self._ask(await self._connect(), message, upload)
        except _StaleConnectionError as error:
            raise UpstreamClosedError("The upstream closed the connection before it answered.") from error

    async def _exchange(self, message: bytes) -> _Connection:
        """Return a connection on which the head of the answer has arrived."""
        connection = self._take_idle()
        if connection is not None:
            try:
                return await self._ask(connection, message)
            except _StaleConnectionError:
                pass  # it died while it was kept; nothing of an answer came, so a fresh one may be asked
        return await self._ask_afresh(message)

    async def _ask(self, connection: _Connection, message: bytes, upload: Upload | None = None) -> _Connection:
        self._busy.add(connection)
        try:
            await connection.request(message, upload)
        except BaseException:
            self._busy.discard(connection)
            connection.abort()
            raise
        return connection

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
        return None

    async def _connect(self) -> _Connection:
        hostname = self._host if self._tls else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    _Connection, self._host, self._port, ssl=self._tls, server_hostname=hostname
                )
        except TimeoutError as error:
            message = "Connecting to the upstream took too long."
            raise UpstreamTimeoutError(message, code="upstream_connect_timeout") from error
        except ssl.SSLError as error:
            raise UpstreamUnreachableError("The TLS handshake with the upstream failed.") from error
        except OSError as error:
            raise UpstreamUnreachableError("The upstream cannot be reached.") from error
        return connection

    async def _wait_for_a_place(self) -> None:
        """Wait until a call that ends hands its place over."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._connect_s):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._leave()
            if isinstance(error, TimeoutError):
                raise UpstreamOverloadedError("All connections to the upstream are in use.") from error
            raise

    def _leave(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def release(self, connection: _Connection) -> None:
        """Take a connection back from the response that used it."""
        self._busy.discard(connection)
        if connection.is_reusable() and not self._closed:
            connection.rest(self._idle)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(IDLE_S, self._drop_idle)
        else:
            connection.abort()
        self._leave()

    def _drop_idle(self) -> None:
        """Close what has been idle for `IDLE_S`: one timer for all, as one a request costs 2 us."""
        loop = asyncio.get_running_loop()
        for connection in list(self._idle):
            if connection.idle_since <= loop.time() - IDLE_S:
                connection.abort()
        self._sweep = loop.call_later(IDLE_S / 2, self._drop_idle) if self._idle else None


class Http1Response:
    """An answer on one connection."""

    __slots__ = ("_connection", "_engine", "headers", "status")

    def __init__(self, engine: Http1Engine, connection: _Connection) -> None:
        self._engine = engine
        self._connection: _Connection | None = connection
        self.status = connection.status
        self.headers: Headers = connection.headers

    async def chunk(self) -> bytes | None:
        """Return the next bytes of the body, or None at its end; see `EngineResponse.chunk`."""
        connection = self._connection
        return None if connection is None else await connection.chunk()

    async def close(self) -> None:
        """Give the connection back; one with an unfinished answer is aborted."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._engine.release(connection)


class _StaleConnectionError(Exception):
    """A connection was closed before a byte of the answer came; of a kept one, that is ordinary."""


class _Connection(asyncio.Protocol):
    """One socket: one request at a time, its answer parsed as it comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.idle_since = 0.0
        self._paused = False
        self._writable: asyncio.Future[None] | None = None
        self._keep_alive = False
        self._idle: list[_Connection] = []
        self._parser = httptools.HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._head_bytes = 0
        self._until_close = False
        self._asked = self._is_head = self._is_sent = self._head_done = self._complete = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def is_usable(self) -> bool:
        """Tell whether a kept connection is still open."""
        return self._transport is not None and not self._transport.is_closing()

    def is_reusable(self) -> bool:
        """Tell whether the answer was read to its end and the server keeps the connection."""
        return self._complete and self._is_sent and self._keep_alive and not self._paused and self.is_usable()

    def rest(self, idle: list[_Connection]) -> None:
        """Join the idle connections."""
        self._begin()
        self.idle_since = self._loop.time()
        self._idle = idle
        idle.append(self)

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    async def request(self, message: bytes, upload: Upload | None = None) -> None:
        """Send a request and wait until the head of its answer is complete."""
        if self._transport is None:
            raise _StaleConnectionError
        self._asked = True
        self._is_head = message.startswith(b"HEAD ")
        self._is_sent = upload is None
        self._transport.write(message)
        if upload is not None:
            await self._send_until_answered(upload)
        try:
            while not self._head_done:
                await self._wait()
        except UpstreamUnreachableError as error:
            if not self._head_bytes:
                raise _StaleConnectionError from error
            raise

    async def _send_until_answered(self, upload: Upload) -> None:
        """Send a body in a task of its own, as an answer may come while the caller pauses.

        Raises:
            Exception: what the upload raised, or what ended the connection.
        """
        sender = self._loop.create_task(self._send(upload))
        sender.add_done_callback(self._note_sent)
        try:
            while not self._head_done and not sender.done():
                await self._wait()
            if sender.done():
                sender.result()
        finally:
            sender.cancel()

    def _note_sent(self, sender: asyncio.Task[None]) -> None:
        if not sender.cancelled():
            sender.exception()  # looked at, as the answer may have come first
        self._wake()

    async def _send(self, upload: Upload) -> None:
        """Send a body as it arrives, no faster than the socket takes it; stop when the answer is there already."""
        async for chunk in upload.chunks:
            if self._head_done or self._transport is None:
                return
            if chunk:
                self._transport.write(chunk if upload.length is not None else b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if self._writable is not None:
                await self._writable
                if self._head_done:
                    return
        if self._transport is not None and upload.length is None:
            self._transport.write(b"0\r\n\r\n")
        self._is_sent = True

    async def chunk(self) -> bytes | None:
        """Return what has arrived of the body, waiting for it if need be; None at the end."""
        while not self._pieces:
            if self._complete:
                return None
            await self._wait()
        chunk = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        self._error = self._error or error
        self.abort()
        self._wake()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        """Have an upload wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let an upload go on."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that nobody asked for end the connection."""
        if self._complete or not self._asked:
            self.abort()
            return
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(UpstreamGarbledError("The upstream switched protocols."))
        except httptools.HttpParserError:
            self._fail(UpstreamGarbledError("The upstream's answer is not HTTP."))
        else:
            if not self._head_done and self._head_bytes > MAX_HEAD_BYTES:
                self._fail(UpstreamGarbledError("The head of the upstream's answer is too long."))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer: well if its end is the connection's, badly otherwise."""
        self._transport = None
        self.resume_writing()
        del self._parser  # it holds this object: a cycle, else
        if self in self._idle:
            self._idle.remove(self)
        if self._head_done and self._until_close and exc is None:
            self._complete = True
        elif self._head_done and not self._complete:
            self._error = self._error or UpstreamGarbledError("The upstream's answer was cut off.")
        else:
            message = "The upstream closed the connection before it answered."
            self._error = self._error or UpstreamClosedError(message)
        self._wake()

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line."""
        if not self._head_done:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note the status, and how the body ends."""
        status = self._parser.get_status_code()
        if self._head_done:  # a second answer that nobody asked for
            self._keep_alive = False
            return
        if status < 200:
            return
        self.status = status
        self._keep_alive = self._parser.should_keep_alive()
        names = {name for name, _ in self.headers}
        self._until_close = not names & {b"content-length", b"transfer-encoding"} and status not in (204, 304)
        self._head_done = True
        if self._writable is not None:  # a server that has answered may never read the rest of an upload
            self.resume_writing()
        if self._is_head:  # a length is announced and nothing follows; the parser waits for it, so it serves no more
            self._complete, self._keep_alive = True, False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; stop reading the socket when nobody takes them."""
        if self._complete:
            return
        self._pieces.append(body)
        self._buffered += len(body)
        if self._buffered > READ_AHEAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of the body; after an interim answer, start over."""
        if self._head_done:
            self._complete = True
        else:
            self.headers.clear()
