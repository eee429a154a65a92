"""Server-sent events on their way out."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.errors import GatewayError
from gateway.domain.request import Shape
from gateway.edge.errors import ANTHROPIC, error_object

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
"""What keeps proxies between us and the caller from holding chunks back."""


def error_event(error: GatewayError, request_id: str, shape: Shape = "chat") -> bytes:
    """Return an error inside a stream, as the clients of its shape read it.

    In chat it is a plain `data:` line, as named events break some clients. In Responses the event has the members
    that the API describes and OpenAI's own `error` object besides, without which its Python client goes on reading.
    """
    document = error_object(error, request_id, shape)
    if shape == "responses":
        fields = document["error"]
        told = {name: fields[name] for name in ("code", "message", "param")}
        document = {"type": "error", "sequence_number": 0, **told, **document}
    name = b"event: error\n" if shape == "responses" or shape in ANTHROPIC else b""
    return name + b"data: " + msgspec.json.encode(document) + b"\n\n"
