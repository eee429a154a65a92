from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.windows import (
    MAX_SLIDING_S,
    CalendarUnit,
    CalendarWindow,
    SlidingWindow,
    TotalWindow,
    Window,
    milliseconds,
    parse_window,
)

HOUR_MS = 3_600_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
moments = st.integers(min_value=0, max_value=4_102_444_800_000)


def at(text: str, zone: str = "UTC") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("second", SlidingWindow(1)),
        ("minute", SlidingWindow(60)),
        ("hour", CalendarWindow("hour")),
        ("day", CalendarWindow("day")),
        ("week", CalendarWindow("week")),
        ("month", CalendarWindow("month")),
        ("total", TotalWindow()),
        ("rolling 1s", SlidingWindow(1)),
        ("rolling 30m", SlidingWindow(1800)),
        ("rolling 2h", SlidingWindow(7200)),
        ("rolling 1d", SlidingWindow(86_400)),
        (" Rolling  2 w ", SlidingWindow(1_209_600)),
        ("DAY", CalendarWindow("day")),
    ],
)
def test_a_window_is_read_as_settings_name_it(text: str, window: Window) -> None:
    assert parse_window(text) == window


def test_a_calendar_window_is_in_its_zone() -> None:
    assert parse_window("month", "Europe/Berlin") == CalendarWindow("month", "Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    ["", "year", "rolling", "rolling 0s", "rolling -1d", "rolling 1y", "rolling 1.5h", "1d", "rolling \u0661d", "día"],
)
def test_what_is_no_window_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="is no window: second, minute, hour"):
        parse_window(text)


@pytest.mark.parametrize("text", ["rolling 367d", "rolling 999999999w"])
def test_a_window_longer_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 second to"):
        parse_window(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "a\0b"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        parse_window("day", zone)


def test_a_calendar_unit_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'year'"):
        CalendarWindow("year")  # type: ignore[arg-type]


def test_a_minute_has_sixty_buckets_and_a_second_ten() -> None:
    assert [SlidingWindow(seconds).buckets for seconds in (1, 2, 60, 3600)] == [10, 60, 60, 60]


@given(moments, st.integers(min_value=1, max_value=MAX_SLIDING_S))
def test_content_of_a_sliding_window_counts_for_its_length_and_a_bucket_at_most(at_ms: int, seconds: int) -> None:
    window = SlidingWindow(seconds)

    bucket = window.bucket(at_ms)

    assert window.starts_ms(bucket) <= at_ms < window.ends_ms(bucket)
    assert window.bucket(window.ends_ms(bucket)) == bucket + 1
    assert window.bucket(window.ends_ms(bucket) - 1) == bucket
    assert window.span_ms < window.expires_ms(bucket) - at_ms <= window.span_ms * (1 + 1 / window.buckets) + 1


@given(moments, st.sampled_from(["hour", "day", "week", "month"]), st.sampled_from(ZONES))
@settings(max_examples=500)
def test_periods_of_the_calendar_follow_each_other_without_a_gap(at_ms: int, unit: CalendarUnit, zone: str) -> None:
    window = CalendarWindow(unit, zone)

    bucket = window.bucket(at_ms)
    end = window.ends_ms(bucket)

    assert bucket == window.starts_ms(bucket) <= at_ms < end == window.expires_ms(bucket)
    assert window.bucket(bucket) == bucket
    assert window.bucket(end - 1) == bucket
    assert window.bucket(end) == end
    assert end - bucket <= window.span_ms + 2 * HOUR_MS


@pytest.mark.parametrize(
    ("unit", "zone", "moment", "start", "hours"),
    [
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T00:00", 23),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:00", 25),
        ("day", "Pacific/Apia", "2011-12-29T12:00", "2011-12-29T00:00", 24),
        ("day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T01:00", 23),
        ("week", "Europe/Berlin", "2026-03-29T23:59", "2026-03-23T00:00", 167),
        ("week", "UTC", "2027-01-01T00:00", "2026-12-28T00:00", 168),
        ("month", "UTC", "2028-02-29T23:59", "2028-02-01T00:00", 29 * 24),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01T00:00", 31 * 24),
        ("month", "Europe/Berlin", "2026-03-31T12:00", "2026-03-01T00:00", 31 * 24 - 1),
        ("hour", "Asia/Kolkata", "2026-06-01T10:59", "2026-06-01T10:00", 1),
        ("hour", "Australia/Lord_Howe", "2026-04-05T01:10", "2026-04-05T01:00", 1.5),
        ("hour", "Australia/Lord_Howe", "2026-10-04T02:40", "2026-10-04T02:30", 0.5),
    ],
)
def test_a_period_is_as_long_as_local_clocks_make_it(
    unit: CalendarUnit, zone: str, moment: str, start: str, hours: float
) -> None:
    window = CalendarWindow(unit, zone)

    bucket = window.bucket(at(moment, zone))

    assert bucket == at(start, zone)
    assert window.ends_ms(bucket) - bucket == hours * HOUR_MS


def test_an_hour_that_comes_twice_is_two_periods() -> None:
    window = CalendarWindow("hour", "Europe/Berlin")
    first = at("2026-10-25T02:30", "Europe/Berlin")

    assert window.bucket(first + HOUR_MS) == window.bucket(first) + HOUR_MS


def test_a_total_never_ends() -> None:
    window = TotalWindow()

    assert window.bucket(0) == window.bucket(1 << 50) == 0
    assert window.span_ms is None


@given(moments)
def test_milliseconds_survive_the_way_through_seconds(at_ms: int) -> None:
    assert milliseconds(at_ms / 1000) == at_ms
