"""An upstream on a real socket that does, byte for byte, what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from tests.support.moment import PATIENCE_S, Moment

CLOSE: Final = "close"
"""A step: end the connection well (FIN), after what was sent."""

ABORT: Final = "abort"
"""A step: cut the connection (RST)."""

Step = bytes | Moment | str
"""Bytes to send, a moment to wait for, CLOSE or ABORT."""

Answer = Sequence[Step]
"""What is done about one request, in order."""

Headers = Iterable[tuple[str, str]]


def raw(*steps: Step) -> Answer:
    """Answer with exactly these bytes and pauses."""
    return steps


def head(status: int = 200, headers: Headers = (), reason: str = "Whatever") -> bytes:
    """Return the head of an answer, its closing blank line included."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode("latin-1")


def plain(
    body: bytes | dict[str, Any] | list[Any],
    status: int = 200,
    headers: Headers = (),
    *,
    before: Sequence[Moment] = (),
    kind: str = "application/json",
) -> Answer:
    """Answer with one body of announced length.

    Args:
        body: bytes as they are, or a document to be written as JSON.
        status, headers: of the answer; content type and length are added.
        before: moments to wait for before the head is sent.
        kind: the content type.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [("content-type", kind), ("content-length", str(len(content))), *headers]
    return (*before, head(status, lines) + content)


def stream(
    *pieces: Step,
    status: int = 200,
    headers: Headers = (),
    kind: str = "text/event-stream",
    ends: bool = True,
) -> Answer:
    """Answer with a chunked body, one chunk a piece.

    Args:
        pieces: bytes, and moments to wait for in between.
        status, headers: of the answer; content type and encoding are added.
        kind: the content type.
        ends: whether the last chunk is sent; False leaves the body unfinished and the connection open.
    """
    start = head(status, [("content-type", kind), ("transfer-encoding", "chunked"), *headers])
    steps: list[Step] = [start]
    steps += [b"%x\r\n%b\r\n" % (len(piece), piece) if isinstance(piece, bytes) else piece for piece in pieces]
    if ends:
        steps.append(b"0\r\n\r\n")
    return steps


def events(*payloads: bytes | dict[str, Any]) -> list[bytes]:
    """Return one framed server-sent event a payload, for `stream`."""
    return [b"data: %b\n\n" % (p if isinstance(p, bytes) else json.dumps(p).encode()) for p in payloads]


def chunk(content: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk of a streamed answer that the published description accepts."""
    delta: dict[str, Any] = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "scripted-1",
        "choices": [choice],
        **fields,
    }


USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def completion(content: str | None = "Hello.", **message: Any) -> dict[str, Any]:
    """Return a plain answer that the published description accepts."""
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "scripted-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None, **message},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
    }


def error(message: str, code: str | None = None, type_: str = "invalid_request_error", param: str | None = None) -> Any:
    """Return an error document in OpenAI's shape."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


class Received:
    """One request as it arrived.

    Attributes:
        head: the bytes of its head, without the blank line.
        headers: values by lower-case name; the last of a repeated one.
        connection: the number of the connection it came on, from 1.
        answered: when the last step of its answer was done.
        closed: when its connection ended.
    """

    def __init__(self, head_bytes: bytes, connection: int) -> None:
        self.head = head_bytes
        self.connection = connection
        self.body = b""
        request_line, *lines = head_bytes.decode("latin-1").split("\r\n")
        self.method, self.target, _ = request_line.split(" ", 2)
        self.header_lines = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        self.headers = dict(self.header_lines)
        self.answered = Moment("the end of the upstream's answer")
        self.closed = Moment("the end of the upstream's connection")

    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedUpstream:
    """A TCP server in a thread of its own. Use as a context manager.

    Each request is answered by the next of the scripted answers, or by `otherwise` when none is left.

    Args:
        tls: a server context, for https.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._changed = threading.Condition()
        self._answers: deque[Answer] = deque()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self._stopping = asyncio.Event()
        self._listening = Moment("listening")
        self.connections = 0
        self.requests: list[Received] = []
        self.otherwise: Answer = plain(completion())
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE_S)

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else '127.0.0.1'}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL for a settings file or a client."""
        return self.origin + "/v1"

    def script(self, *answers: Answer) -> None:
        """Add answers for the next requests."""
        with self._changed:
            self._answers.extend(answers)

    def reset(self) -> None:
        """Forget answers not given and requests seen, and cut every connection, for the next test."""
        with self._changed:
            self._answers.clear()
            self.requests.clear()
            self.otherwise = plain(completion())
        done = Moment("cutting connections")
        self._loop.call_soon_threadsafe(self._cut, done)
        done.wait()

    def wait_for_request(self, number: int = 1, within_s: float = PATIENCE_S) -> Received:
        """Return the request of that number, counted from 1 since the last reset, once it is complete."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= number, within_s):
                raise AssertionError(f"request {number} did not come within {within_s:g} s")
            return self.requests[number - 1]

    async def next_request(self, number: int = 1, within_s: float = PATIENCE_S) -> Received:
        """Do what `wait_for_request` does, in an event loop."""
        return await asyncio.to_thread(self.wait_for_request, number, within_s)

    @property
    def last(self) -> Received:
        return self.requests[-1]

    def _cut(self, done: Moment) -> None:
        for connection in list(self._connections):
            connection.transport.abort()
        done.happen()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.happen()
        await self._stopping.wait()
        server.close()
        tasks = [task for connection in self._connections if (task := connection.task) is not None]
        self._cut(Moment())
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    def _take_answer(self, received: Received) -> Answer:
        with self._changed:
            answer = self._answers.popleft() if self._answers else self.otherwise
            self.requests.append(received)
            self._changed.notify_all()
            return answer


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: ScriptedUpstream) -> None:
        self._upstream = upstream
        self._buffer = b""
        self._reading: Received | None = None
        self._served: list[Received] = []
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._upstream.connections += 1
        self._number = self._upstream.connections
        self._upstream._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream._connections.discard(self)
        if self.task is not None:
            self.task.cancel()
        for received in self._served:
            received.closed.happen()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._reading is None:
            head_bytes, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            self._reading, self._buffer = Received(head_bytes, self._number), rest
        received = self._reading
        length = int(received.headers.get("content-length", "0"))
        if len(self._buffer) < length:
            return
        received.body, self._buffer = self._buffer[:length], self._buffer[length:]
        self._reading = None
        self._served.append(received)
        answer = self._upstream._take_answer(received)
        self.task = asyncio.get_running_loop().create_task(self._answer(received, answer))

    async def _answer(self, received: Received, answer: Answer) -> None:
        for step in answer:
            if isinstance(step, Moment):
                await step.reached(None)
            elif isinstance(step, bytes):
                self.transport.write(step)
                await asyncio.sleep(0)
            elif step == ABORT:
                self.transport.abort()
            else:
                self.transport.close()
        received.answered.happen()
