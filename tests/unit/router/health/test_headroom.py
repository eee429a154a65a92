from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.health.headroom import FORGET_S, Mirror
from tests.support.clock import Clock

NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z
Headers = list[tuple[bytes, bytes]]


def openai(limit: int, remaining: int, reset: str, kind: str = "requests") -> Headers:
    return [
        (b"content-type", b"application/json"),
        (f"x-ratelimit-limit-{kind}".encode(), str(limit).encode()),
        (f"x-ratelimit-remaining-{kind}".encode(), str(remaining).encode()),
        (f"x-ratelimit-reset-{kind}".encode(), reset.encode()),
    ]


def anthropic(kind: str, limit: int, remaining: int, reset: str) -> Headers:
    return [
        (f"anthropic-ratelimit-{kind}-limit".encode(), str(limit).encode()),
        (f"anthropic-ratelimit-{kind}-remaining".encode(), str(remaining).encode()),
        (f"anthropic-ratelimit-{kind}-reset".encode(), reset.encode()),
    ]


@pytest.fixture
def clock() -> Clock:
    return Clock(50.0)


@pytest.fixture
def mirror(clock: Clock) -> Mirror:
    return Mirror(clock, lambda: NOON)


def learn(mirror: Mirror, clock: Clock, *headers: Headers) -> None:
    mirror.learn("m", [line for part in headers for line in part], clock.now)


def test_what_is_not_known_fits(mirror: Mirror) -> None:
    mirror.note_sent("m", 1000)

    assert mirror.delay_s("m", 1_000_000) == 0.0
    assert mirror.headroom("m") == 1.0
    assert not mirror.is_known


def test_answers_without_limits_leave_nothing_behind(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, [(b"content-type", b"text/event-stream"), (b"x-request-id", b"r")])

    assert not mirror.is_known


def test_a_call_that_fits_need_not_wait(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(100, 1, "60s"), openai(1000, 500, "60s", "tokens"))

    assert mirror.delay_s("m", 500) == 0.0


def test_requests_come_back_evenly(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(100, 0, "1m0s"))

    assert mirror.delay_s("m", 1) == pytest.approx(0.6)


def test_a_call_waits_for_its_tokens(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"))

    assert mirror.delay_s("m", 700) == pytest.approx(3.0)


def test_time_fills_it(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"))

    clock.now += 3.0

    assert mirror.delay_s("m", 700) == 0.0
    assert mirror.headroom("m") == pytest.approx(0.7)


def test_it_is_never_more_than_full(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"))

    clock.now += 600.0
    mirror.note_sent("m", 1000)

    assert mirror.delay_s("m", 100) == pytest.approx(1.0)


def test_the_tightest_limit_counts(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(100, 90, "6s"), openai(1000, 100, "60s", "tokens"))

    assert mirror.delay_s("m", 250) == pytest.approx(10.0)
    assert mirror.headroom("m") == pytest.approx(0.1)


def test_what_is_sent_is_taken_out_until_the_next_report(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"))
    mirror.note_sent("m", 300)
    before = mirror.delay_s("m", 200)

    learn(mirror, clock, openai(1000, 250, "7.5s", "tokens"))

    assert (before, mirror.delay_s("m", 200)) == pytest.approx((1.0, 0.0))


def test_a_call_larger_than_the_limit_waits_until_it_is_full(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"))

    assert mirror.delay_s("m", 5000) == pytest.approx(6.0)


@pytest.mark.parametrize("reset", ["soon", "0s", "1e-320s"])
def test_a_report_without_a_reset_fills_in_a_minute(mirror: Mirror, clock: Clock, reset: str) -> None:
    learn(mirror, clock, openai(600, 0, reset))

    assert mirror.delay_s("m", 1) == pytest.approx(0.1)


def test_a_report_without_a_limit_keeps_the_known_one(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(100, 100, "0s"))

    learn(mirror, clock, [(b"x-ratelimit-remaining-requests", b"25")])

    assert mirror.headroom("m") == 0.25


def test_anthropics_limits_are_read(mirror: Mirror, clock: Clock) -> None:
    learn(
        mirror,
        clock,
        anthropic("requests", 50, 49, "2027-01-15T08:00:01Z"),
        anthropic("input-tokens", 1000, 0, "2027-01-15T08:01:00Z"),
        anthropic("output-tokens", 800, 700, "2027-01-15T08:00:10Z"),
    )

    assert mirror.delay_s("m", 100) == pytest.approx(6.0)


def test_output_tokens_need_only_not_be_used_up(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, anthropic("output-tokens", 800, 10, "2027-01-15T08:01:00Z"))
    mirror.note_sent("m", 100_000)
    before = mirror.delay_s("m", 100_000)

    learn(mirror, clock, anthropic("output-tokens", 800, 0, "2027-01-15T08:01:20Z"))

    assert (before, mirror.delay_s("m", 1)) == pytest.approx((0.0, 0.1))


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([(b"retry-after", b"7")], 7.0),
        ([(b"retry-after", b"7"), (b"retry-after-ms", b"6500")], 6.5),
        ([(b"retry-after", b"Fri, 15 Jan 2027 08:00:30 GMT")], 30.0),
        ([(b"retry-after", b"9999")], 120.0),
        ([(b"retry-after", b"later")], 0.0),
    ],
)
def test_an_upstream_that_asks_to_be_left_alone_is(
    mirror: Mirror, clock: Clock, headers: Headers, wait_s: float
) -> None:
    learn(mirror, clock, headers)

    assert mirror.delay_s("m", 1) == wait_s
    assert mirror.headroom("m") == (0.0 if wait_s else 1.0)


def test_a_refused_call_that_was_too_large_does_not_hold_up_smaller_ones(mirror: Mirror, clock: Clock) -> None:
    limits = [*openai(100, 90, "6s"), *openai(1000, 400, "36s", "tokens")]

    learn(mirror, clock, limits, [(b"retry-after", b"20")])

    assert mirror.delay_s("m", 300) == 0.0
    assert mirror.delay_s("m", 900) == pytest.approx(30.0)


def test_a_wait_with_a_limit_that_is_used_up_holds_for_all(mirror: Mirror, clock: Clock) -> None:
    limits = [*openai(100, 90, "6s"), *openai(1000, 0, "60s", "tokens")]

    learn(mirror, clock, limits, [(b"retry-after", b"20")])

    assert mirror.delay_s("m", 1) == 20.0


@pytest.mark.parametrize(
    "headers",
    [
        openai(0, 0, "1s"),
        openai(-1, -1, "1s"),
        [(b"x-ratelimit-limit-requests", b"100")],
        [(b"x-ratelimit-remaining-requests", b"many"), (b"x-ratelimit-limit-requests", b"100")],
        [(b"x-ratelimit-remaining-tokens", b"9" * 5000)],
        [(b"x-ratelimit-reset-tokens", b"\xff")],
        [(b"x-ratelimit-remaining-requests", b"")],
    ],
)
def test_rubbish_is_ignored(mirror: Mirror, clock: Clock, headers: Headers) -> None:
    learn(mirror, clock, headers)

    assert mirror.delay_s("m", 1000) == 0.0
    assert mirror.headroom("m") == 1.0


NAMES = st.sampled_from(
    [name for name, _ in (*openai(1, 1, "1s"), *openai(1, 1, "1s", "tokens"), *anthropic("input-tokens", 1, 1, ""))]
    + [b"retry-after", b"retry-after-ms"]
)
VALUES = st.binary(max_size=20) | st.from_regex(rb"\A\d{1,16}(\.\d+)?(s|ms|m|h|d)?\Z")


@given(st.lists(st.lists(st.tuples(NAMES, VALUES)), max_size=5), st.integers(0, 10**9), st.floats(0.0, 1e6))
def test_nothing_raises_and_every_figure_is_sane(reports: list[Headers], tokens: int, pause_s: float) -> None:
    clock = Clock(0.0)
    mirror = Mirror(clock, lambda: NOON)
    for report in reports:
        learn(mirror, clock, report)
        mirror.note_sent("m", tokens)
        clock.now += pause_s
        other = Mirror(clock)
        other.merge(mirror.snapshot())

        for one in (mirror, other):
            assert 0.0 <= one.delay_s("m", tokens) < float("inf")
            assert 0.0 <= one.headroom("m") <= 1.0


def test_another_replica_takes_over_what_it_is_told(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(1000, 400, "6s", "tokens"), [(b"retry-after", b"2")])
    other = Mirror(Clock(9_000.0))

    other.merge(mirror.snapshot())

    assert other.headroom("m") == 0.0
    assert (mirror.delay_s("m", 700), other.delay_s("m", 700)) == pytest.approx((3.0, 3.0))


def test_what_is_newer_wins(clock: Clock, mirror: Mirror) -> None:
    other = Mirror(clock)
    learn(mirror, clock, openai(100, 10, "90s"))
    clock.now += 1.0
    learn(other, clock, openai(100, 70, "30s"))

    ours, theirs = mirror.snapshot(), other.snapshot()
    mirror.merge(theirs)
    other.merge(ours)

    assert mirror.headroom("m") == other.headroom("m") == pytest.approx(0.7)


def test_what_was_sent_from_here_is_taken_out_of_what_others_heard(clock: Clock, mirror: Mirror) -> None:
    learn(mirror, clock, openai(100, 100, "0s"))
    mirror.note_sent("m", 1)
    other = Mirror(clock)
    clock.now += 0.1
    learn(other, clock, openai(100, 50, "30s"))

    mirror.merge(other.snapshot())
    once = mirror.headroom("m")
    clock.now += 0.1
    learn(other, clock, openai(100, 50, "30s"))
    mirror.merge(other.snapshot())

    assert (once, mirror.headroom("m")) == pytest.approx((0.49, 0.5))


def test_the_same_report_coming_back_changes_nothing(clock: Clock, mirror: Mirror) -> None:
    learn(mirror, clock, openai(100, 50, "50s"))
    told = mirror.snapshot()
    mirror.note_sent("m", 1)

    mirror.merge(told)

    assert mirror.headroom("m") == pytest.approx(0.49)


def test_old_reports_are_not_passed_on(clock: Clock, mirror: Mirror) -> None:
    learn(mirror, clock, openai(100, 50, "50s"))

    clock.now += FORGET_S

    assert mirror.snapshot() == b"{}"


def test_a_snapshot_holds_ages_and_no_moments(clock: Clock, mirror: Mirror) -> None:
    learn(mirror, clock, openai(100, 50, "50s"))
    clock.now += 2.0

    assert json.loads(mirror.snapshot()) == {
        "m": {
            "limits": [{"kind": "requests", "limit": 100.0, "level": 52.0, "per_s": 1.0, "age_s": 2.0}],
            "wait_s": 0.0,
        }
    }


@pytest.mark.parametrize(
    "told",
    [
        b"", b"\xff", b"[]", b'{"m":1}', b'{"m":{"limits":[{}]}}', b'{"m":{"wait_s":-1}}', b'{"m":{"wait_s":1e9}}',
        b'{"m":{"limits":[{"kind":"requests","limit":0,"level":0,"per_s":1,"age_s":1}]}}',
        b'{"m":{"limits":[{"kind":"requests","limit":1,"level":0,"per_s":1,"age_s":9999}]}}',
        b'{"m":{"limits":[{"kind":"coins","limit":1,"level":0,"per_s":1,"age_s":1}]}}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_snapshots_that_make_no_sense_are_ignored(mirror: Mirror, told: bytes) -> None:
    mirror.merge(told)

    assert mirror.delay_s("m", 1) == 0.0


def test_deployments_that_are_gone_are_forgotten(mirror: Mirror, clock: Clock) -> None:
    learn(mirror, clock, openai(100, 0, "60s"))

    mirror.keep({"other"})

    assert not mirror.is_known
