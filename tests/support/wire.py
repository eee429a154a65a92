"""A client on a raw socket, for what no HTTP library would send, and for seeing every byte of an answer."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from tests.support.moment import PATIENCE_S


class Answer:
    """One answer as it came.

    Attributes:
        header_lines: names in lower case, in order.
        body: with the chunked framing taken off.
        ended_well: whether the body was complete by its length or its last chunk.
    """

    def __init__(self, head: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ", 2)[1])
        self.header_lines = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        self.headers = dict(self.header_lines)
        self.body = b""
        self.ended_well = False

    def json(self) -> Any:
        return json.loads(self.body)

    def payloads(self) -> list[bytes]:
        """Return the payloads of a stream's events; anything but `data: ` lines and blank ones fails."""
        *frames, rest = self.body.split(b"\n\n")
        assert rest == b""
        assert all(frame.startswith(b"data: ") and b"\n" not in frame for frame in frames), frames
        return [frame.removeprefix(b"data: ") for frame in frames]


class WireClient:
    """One connection. Use as a context manager.

    Args:
        address: host and port.
        tls: a client context, for https.
        receive_bytes: how much the kernel takes in before it is read, about; its own choice when None.
    """

    def __init__(
        self, address: tuple[str, int], tls: ssl.SSLContext | None = None, *, receive_bytes: int | None = None
    ) -> None:
        plain = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_bytes is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.settimeout(PATIENCE_S)
        plain.connect(address)
        self.socket = plain if tls is None else tls.wrap_socket(plain, server_hostname="localhost")
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Answer:
        """Send a request and return its answer."""
        self.send(request_bytes(method, target, headers, body))
        return self.answer(has_body=method != "HEAD")

    def post_chat(self, body: bytes | dict[str, Any], *headers: tuple[str, str]) -> Answer:
        """Send a chat request and return its answer."""
        self.send(chat_bytes(body, *headers))
        return self.answer()

    def answer(self, *, has_body: bool = True) -> Answer:
        """Read one answer to its end, or to the end of the connection."""
        answer = self.head()
        length = answer.headers.get("content-length")
        if not has_body or answer.status == 204:
            answer.ended_well = True
        elif length is not None:
            answer.body, answer.ended_well = self._take(int(length))
        elif answer.headers.get("transfer-encoding") == "chunked":
            while (piece := self.chunk()) is not None:
                answer.body += piece
                answer.ended_well = not piece
                if not piece:
                    break
        return answer

    def head(self) -> Answer:
        """Read the head of an answer."""
        while b"\r\n\r\n" not in self._buffer:
            assert self._fill(), f"the connection ended before an answer; there was {self._buffer!r}"
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return Answer(head)

    def chunk(self) -> bytes | None:
        """Read one chunk of a chunked body: empty for the last, None when the connection ended instead."""
        while b"\r\n" not in self._buffer:
            if not self._fill():
                return None
        size, _, self._buffer = self._buffer.partition(b"\r\n")
        piece, complete = self._take(int(size, 16) + 2)
        return piece[:-2] if complete else None

    def rest(self) -> bytes:
        """Read to the end of the connection."""
        while self._fill():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    def is_closed_by_peer(self) -> bool:
        """Wait for the end of the connection; False when bytes come instead."""
        return not self._buffer and not self._fill()

    def _take(self, count: int) -> tuple[bytes, bool]:
        while len(self._buffer) < count:
            if not self._fill():
                break
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken, len(taken) == count

    def _fill(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)


def request_bytes(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
) -> bytes:
    """Return a request; `host`, and with a body its length, are added."""
    lines = [("host", "gateway.test"), *headers]
    if body is not None:
        lines.append(("content-length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def chat_bytes(body: bytes | dict[str, Any], *headers: tuple[str, str]) -> bytes:
    """Return a chat request; a JSON content type is added where none is named."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = () if any(name == "content-type" for name, _ in headers) else (("content-type", "application/json"),)
    return request_bytes("POST", "/v1/chat/completions", [*kind, *headers], content)


def chat(model: str = "relayed", content: str = "Hi", **fields: Any) -> dict[str, Any]:
    """Return a chat request as a document."""
    return {"model": model, "messages": [{"role": "user", "content": content}], **fields}
