"""A client connection that sends any bytes and reads answers."""

from __future__ import annotations

import asyncio

import msgspec


class Answer(msgspec.Struct):
    """One answer as it came; `complete` tells whether its body ended as its framing said."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    complete: bool


class Connection:
    """A client connection that reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection(*address, limit=2**22))

    async def send(self, data: bytes) -> None:
        """Send; a server that hangs up meanwhile is no error, as its answer may be there to read."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> Answer | None:
        """Read one answer; None when the connection ended instead."""
        head = await self._head()
        while head is not None and head.startswith(b"HTTP/1.1 1"):  # an interim answer
            head = await self._head()
        if head is None:
            return None
        first, *lines = head.split(b"\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(b":") for line in lines if line)}
        status = int(first.split(b" ")[1])
        body, complete = (b"", True) if status in (204, 304) else await self._body(headers)
        return Answer(status, headers, body, complete)

    async def _head(self) -> bytes | None:
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _body(self, headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        try:
            if headers.get(b"transfer-encoding") == b"chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    pieces.append((await self._reader.readexactly(size + 2))[:-2])
                await self._reader.readexactly(2)
            elif b"content-length" in headers:
                pieces.append(await self._reader.readexactly(int(headers[b"content-length"])))
            else:
                pieces.append(await self._reader.read(-1))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"".join(pieces), False
        return b"".join(pieces), True

    async def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
