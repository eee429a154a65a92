"""The server's connection: uvicorn's httptools protocol, and what it lacks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.domain.errors import InvalidRequestError
from gateway.edge.errors import error_body

SCOPE_KEY = "tierway.wire"
"""Where a request's scope holds its connection."""

MAX_HEAD_BYTES: Final = 64 * 1024
"""The longest head of a request; nginx's own bound is 32 KiB, and clients stay far below it."""


class Wire(HttpToolsProtocol):
    """A connection that tells the request on it when the caller has left.

    uvicorn raises nothing on `send` after a disconnect and says it only to whoever waits in `receive`; a task
    that waits there costs 10 us a request, this costs nothing until a connection is lost.
    """

    _watched: asyncio.Task[Any] | None = None
    _answered: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the newest one, which waits when it was sent ahead of time."""
    has_left = False
    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """Start a request's scope, with the connection in it."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[SCOPE_KEY] = self
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._in_head = False
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless a head has no end: the parser would keep all of it."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "The head of the request is too long.", "head_too_large")
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the shape of every other error."""
        self._refuse(400, msg, "invalid_http")

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Answer and close; what follows a request that is being answered has no place for an answer."""
        answered = self._answered
        if answered is None or answered.response_complete or not answered.response_started:
            request_id = f"req-{secrets.token_hex(10)}"
            body = error_body(InvalidRequestError(message, code=code), request_id)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\nconnection: close\r\n"
            self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], head % (len(body), request_id.encode()), body))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request that is being answered."""
        super().connection_lost(exc)
        self.has_left = True
        if self._watched is not None:
            self._watched.cancel()

    def watch_this_task(self) -> asyncio.Task[Any]:
        """Cancel the running task when the caller leaves, and return it."""
        task = asyncio.current_task(self.loop)
        assert task is not None  # noqa: S101  the server answers each request in a task
        self._watched = task
        return task

    def unwatch(self) -> None:
        """Cancel nothing any more: the request is answered."""
        self._watched = None

    def take_body(self) -> bytes | None:
        """Return the whole body of the request when it has arrived, as it mostly has; None when it has not."""
        cycle = self._running()
        if cycle.more_body:
            return None
        self.flow.resume_reading()  # a paused socket would not tell that the caller has left
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a complete answer in one write.

        The two ASGI messages for it, with their checks of each header, cost 8 us more.

        Raises:
            ValueError: a header holds a line end.
        """
        cycle = self._running()
        if cycle.disconnected:
            return
        lines = [*cycle.default_headers, *headers]
        head = b"".join([b"%b: %b\r\n" % line for line in lines])
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise ValueError("a header holds a line end")
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], head, end, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def hang_up(self) -> None:
        """Close the connection once what was sent is out, without the bytes that would end the body well."""
        self._running().disconnected = True
        self.transport.close()

    def _running(self) -> RequestResponseCycle:
        assert self._answered is not None  # noqa: S101  only asked while a request is answered
        return self._answered
