"""An upstream that a test plays itself, step by step, to see a request while it is still being sent."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from tests.support.moment import PATIENCE_S


class Sink:
    """A listening socket. Use as a context manager."""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def accept(self) -> Incoming:
        """Wait for a connection and read the head of its request."""
        connection, _ = self._socket.accept()
        connection.settimeout(PATIENCE_S)
        return Incoming(connection)


class Incoming:
    """One request that is still arriving. Use as a context manager.

    Attributes:
        request_line: its first line.
        headers: values by lower-case name.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        self.request_line = self._file.readline().decode("latin-1").rstrip("\r\n")
        self.headers: dict[str, str] = {}
        while line := self._file.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def read(self, count: int) -> bytes:
        """Return that many bytes, fewer at the end of the connection."""
        return self._file.read(count)

    def skip(self, count: int) -> int:
        """Read that many bytes away, and return how many there were."""
        left = count
        while left and (piece := self._file.read(min(left, 2**20))):
            left -= len(piece)
        return count - left

    def chunk(self) -> bytes | None:
        """Return the next chunk of a chunked body: empty for the last, None when the connection ended instead."""
        line = self._file.readline()
        if not line:
            return None
        piece = self._file.read(int(line, 16))
        self._file.readline()
        return piece

    def has_ended(self) -> bool:
        """Wait for the end of the connection; False when bytes come instead."""
        try:
            return not self._file.read(1)
        except ConnectionResetError:
            return True

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)
