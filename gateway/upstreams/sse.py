"""Reading server-sent events as upstreams really send them."""

from __future__ import annotations

from typing import Final

from gateway.domain.errors import UpstreamGarbledError

MAX_EVENT_BYTES: Final = 16 * 2**20
"""The longest single event; an image in a chunk stays below it."""

DONE: Final = b"[DONE]"
"""The payload that ends an OpenAI stream."""


def frame(payload: bytes) -> bytes:
    """Return one event as it goes on the wire."""
    if b"\n" in payload:
        payload = payload.replace(b"\n", b"\ndata: ")
    return b"data: " + payload + b"\n\n"


def named_frame(event: bytes, payload: bytes) -> bytes:
    """Return one event with a name, as the Responses and Messages APIs send them."""
    return b"event: " + event.replace(b"\n", b"").replace(b"\r", b"") + b"\n" + frame(payload)


class EventSplitter:
    """Cuts a byte stream into the payloads of its events (WHATWG HTML, section 9.2).

    Line ends may be LF, CRLF or CR, `data:` may lack its space, a split may fall anywhere, inside a character
    too. Comments and the fields `id`, `event` and `retry` are dropped; several `data` lines are joined by LF.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete with these bytes.

        Raises:
            UpstreamGarbledError: one event is longer than `MAX_EVENT_BYTES`.
        """
        seam = self._tail + data[:2]
        if b"\n\n" not in data and b"\r" not in data and b"\n\n" not in seam and b"\r" not in seam:
            self._keep(data)
            return []
        text = b"".join([*self._pieces, data]) if self._pieces else data
        self._pieces.clear()
        self._size = 0
        if b"\r" in text:
            text = _fold_line_ends(text)
        end = text.rfind(b"\n\n")
        self._keep(text[end + 2 :] if end >= 0 else text)
        if end < 0:
            return []
        return [payload for event in text[:end].split(b"\n\n") if (payload := _payload(event)) is not None]

    def finish(self) -> list[bytes]:
        """Return the payload of an event whose closing blank line never came."""
        rest = _fold_line_ends(b"".join(self._pieces) + b"\n").strip(b"\n")
        self._pieces.clear()
        payload = _payload(rest)
        return [] if payload is None else [payload]

    def _keep(self, text: bytes) -> None:
        if text:
            self._pieces.append(text)
            self._size += len(text)
            if self._size > MAX_EVENT_BYTES:
                raise UpstreamGarbledError("The upstream sent an event that is too long.")
        self._tail = text[-2:]


def _fold_line_ends(text: bytes) -> bytes:
    """Turn CRLF and CR into LF, but for a CR at the very end, whose LF may be still to come."""
    held = b"\r" if text.endswith(b"\r") else b""
    body = text[: len(text) - len(held)]
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held


def _payload(event: bytes) -> bytes | None:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line.removeprefix(b"\xef\xbb\xbf") for line in event.split(b"\n")]
    values = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(values) if values else None
