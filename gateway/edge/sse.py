"""Server-sent events on their way out."""

from __future__ import annotations

from typing import Final

from gateway.domain.errors import GatewayError
from gateway.edge.errors import error_body

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
"""What keeps proxies between us and the caller from holding chunks back."""


def error_event(error: GatewayError, request_id: str) -> bytes:
    """Return an error inside a stream: a plain `data:` line, as named events break some clients."""
    return b"data: " + error_body(error, request_id) + b"\n\n"
