"""Whose fault a failed call was: the classes that breakers know, and the wait that an upstream asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal, get_args

from gateway.domain.errors import (
    UpstreamClosedError,
    UpstreamError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from router.health.durations import read_wait_s

Fault = Literal["connect", "timeout", "overload", "server", "garbled", "auth"]
"""What a provider does wrong. `auth`: it refuses the gateway's own credential or account."""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

AMBIGUOUS: Final[frozenset[Fault]] = frozenset({"timeout", "overload", "server", "garbled"})
"""Classes that one caller's requests may bring about as well as an outage: what they hold, or how long they are."""

MOST_RETRY_AFTER_S: Final = 120.0
"""The longest wait that an upstream is believed: what OpenAI's Python client honours (openai-python 3.x, 2026-11)."""

_BY_CLASS: Final[tuple[tuple[type[UpstreamError], Fault], ...]] = (
    (UpstreamTimeoutError, "timeout"),
    (UpstreamClosedError, "server"),  # it may have choked on this one request
    (UpstreamUnreachableError, "connect"),
    (UpstreamOverloadedError, "overload"),
)
"""The first that fits counts."""

_BY_STATUS: Final[dict[int, Fault]] = {
    401: "auth",
    402: "auth",  # the account ran dry: DeepSeek, OpenRouter
    403: "server",  # the account, or one caller's words: OpenRouter's moderation answers so
    408: "timeout",
    429: "overload",
    503: "overload",
    504: "timeout",
    529: "overload",  # Anthropic's overloaded_error
}


def fault_of(error: BaseException) -> Fault | None:
    """Return the class of the provider's fault, None where it is nobody's or the caller's.

    A call that the request's own deadline cut off (`DeadlineExceededError`) says nothing of the provider: the caller
    may have left it a second. Nor does an answer that refuses the request itself (400, 404, 409, 413, 422).
    """
    if isinstance(error, UpstreamRefusedError):
        return _fault_of_status(error.status)
    if isinstance(error, UpstreamGarbledError):
        return _fault_of_status(error.answered_status) if error.answered_status >= 500 else "garbled"
    return next((fault for kind, fault in _BY_CLASS if isinstance(error, kind)), None)


def _fault_of_status(status: int) -> Fault | None:
    return _BY_STATUS.get(status, "server" if status >= 500 else None)


def retry_after_s(error: BaseException, wall_clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds an upstream asks to be left alone for, 0 to `MOST_RETRY_AFTER_S`; None where it says nothing.

    Args:
        error: what a call failed with.
        wall_clock: seconds since the epoch, for waits that are told as a date.
    """
    if not isinstance(error, UpstreamRefusedError):
        return None
    told = dict(error.headers)
    wait_s = read_wait_s(told.get(b"retry-after-ms"), told.get(b"retry-after"), wall_clock)
    return None if wait_s is None else min(wait_s, MOST_RETRY_AFTER_S)
