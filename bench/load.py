"""A load client on raw protocols: keeps N requests in flight and notes when each began, answered first and ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from bench.upstream import CHUNKS

_PROMPT: Final = "Explain in two sentences why the sky is blue, and name one source. " * 12
"""Makes a request body of about 1 KB."""

_SPARE_S: Final = 10.0
"""Seconds that requests in flight get to end once the time is over."""


class Result(msgspec.Struct):
    """What a run measured; times in seconds."""

    seconds: float
    latencies: list[float]
    first_bytes: list[float]
    chunks: int
    errors: list[str]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


def quantile_ms(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def request(path: str, model: str, key: str, *, stream: bool) -> bytes:
    """Return a chat request as it goes on the wire."""
    message = {"role": "user", "content": _PROMPT}
    document = {"model": model, "messages": [message], "stream": stream, "stream_options": {"include_usage": True}}
    if not stream:
        del document["stream_options"]
    body = json.dumps(document, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: bench.test\r\nauthorization: Bearer {key}\r\n"
    return head.encode() + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as an answer is complete, until the time is over."""

    def __init__(self, message: bytes, result: Result, ends_at: float) -> None:
        self._message = message
        self._result = result
        self._ends_at = ends_at
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None  # noqa: S101  only called while connected
        if time.perf_counter() >= self._ends_at:
            self._finish()
            return
        self._pieces: list[bytes] = []
        self._size = 0
        self._body_at = -1
        self._total = -1
        self._first_at = 0.0
        self._started = time.perf_counter()
        self._transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        """Find out whether the answer is complete."""
        self._pieces.append(data)
        self._size += len(data)
        if self._body_at < 0 and not self._read_head():
            return
        if not self._first_at and self._size > self._body_at:
            self._first_at = time.perf_counter()
        if self._total >= 0:
            if self._size >= self._total:
                self._complete(0)
        elif (b"".join(self._pieces[-2:]) if len(data) < 5 else data).endswith(b"0\r\n\r\n"):
            self._complete(CHUNKS)

    def _read_head(self) -> bool:
        text = b"".join(self._pieces)
        end = text.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = text[:end].lower()
        self._body_at = end + 4
        if not head.startswith(b"http/1.1 200"):
            self._fail(text[:300].decode("latin-1"))
            return False
        if b"\r\ncontent-length:" in head:
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._total = self._body_at + int(length)
        return True

    def _complete(self, chunks: int) -> None:
        text = b"".join(self._pieces)
        if chunks and (text.count(b"data: {") != chunks or b"data: [DONE]" not in text):
            self._fail(f"a stream of {text.count(b'data: {')} chunks: {text[-200:]!r}")
            return
        self._result.latencies.append(time.perf_counter() - self._started)
        self._result.first_bytes.append(self._first_at - self._started)
        self._result.chunks += chunks
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note an end nobody asked for."""
        if not self.done.done():
            self._fail(f"the connection ended: {exc}")

    def _fail(self, what: str) -> None:
        self._result.errors.append(what)
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.abort()


async def load(port: int, message: bytes, *, connections: int, seconds: float) -> Result:
    """Keep `connections` requests in flight for some seconds, each on a connection of its own."""
    loop = asyncio.get_running_loop()
    result = Result(seconds, [], [], 0, [])
    started = time.perf_counter()

    async def connect() -> _Client:
        _, client = await loop.create_connection(lambda: _Client(message, result, started + seconds), "127.0.0.1", port)
        return client

    clients: list[_Client] = []
    for _ in range(connections):
        clients.append(await connect())  # noqa: PERF401  one after another, so that no backlog overflows
    _, late = await asyncio.wait([client.done for client in clients], timeout=seconds + _SPARE_S)
    if late:
        result.errors.append(f"{len(late)} requests did not end within {_SPARE_S:g} s")
    result.seconds = time.perf_counter() - started
    return result
