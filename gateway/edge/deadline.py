"""How long a request may take, as its caller says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.errors import InvalidRequestError

DEFAULT_DEADLINE_S: Final = 600.0
"""Seconds a request may take when its caller names no other time: the OpenAI clients' default."""


def seconds_allowed(headers: Mapping[bytes, bytes], *, is_streaming: bool = False) -> float:
    """Return how long the request may take.

    The read timeout of OpenAI's clients is the longest they wait for the next byte: the deadline of a plain answer
    and of the first event of a stream, but none for a stream that is under way.

    Raises:
        InvalidRequestError: the caller's own header is not a duration.
    """
    seconds = DEFAULT_DEADLINE_S
    if not is_streaming and (read_timeout := headers.get(b"x-stainless-read-timeout")) is not None:
        seconds = min(seconds, _positive(read_timeout) or seconds)
    if (own := headers.get(b"x-tierway-timeout-ms")) is not None:
        milliseconds = _positive(own)
        if milliseconds is None:
            raise InvalidRequestError("X-Tierway-Timeout-Ms must be a number of milliseconds, more than 0.")
        seconds = min(seconds, milliseconds / 1000)
    return seconds


def _positive(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None
