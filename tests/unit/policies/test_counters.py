from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.counters import STEP_BACK_MS, Counter
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow, Window

START_MS = 1_800_000_000_000


def counter(window: Window | None, at_ms: int = START_MS) -> Counter:
    made = Counter("k", "concurrency" if window is None else "requests", window)
    made.advance(at_ms)
    return made


def add(one: Counter, amount: int) -> None:
    one.open().amount += amount
    one.total += amount


def test_content_leaves_bucket_by_bucket() -> None:
    one = counter(SlidingWindow(60))
    for second in range(60):
        one.advance(START_MS + second * 1000)
        add(one, 1)

    totals = []
    for second in (60, 61, 62, 119, 120):
        one.advance(START_MS + second * 1000)
        totals.append(one.total)

    assert totals == [60, 59, 58, 1, 0]


def test_a_counter_keeps_as_many_buckets_as_its_window_has() -> None:
    one = counter(SlidingWindow(60))
    for second in range(1000):
        one.advance(START_MS + second * 1000)
        add(one, 1)

    assert len(one.buckets) == 61
    assert one.total == 61


def test_a_bucket_that_has_left_is_marked() -> None:
    one = counter(CalendarWindow("day"))
    bucket = one.open()

    one.advance(START_MS + 86_400_000)

    assert bucket.is_live is False
    assert one.newest is None


def test_time_stands_still_after_a_small_step_back() -> None:
    one = counter(SlidingWindow(60))
    add(one, 1)

    one.advance(START_MS - 59_000)
    add(one, 1)

    assert [bucket.amount for bucket in one.buckets] == [2]
    assert one.since_ms == START_MS


def test_buckets_move_back_together_after_a_long_step_back() -> None:
    one = counter(SlidingWindow(60))
    add(one, 1)
    one.advance(START_MS + 20_000)
    add(one, 2)
    back_ms = START_MS - 10 * STEP_BACK_MS

    one.advance(back_ms)
    totals = []
    for second in (40, 41, 60, 61):
        one.advance(back_ms + second * 1000)
        totals.append(one.total)

    assert totals == [3, 2, 2, 0]


def test_what_never_leaves_by_itself_resets_never() -> None:
    for window in (None, TotalWindow()):
        one = counter(window)
        add(one, 3)

        one.advance(START_MS * 2)

        assert one.total == 3
        assert one.resets_at(0.0) is None
        assert one.wait_s(1, 3, 0.0) is None


@given(st.lists(st.tuples(st.integers(-(10**8), 10**8), st.integers(0, 5)), max_size=40), st.sampled_from([1, 7, 3600]))
def test_the_total_is_what_the_buckets_hold_however_time_jumps(steps: list[tuple[int, int]], seconds: int) -> None:
    one, now = counter(SlidingWindow(seconds)), START_MS
    for jump_ms, amount in steps:
        now = max(0, now + jump_ms)
        if not one.since_ms <= now < one.until_ms:
            one.advance(now)
        if amount:
            add(one, amount)

        assert one.total == sum(bucket.amount for bucket in one.buckets) >= 0
        assert all(bucket.is_live for bucket in one.buckets)
        ids = [bucket.id for bucket in one.buckets]
        assert ids == sorted(set(ids))
