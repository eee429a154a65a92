"""The windows that limits and budgets count in, and how a settings file names them.

Time is an integer of milliseconds since the epoch, so that where one bucket ends and the next begins is exact.
A window is cut into buckets. What is consumed is counted in the bucket of its moment, and a bucket's content stops
counting as a whole.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from functools import lru_cache
from typing import Final, Literal, get_args

import msgspec

CalendarUnit = Literal["hour", "day", "week", "month"]
"""A period of the calendar. Weeks start on Monday (ISO 8601)."""

MAX_SLIDING_S: Final = 366 * 86_400
"""The longest sliding window, in seconds."""

_FINE: Final = 60
_COARSE: Final = 10
_HOUR_MS: Final = 3_600_000
_SPANS_MS: Final = {"hour": _HOUR_MS, "day": 24 * _HOUR_MS, "week": 168 * _HOUR_MS, "month": 31 * 24 * _HOUR_MS}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS: Final = {"second": 1, "minute": 60}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})\s*([smhdw])", re.ASCII)
_FORMS: Final = "second, minute, hour, day, week, month, total or rolling <number><s|m|h|d|w>"


def milliseconds(at_s: float) -> int:
    """Return a moment of a clock in whole milliseconds.

    A microsecond is added first: dividing milliseconds by 1000 and multiplying again may end up just below them.

    Args:
        at_s: seconds since the epoch.
    """
    return int(at_s * 1000.0 + 0.001)


class SlidingWindow(msgspec.Struct, frozen=True, tag="sliding"):
    """The last `seconds` seconds, at every moment.

    The window is 60 buckets (10 for one second) and the one under way, all counted in full. What is consumed at t
    therefore counts until t + `seconds` at least and one bucket longer at most: no interval of `seconds` seconds ever
    holds more than a cap.

    Attributes:
        seconds: its length, 1 to `MAX_SLIDING_S`.
    """

    seconds: int

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= MAX_SLIDING_S:
            raise ValueError(f"a sliding window is 1 second to {MAX_SLIDING_S} seconds long, not {self.seconds}")

    @property
    def buckets(self) -> int:
        """Return how many buckets count besides the one under way."""
        return _COARSE if self.seconds == 1 else _FINE

    @property
    def span_ms(self) -> int:
        """Return the window's length."""
        return self.seconds * 1000

    def bucket(self, at_ms: int) -> int:
        """Return the id of the bucket of a moment; ids ascend by one."""
        return at_ms * self.buckets // self.span_ms

    def starts_ms(self, bucket: int) -> int:
        """Return when a bucket begins."""
        return self.ends_ms(bucket - 1)

    def ends_ms(self, bucket: int) -> int:
        """Return when the next bucket begins."""
        return -(-(bucket + 1) * self.span_ms // self.buckets)

    def expires_ms(self, bucket: int) -> int:
        """Return the first moment at which a bucket's content no longer counts."""
        return self.ends_ms(bucket + self.buckets)


class CalendarWindow(msgspec.Struct, frozen=True, tag="calendar"):
    """The hour, day, week or month under way on the clocks of a zone: one bucket a period, exact.

    A bucket's id is the moment at which its period begins, in milliseconds. Days of 23 and 25 hours and hours that
    come twice are periods as local clocks show them; a local hour that a change of half an hour stretches is one.

    Attributes:
        unit: which period.
        zone: a name of the IANA database.
    """

    unit: CalendarUnit
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in get_args(CalendarUnit):
            raise ValueError(f"a calendar window is an hour, day, week or month, not {self.unit!r}")
        _zone(self.zone)

    @property
    def span_ms(self) -> int:
        """Return the usual length of a period; a month counts 31 days."""
        return _SPANS_MS[self.unit]

    def bucket(self, at_ms: int) -> int:
        """Return the id of the bucket of a moment: when its period began."""
        local = _local(at_ms, self.zone)
        if self.unit == "hour":
            return _epoch_ms(local.replace(minute=0, second=0, microsecond=0))
        return _epoch_ms(_midnight(self._first_day(local.date()), self.zone))

    def starts_ms(self, bucket: int) -> int:
        """Return when a bucket begins, which is its id."""
        return bucket

    def ends_ms(self, bucket: int) -> int:
        """Return when the next bucket begins."""
        if self.unit == "hour":
            return self._next_hour_ms(bucket)
        first = self._first_day(_local(bucket, self.zone).date())
        return _epoch_ms(_midnight(self._next_first_day(first), self.zone))

    def expires_ms(self, bucket: int) -> int:
        """Return the first moment at which a bucket's content no longer counts: when its period ends."""
        return self.ends_ms(bucket)

    def _next_hour_ms(self, bucket: int) -> int:
        later = bucket + _HOUR_MS
        while (found := self.bucket(later)) <= bucket:
            later += _HOUR_MS // 4
        return found

    def _first_day(self, day: dt.date) -> dt.date:
        if self.unit == "week":
            return day - dt.timedelta(days=day.weekday())
        return day.replace(day=1) if self.unit == "month" else day

    def _next_first_day(self, first: dt.date) -> dt.date:
        if self.unit == "month":
            return (first + dt.timedelta(days=31)).replace(day=1)
        return first + dt.timedelta(days=7 if self.unit == "week" else 1)


class TotalWindow(msgspec.Struct, frozen=True, tag="total"):
    """All time: one bucket, whose content never stops counting."""

    @property
    def span_ms(self) -> None:
        """Return None: there is no length."""
        return

    def bucket(self, at_ms: int) -> int:  # noqa: ARG002  the windows' common signature
        """Return 0, the only bucket."""
        return 0

    def starts_ms(self, bucket: int) -> None:  # noqa: ARG002  the windows' common signature
        """Return None: it was always under way."""
        return

    def ends_ms(self, bucket: int) -> None:  # noqa: ARG002  the windows' common signature
        """Return None: there is no next bucket."""
        return

    def expires_ms(self, bucket: int) -> None:  # noqa: ARG002  the windows' common signature
        """Return None: what is in it counts for ever."""
        return


Window = SlidingWindow | CalendarWindow | TotalWindow
"""What a limit or a budget counts in; a tagged union for msgspec."""


def parse_window(text: str, zone: str = "UTC") -> Window:
    """Read a window as settings name it.

    `second` and `minute` are sliding, as are `rolling 30m`, `rolling 1d`; `hour`, `day`, `week` and `month` are periods
    of the calendar; `total` never ends.

    Args:
        text: one of these; case and surrounding space do not matter.
        zone: the time zone of a calendar window, a name of the IANA database.

    Raises:
        ValueError: it is none of these, or the zone is unknown; the message says which.
    """
    words = text.strip().lower()
    if words == "total":
        return TotalWindow()
    if words in get_args(CalendarUnit):
        return CalendarWindow(words, zone)  # type: ignore[arg-type]  # it is one of them
    if words in _WORDS:
        return SlidingWindow(_WORDS[words])
    kind, _, duration = words.partition(" ")
    found = _DURATION.fullmatch(duration.strip())
    if kind != "rolling" or found is None:
        raise ValueError(f"{text!r} is no window: {_FORMS}")
    return SlidingWindow(int(found[1]) * _SECONDS[found[2]])


@lru_cache(maxsize=64)
def _zone(name: str) -> dt.tzinfo:
    if name == "UTC":  # known without a database, which small images lack
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; names look like UTC or Europe/Berlin") from error


def _local(at_ms: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms // 1000, _zone(zone))


def _midnight(day: dt.date, zone: str) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=_zone(zone))


def _epoch_ms(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1000
