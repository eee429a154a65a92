from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.health.rolling import Rolling


def test_what_happened_counts_for_nine_tenths_of_the_window_at_least() -> None:
    counted = Rolling(30.0, 0.0)
    counted.add(2.9)

    assert counted.count(29.9) == 1


def test_what_happened_longer_ago_than_the_window_does_not_count() -> None:
    counted = Rolling(30.0, 0.0)
    counted.add(2.9)
    counted.add(3.1)

    assert counted.count(30.1) == 1
    assert counted.count(33.1) == 0


def test_a_long_pause_empties_it() -> None:
    counted = Rolling(30.0, 0.0)
    counted.add(0.0)

    counted.add(1e6)

    assert counted.count(1e6) == 1


@given(st.lists(st.floats(0.0, 20.0), max_size=100))
def test_it_counts_what_lies_within_the_window(pauses: list[float]) -> None:
    counted = Rolling(30.0, 0.0)
    moments = [0.0]
    for pause in pauses:
        moments.append(moments[-1] + pause)
        counted.add(moments[-1])
        now = moments[-1]
        surely = sum(moment > now - 26.9 for moment in moments[1:])
        perhaps = sum(moment > now - 30.1 for moment in moments[1:])

        assert surely <= counted.count(now) <= perhaps
