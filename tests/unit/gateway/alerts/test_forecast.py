from __future__ import annotations

import pytest

from gateway.alerts.forecast import MIN_HISTORY_S, SpendingRate
from policies.windows import SlidingWindow, TotalWindow
from tests.support.alerts import EPOCH, standing

TOTAL = TotalWindow()


def spent(*used: float, every_s: float = 20.0, resets_at: float | None = None) -> tuple[SpendingRate, float]:
    """Return the rate of a budget of 100 USD seen so at these steps, and the last moment's tick."""
    rate = SpendingRate(standing(used[0], resets_at=resets_at, window=TOTAL), 0.0)
    for number, usd in enumerate(used):
        rate.note(standing(usd, resets_at=resets_at, window=TOTAL), number * every_s)
    return rate, (len(used) - 1) * every_s


def test_a_steady_rate_is_extrapolated() -> None:
    rate, tick = spent(*(step * 0.1 for step in range(31)))

    left_s = rate.seconds_left(standing(3.0, resets_at=None, window=TOTAL), EPOCH + tick)

    assert left_s == pytest.approx(97.0 / 0.1 * 20.0)


def test_a_young_history_says_nothing() -> None:
    steps = int(MIN_HISTORY_S / 20.0)
    rate, tick = spent(*(step * 0.1 for step in range(steps)))

    assert rate.seconds_left(standing(1.0, resets_at=None, window=TOTAL), EPOCH + tick) is None


def test_what_is_not_spent_is_never_empty() -> None:
    rate, tick = spent(*[50.0] * 31)

    assert rate.seconds_left(standing(50.0, resets_at=None, window=TOTAL), EPOCH + tick) is None


def test_holds_that_come_and_go_are_no_spending() -> None:
    rate, tick = spent(*([50.0, 52.0] * 20), 50.0)

    left_s = rate.seconds_left(standing(50.0, resets_at=None, window=TOTAL), EPOCH + tick)

    assert left_s is None or left_s > 7 * 86_400


def test_an_empty_budget_is_empty_now() -> None:
    rate, tick = spent(100.0)

    assert rate.seconds_left(standing(100.0, resets_at=None, window=TOTAL), EPOCH + tick) == 0.0


@pytest.mark.parametrize(("resets_in_s", "is_told"), [(19_000.0, False), (20_000.0, True)])
def test_a_window_that_ends_before_saves_the_budget(resets_in_s: float, is_told: bool) -> None:  # noqa: FBT001
    rate, tick = spent(*(step * 0.1 for step in range(31)))
    now = EPOCH + tick

    left_s = rate.seconds_left(standing(3.0, resets_at=now + resets_in_s, window=TOTAL), now)

    assert (left_s is not None) == is_told


def test_a_new_period_is_no_negative_spending() -> None:
    rate = SpendingRate(standing(0.0), 0.0)
    for step in range(40):
        rate.note(standing(step * 0.1), step * 20.0)
    rate.note(standing(0.1, resets_at=EPOCH + 2 * 86_400), 800.0)

    left_s = rate.seconds_left(standing(0.1, resets_at=EPOCH + 2 * 86_400), EPOCH + 800)

    assert left_s == pytest.approx(99.9 / 0.1 * 20.0)


def test_a_sliding_window_that_loses_as_much_as_is_spent_is_never_empty() -> None:
    window = SlidingWindow(3600)
    rate = SpendingRate(standing(0.0, window=window), 0.0)
    for step in range(60):
        rate.note(standing(60.0, window=window, resets_at=EPOCH + 3600 + step), step * 20.0 + 20.0)
    for step in range(60, 120):
        rate.note(standing(59.9, window=window, resets_at=EPOCH + 3600 + step), step * 20.0 + 20.0)

    left_s = rate.seconds_left(standing(59.9, window=window, resets_at=EPOCH + 6000), EPOCH + 2400)

    assert left_s is None


def test_a_clock_that_stands_still_changes_nothing() -> None:
    rate, tick = spent(*(step * 0.1 for step in range(31)))
    rate.note(standing(90.0, resets_at=None, window=TOTAL), tick)

    left_s = rate.seconds_left(standing(90.0, resets_at=None, window=TOTAL), EPOCH + tick)

    assert left_s == pytest.approx(10.0 / 0.1 * 20.0)
