"""The server's connection: uvicorn's httptools protocol, and what it lacks."""

from __future__ import annotations

import asyncio
import math
import secrets
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.domain.errors import GatewayError, MethodNotAllowedError, RequestTimeoutError
from gateway.edge.errors import error_body, error_headers
from gateway.edge.wire_cycle import Cycle, OldCycle
from gateway.edge.wire_limits import (
    LINGER_BYTES,
    LINGER_S,
    MAX_AHEAD,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_TARGET_BYTES,
    MIN_BODY_BYTES_PER_S,
    PAUSE_AHEAD,
    Sweep,
    refusal,
    unacknowledged_bytes,
    unread_bytes,
)

SCOPE_KEY = "tierway.wire"
"""Where a request's scope holds its connection."""

# What is expected of the caller next; integers, as members of an enum take longer to look up.
_HEAD_BEGIN: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_NOTHING: Final = 3
"""What it sends is thrown away; requests that came before are answered, then the connection ends."""
_LEAVE: Final = 4
"""The last byte is written."""

_ALL_READ: Final = (0, 0)

PARTING_S: Final = 1.0
"""Seconds a caller gets to end its side of a connection that is ended here because the server stops."""


class Wire(HttpToolsProtocol):
    """A connection that bounds what a caller may take of it, and tells the request on it when the caller has left.

    uvicorn raises nothing on `send` after a disconnect and says it only to whoever waits in `receive`; a task
    that waits there costs 10 us a request, this costs nothing until a connection is lost.

    Args:
        sweep: calls `check` a few times a second.
        config, server_state, app_state, _loop: uvicorn's.
    """

    cycle: Cycle
    has_left = False
    write: Callable[[bytes], None]
    """The transport's: to a request's cycle, the connection is the transport, so that it decides how it ends."""
    _watched: asyncio.Task[Any] | None = None
    _answered: Cycle | None = None
    """The request that is being answered; `cycle` is the newest one, which waits when it was sent ahead of time."""
    _expected = _HEAD_BEGIN
    _since = 0.0
    """When that began to be expected, as the sweep first saw it; 0 when it has not looked since."""
    _stretch_bytes = 0
    """Bytes since the head began or since the last byte of the body."""
    _body_bytes = 0
    _seen_body_bytes = 0
    _body_came_at = 0.0
    _upgrade: tuple[bytes, str] | None = None
    """Method and version of a request that asks for another protocol."""
    _last_words = b""
    """What is to be written when every request is answered."""
    _is_held = False
    """Whether the next request waits until the caller has read the last answer."""
    _thrown_away_bytes = 0
    _unread = _ALL_READ
    """Bytes that wait here and in the kernel, as the sweep last saw them."""
    _taken_at = 0.0
    _look_at = 0.0
    _is_draining = False
    _quiet_since = 0.0
    """When the drain first saw the connection idle, or on its end; 0 when it has not."""

    def __init__(self, sweep: Sweep, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._sweep = sweep

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Start to be looked after."""
        super().connection_made(transport)
        self.write = transport.write
        self._sweep.start(self.loop, cast("set[Wire]", self.connections))

    # ---------------------------------------------------------------- what arrives

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if self._expected >= _NOTHING:
            self._throw_away(len(data))
            return
        self._stretch_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            why = error.__context__  # what a callback raised
            self._refuse(why if isinstance(why, GatewayError) else refusal(400, "This is not a request of HTTP/1.1."))
        else:
            if self._stretch_bytes > MAX_HEAD_BYTES and self._expected != _HEAD_BEGIN:
                self._refuse(_too_long("head of the request" if self._expected == _HEAD else "framing of the body"))

    def on_message_begin(self) -> None:
        """Start a request's scope."""
        if len(self.pipeline) == MAX_AHEAD:
            self.cycle.end()
            self._expected = _NOTHING
            raise refusal(429, "Too many requests were sent ahead.")  # which nobody sees: the answers before it do
        super().on_message_begin()
        self._expected, self._since = _HEAD, 0.0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line in, or a line of a trailer."""
        if len(self.headers) == MAX_HEADER_LINES:
            raise refusal(431, f"There are more than {MAX_HEADER_LINES} header lines.", "head_too_large")
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the request, or have it wait for the one before it."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if self.parser.should_upgrade():
            self._upgrade = method, version
            return
        is_asking_first = self._check_head(version)
        scope = self.scope
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], scope["query_string"] = self._target(method)
        path = scope["raw_path"].decode("ascii")
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        self.headers = []  # lines of a trailer are no headers, and are not looked at
        self._expected, self._since = _BODY, 0.0
        self._stretch_bytes = self._body_bytes = self._seen_body_bytes = 0
        before = self.cycle
        cycle = self.cycle = (Cycle if version == "1.1" else OldCycle)(
            scope=scope,
            transport=self,  # type: ignore[arg-type]  # it has what the cycle calls
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=is_asking_first,
            keep_alive=version == "1.1" and self.parser.should_keep_alive() and not self._is_draining,
            on_response=self.on_response_complete,
        )
        if is_asking_first:
            cycle.ask_first()
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
            return
        self.pipeline.appendleft((cycle, self.app))
        if len(self.pipeline) >= PAUSE_AHEAD:
            self.flow.pause_reading()

    def _check_head(self, version: str) -> bool:
        """Refuse a head that cannot be answered; return whether the caller asks before it sends the body."""
        if self._stretch_bytes > MAX_HEAD_BYTES:  # which holds what followed the head in its packet
            lines = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if lines + len(self.url) > MAX_HEAD_BYTES:
                raise _too_long("head of the request")
        if len(self.url) > MAX_TARGET_BYTES:
            raise refusal(414, f"The request target is longer than {MAX_TARGET_BYTES} bytes.", "target_too_long")
        if version not in ("1.1", "1.0"):
            raise refusal(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise refusal(400, "A request has exactly one Host header.")
        if b"transfer-encoding" in names and self._value(b"transfer-encoding") != b"chunked":
            raise refusal(400, "No transfer coding but chunked is understood.")
        if b"expect" not in names or version == "1.0":  # of which RFC 9110, section 10.1.1, has it ignored
            return False
        if self._value(b"expect") != b"100-continue":
            raise refusal(417, "Nothing but 100-continue can be expected.", "expectation_failed")
        return True

    def _value(self, header: bytes) -> bytes:
        """Return the values of a header in lower case, as one."""
        return b", ".join(value.strip().lower() for name, value in self.headers if name == header)

    def _target(self, method: bytes) -> tuple[bytes, bytes]:
        """Return the path, still escaped, and the query."""
        url = self.url
        if url.startswith(b"/") and b"#" not in url:
            path, _, query = url.partition(b"?")
            return path, query
        if url == b"*" and method == b"OPTIONS":
            return url, b""
        parsed = httptools.parse_url(url)
        return parsed.path or b"/", parsed.query or b""

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, unless its request is answered."""
        self._stretch_bytes = 0
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            self._throw_away(len(body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Tell the request that all of its body is here."""
        if self._expected != _BODY:
            return  # a head that asks for another protocol
        self._expected, self._since, self._stretch_bytes = _HEAD_BEGIN, 0.0, 0
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _stay_with_http(self, rest: bytes) -> None:
        """Read a request again without its wish for another protocol, as the parser takes its body for that protocol.

        Java's client asks for HTTP/2 with each first request of a connection.
        """
        assert self._upgrade is not None  # noqa: S101  set at the end of the head
        method, version = self._upgrade
        if method == b"CONNECT":
            self._refuse(MethodNotAllowedError("This is no proxy.", allow="GET, HEAD, POST, DELETE, OPTIONS"))
            return
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version.encode("ascii"))]
        lines += [b"%b: %b\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._stretch_bytes = 0
        self.data_received(b"".join((*lines, b"\r\n", rest)))

    def _throw_away(self, count: int) -> None:
        self._thrown_away_bytes += count
        if self._thrown_away_bytes > LINGER_BYTES:
            self.transport.close()

    # ---------------------------------------------------------------- the order of answers, and the end

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request, with the connection in its scope; not before, as the two would hold one another."""
        self._answered = cycle  # type: ignore[assignment]  # made above
        cycle.scope[SCOPE_KEY] = self  # type: ignore[literal-required]  # the scope is ours to add to
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Start the next request, once the caller has read enough of the answer."""
        self.server_state.total_requests += 1
        self._since = 0.0
        if self.flow.write_paused:
            self._is_held = True
        else:
            self._go_on()

    def resume_writing(self) -> None:
        """Go on: the caller has read."""
        super().resume_writing()
        if self._is_held:
            self._go_on()

    def _go_on(self) -> None:
        self._is_held = False
        if self.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._expected == _NOTHING:
            self.write(self._last_words)
            self.close()
        if len(self.pipeline) < PAUSE_AHEAD:
            self.flow.resume_reading()

    def _refuse(self, fault: GatewayError) -> None:
        """Take nothing more in, and say why: to who reads the body, if it is at fault, else after the last answer."""
        cycle, expected = self.cycle, self._expected
        if expected == _NOTHING:
            return
        self._expected, self._since = _NOTHING, 0.0
        refused = self._sweep.refused
        refused[fault.status] = refused.get(fault.status, 0) + 1
        if expected != _BODY:
            self._last_words = _answer(fault)
            if cycle is None or (cycle.response_complete and not self._is_held):
                self._go_on()
        elif cycle.response_complete:
            self.transport.close()
        else:
            cycle.end_with(fault)

    def is_closing(self) -> bool:
        """Tell whether nothing can be written any more."""
        return self._expected == _LEAVE or self.transport.is_closing()

    def close(self) -> None:
        """End the connection once what was written is out; let the caller read it first if it is still sending."""
        if self.is_closing():
            return
        is_quiet = self._expected == _HEAD_BEGIN and not self.flow.read_paused
        if not self.transport.can_write_eof() and self.flow.write_paused:
            # The end of https takes 30 s at most, with what is still to be read before it.
            self._expected, self._last_words, self._is_held = _NOTHING, b"", True
            self.pipeline.clear()
        elif is_quiet or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self._leave()

    def _leave(self) -> None:
        self._expected, self._since, self._quiet_since = _LEAVE, 0.0, 0.0
        self.transport.write_eof()
        self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request that is being answered."""
        super().connection_lost(exc)
        self.has_left = True
        self.pipeline.clear()
        for cycle in (self.cycle, self._answered):
            if cycle is not None:
                cycle.disconnected = not cycle.response_complete
                cycle.transport = self.transport  # it and the connection would hold one another
        if self._watched is not None:
            self._watched.cancel()

    # ---------------------------------------------------------------- the end of the server

    def drain(self, now: float, linger_s: float) -> None:
        """Go towards the end, as the server stops: called again and again until the connection is lost.

        The answer to the newest request says that it is the last, if its head is not out yet. A caller who was not
        told so may just be sending another request, which is answered; after `linger_s` without one the connection
        ends, by FIN first: a caller whose request crosses it finds no answer and no reset, and asks again elsewhere.

        Args:
            now: the loop's time.
            linger_s: seconds, >= 0.
        """
        if self.is_closing():
            self._part(now)
            return
        self._is_draining = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.end()
        if not self._is_idle():
            self._quiet_since = 0.0
            return
        self._quiet_since = self._quiet_since or now
        if now - self._quiet_since < linger_s or unread_bytes(self.transport):
            return
        if self.transport.can_write_eof():
            self._leave()
        else:
            self.transport.close()

    def _is_idle(self) -> bool:
        cycle = self.cycle
        return self._expected == _HEAD_BEGIN and (cycle is None or cycle.response_complete) and not self._is_held

    def _part(self, now: float) -> None:
        """End a connection whose caller does not end its side."""
        self._quiet_since = self._quiet_since or now
        if now - self._quiet_since > PARTING_S and not self.transport.get_write_buffer_size():
            self.transport.close()

    def cut(self) -> None:
        """Cut the connection. Its request has been cancelled, as the server stops, and is not cancelled once more."""
        self._watched = None
        self.transport.abort()

    # ---------------------------------------------------------------- time

    def check(self, now: float) -> None:
        """End what has lasted too long by the loop's time `now`."""
        unsent = self.transport.get_write_buffer_size()
        if unsent or self.scheme == "https":  # where a megabyte may have been passed on that this figure leaves out
            self._check_reader(unsent, now)
        else:
            self._unread = _ALL_READ
        if unsent:
            return
        if not self._since or self.flow.read_paused:
            self._since = self._body_came_at = now
            return
        waited_s = now - self._since
        if self._expected == _BODY:
            self._check_body(waited_s, now)
        elif self._expected == _HEAD:
            if waited_s > self._sweep.limits.header_timeout_s:
                self._refuse(RequestTimeoutError("The head of the request did not arrive in time."))
        elif waited_s > self._patience_s():
            self.transport.close()

    def _patience_s(self) -> float:
        """Return how long a connection lives on which neither a head nor a body arrives."""
        if self._expected == _LEAVE:
            return LINGER_S
        if self.cycle is None:
            return self._sweep.limits.header_timeout_s
        is_idle = self.cycle.response_complete and self._expected == _HEAD_BEGIN
        return self._sweep.limits.keep_alive_s if is_idle else math.inf

    def _check_body(self, waited_s: float, now: float) -> None:
        """Hold a body to its pace: it never stops for long, and is not slow in all; one nobody reads just ends."""
        limits, cycle = self._sweep.limits, self.cycle
        if cycle.waiting_for_100_continue:
            self._since = self._body_came_at = now
            return
        if self._body_bytes != self._seen_body_bytes:
            self._seen_body_bytes, self._body_came_at = self._body_bytes, now
        quiet_s = now - self._body_came_at
        if cycle.response_complete:
            if quiet_s > LINGER_S or waited_s > limits.body_timeout_s:
                self.transport.close()
        elif quiet_s > limits.body_timeout_s:
            self._refuse(RequestTimeoutError("The request body stopped arriving."))
        elif waited_s > limits.body_timeout_s + self._body_bytes / MIN_BODY_BYTES_PER_S:
            self._refuse(RequestTimeoutError("The request body arrives too slowly."))

    def _check_reader(self, unsent: int, now: float) -> None:
        """Cut off a caller who takes nothing of what waits for it. What is written meanwhile is no sign of life."""
        if now < self._look_at:
            return
        stall_s = self._sweep.limits.stall_s
        waiting, before = (unsent, unacknowledged_bytes(self.transport)), self._unread
        self._unread, self._look_at = waiting, now + stall_s / 5
        if waiting == _ALL_READ or waiting[0] < before[0] or waiting[1] != before[1]:
            self._taken_at = now
        elif now - self._taken_at > stall_s:
            self.transport.abort()

    # ---------------------------------------------------------------- for routes

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
        cycle.want_body()
        if len(self.pipeline) < PAUSE_AHEAD:
            self.flow.resume_reading()  # a paused socket would not tell that the caller has left
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a complete answer in one write.

        The two ASGI messages for it, with their checks of each header, cost 8 us more. It is as large as the answer
        and waits here until it is read; the next request of the connection waits as long.

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
        self.write(b"".join((STATUS_LINE[status], head, end, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.close()
        cycle.on_response()

    def hang_up(self) -> None:
        """Close the connection once what was sent is out, without the bytes that would end the body well."""
        self._running().disconnected = True
        self.close()

    def _running(self) -> Cycle:
        assert self._answered is not None  # noqa: S101  only asked while a request is answered
        return self._answered


def _too_long(what: str) -> GatewayError:
    return refusal(431, f"The {what} is too long.", "head_too_large")


def _answer(fault: GatewayError) -> bytes:
    """Return the answer to what never became a request."""
    request_id = f"req-{secrets.token_hex(10)}"
    body = error_body(fault, request_id)
    lines = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode("ascii")),
        (b"connection", b"close"),
        *error_headers(fault),
    ]
    return b"".join((STATUS_LINE[fault.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", body))
