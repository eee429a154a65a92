"""How providers write waits and moments in headers. Nothing here raises: rubbish is None."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

LONGEST_S: Final = 366 * 86_400.0
"""What is longer than a year is rubbish."""

_MOST_BYTES: Final = 40
_PARTS: Final = re.compile(rb"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS: Final = (86_400.0, 3600.0, 60.0, 1.0, 0.001)


def read_wait_s(milliseconds: bytes | None, seconds: bytes | None, wall_clock: Callable[[], float]) -> float | None:
    """Return the wait of `retry-after-ms`, else that of `retry-after`, in seconds >= 0.

    Args:
        milliseconds: value of `retry-after-ms`.
        seconds: value of `retry-after`: seconds or a date (RFC 9110 section 10.2.3).
        wall_clock: seconds since the epoch.
    """
    if milliseconds is not None and (number := read_number(milliseconds)) is not None:
        return number / 1000.0
    if seconds is None:
        return None
    number = read_number(seconds)
    return _until_date_s(seconds, wall_clock) if number is None else number


def read_reset_s(value: bytes, wall_clock: Callable[[], float]) -> float | None:
    """Return the seconds until a limit is full again, >= 0.

    Args:
        value: a span as OpenAI writes it (`12ms`, `6m0s`, `1h2m`), seconds, or a moment as Anthropic writes it
            (RFC 3339; without an offset it is UTC).
        wall_clock: seconds since the epoch.
    """
    value = value.strip()
    if len(value) > _MOST_BYTES:
        return None
    if value[-1:] in b"smhd":
        return read_span_s(value)
    return _until_moment_s(value, wall_clock) if b"-" in value else read_number(value)


def read_span_s(value: bytes) -> float | None:
    """Return the seconds of a span in Go's notation: days, hours, minutes, seconds, milliseconds, largest first."""
    if value[-2:] == b"ms":  # the common forms have one part, and cost less without the pattern
        number = read_number(value[:-2])
        if number is not None:
            return number / 1000.0
    elif value[-1:] == b"s":
        number = read_number(value[:-1])
        if number is not None:
            return number
    found = _PARTS.fullmatch(value)
    if found is None or not value:
        return None
    span = sum(float(part) * unit for part, unit in zip(found.groups(b"0"), _SECONDS, strict=True))
    return span if span <= LONGEST_S else None


def read_number(value: bytes) -> float | None:
    """Return a finite number from 0 to `LONGEST_S`."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0.0 <= number <= LONGEST_S else None


def _until_moment_s(value: bytes, wall_clock: Callable[[], float]) -> float | None:
    moment_s = _moment_s(value)
    return None if moment_s is None else _until_s(moment_s, wall_clock)


@lru_cache(maxsize=64)
def _moment_s(value: bytes) -> float | None:
    """Return the seconds since the epoch; cached, as the moments of one second's answers are alike."""
    try:
        return _epoch_s(dt.datetime.fromisoformat(value.decode("ascii")))
    except ValueError:
        return None


def _until_date_s(value: bytes, wall_clock: Callable[[], float]) -> float | None:
    if len(value) > _MOST_BYTES:
        return None
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return _until_s(_epoch_s(moment), wall_clock)


def _epoch_s(moment: dt.datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _until_s(moment_s: float, wall_clock: Callable[[], float]) -> float | None:
    left = moment_s - wall_clock()
    return max(0.0, left) if left <= LONGEST_S else None
