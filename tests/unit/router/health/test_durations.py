from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.health.durations import LONGEST_S, read_reset_s, read_wait_s

NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def noon() -> float:
    return NOON


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"12ms", 0.012), (b"1s", 1.0), (b"7.66s", 7.66), (b"6m0s", 360.0), (b"1h2m", 3720.0), (b"2m59.56s", 179.56),
        (b"1d", 86_400.0), (b"5m", 300.0), (b"1m30s500ms", 90.5), (b"0s", 0.0), (b" 1s ", 1.0), (b"17.5", 17.5),
        (b"2027-01-15T08:00:30Z", 30.0), (b"2027-01-15T09:00:30+01:00", 30.0), (b"2027-01-15T08:00:30.250Z", 30.25),
        (b"2027-01-15T08:00:30", 30.0), (b"2027-01-15T07:00:00Z", 0.0),
    ],
)  # fmt: skip
def test_resets_are_read(value: bytes, seconds: float) -> None:
    assert read_reset_s(value, noon) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"s", b"ms", b"-1s", b"1s2m", b"soon", b"1x", b"nan", b"nans", b"inf", b"infs", b"1e999s", b"\xff\xfe",
        b"99999999h", b"1800000060", b"2027-13-01T00:00:00Z", b"9999-01-01T00:00:00Z", b"9" * 5000, b"9" * 5000 + b"s",
        b"2027-01-15T08:00:30Z and more", b"\xd9\xa1s",
    ],
)  # fmt: skip
def test_rubbish_is_no_reset(value: bytes) -> None:
    assert read_reset_s(value, noon) is None


@pytest.mark.parametrize(
    ("milliseconds", "seconds", "wait_s"),
    [
        (b"250", b"9", 0.25), (None, b"9", 9.0), (None, b"1.5", 1.5), (None, b"0", 0.0), (b"rubbish", b"9", 9.0),
        (None, b"Fri, 15 Jan 2027 08:00:30 GMT", 30.0), (None, b"Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (None, None, None), (None, b"later", None), (b"-5", None, None), (None, b"Fri, 99 Jan 2027", None),
    ],
)  # fmt: skip
def test_waits_are_read(milliseconds: bytes | None, seconds: bytes | None, wait_s: float | None) -> None:
    assert read_wait_s(milliseconds, seconds, noon) == wait_s


@given(
    st.binary(max_size=60)
    | st.text("0123456789smhd.+-:TZ eGMT,", max_size=40).map(str.encode)
    | st.from_regex(rb"\A(Mon, )?\d{1,9} Jan \d{1,9} \d{1,4}:\d\d:\d\d [+-]\d{1,9}\Z")
)
def test_nothing_raises_and_what_is_read_is_a_sane_number(value: bytes) -> None:
    for found in (read_reset_s(value, noon), read_wait_s(value, value, noon), read_wait_s(None, value, noon)):
        assert found is None or 0.0 <= found <= LONGEST_S
