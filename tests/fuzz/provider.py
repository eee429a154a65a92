"""An upstream of the gateway under test, in every shape: it answers soundly, or as badly as it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from tests.fuzz.answers import ABORT, STALL, Said, Shape, hostile, sound

_SHAPES: Final[Mapping[str, Shape]] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/responses/input_tokens": "input_tokens",
    "/responses/compact": "compact",
    "/messages": "messages",
    "/messages/count_tokens": "counts",
    "/completions": "completions",
    "/embeddings": "embeddings",
}
_ASKED_BADLY: Final = re.compile(rb"^idempotency-key: *case-(\d+)\r?$", re.MULTILINE | re.IGNORECASE)
_LENGTH: Final = re.compile(rb"^content-length: *(\d+)\r?$", re.MULTILINE | re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding: *chunked\r?$", re.MULTILINE | re.IGNORECASE)

_STALL_S: Final = 5.0
"""Longer than the gateway under test waits for anyone."""


class Provider:
    """Answers on a loopback port. Use as an asynchronous context manager.

    Args:
        seed: of hostile answers.

    Attributes:
        requests: how many came.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = 0

    @property
    def url(self) -> str:
        """The base URL for the settings; the port is taken from the start."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, sock=self._socket, limit=2**24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until one side has enough."""
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            goes_on = True
            while goes_on:
                head = await reader.readuntil(b"\r\n\r\n")
                await _read_body(reader, head)
                self.requests += 1
                goes_on = await _say(self._answer(head), reader, writer)
        writer.transport.abort()
        self._writers.discard(writer)

    def _answer(self, head: bytes) -> Said:
        path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0].removeprefix("/v1")
        shape = _shape(head.split(b" ", 1)[0], path)
        is_stream = b"text/event-stream" in head
        number = _ASKED_BADLY.search(head)
        if number is None:
            return sound(shape, is_stream=is_stream)
        return hostile(self._seed, int(number[1]), shape, is_stream=is_stream)


def _shape(method: bytes, path: str) -> Shape:
    """Return what is answered to a method at a path."""
    if method == b"POST" and path in _SHAPES:
        return _SHAPES[path]
    if not path.startswith("/responses/"):
        return "any"
    if method == b"DELETE":
        return "deleted"
    return "items" if path.endswith("/input_items") else "responses"


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if _CHUNKED.search(head):
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    elif found := _LENGTH.search(head):
        await reader.readexactly(int(found[1]))


async def _say(said: Said, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Do what an answer says, and tell whether the connection goes on."""
    for step in said.steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step == STALL:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), _STALL_S)
            return False
        elif step == ABORT:
            return False
    return True
