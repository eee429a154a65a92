from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.experiments.intervals import (
    Interval,
    Moments,
    mean_difference,
    mean_interval,
    rate_difference,
    student,
    wilson,
)


def moments(*amounts: float) -> Moments:
    made = Moments()
    for amount in amounts:
        made.add(amount)
    return made


def rounded(interval: Interval, digits: int = 4) -> tuple[float, float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return round(interval.value, digits), round(interval.low, digits), round(interval.high, digits)


def test_a_rate_has_wilsons_interval() -> None:
    # 81 of 263 and 15 of 148 are examples of Newcombe, Statistics in Medicine 17, 1998, table I.
    assert rounded(wilson(81, 263)) == (0.3080, 0.2553, 0.3662)
    assert rounded(wilson(15, 148)) == (0.1014, 0.0624, 0.1605)
    assert rounded(wilson(0, 20)) == (0.0, 0.0, 0.1611)
    assert rounded(wilson(1, 29)) == (0.0345, 0.0061, 0.1718)


@given(st.integers(1, 10**7), st.floats(0, 1))
def test_a_rate_is_within_its_interval_and_that_within_bounds(count: int, share: float) -> None:
    value, low, high = wilson(round(share * count), count)

    assert low is not None
    assert high is not None
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1


def test_ties_as_halves_make_the_interval_no_narrower_than_needed() -> None:
    ties = wilson(50, 100)

    assert rounded(ties, 3) == (0.5, 0.404, 0.596)


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == Interval(0.0, None, None)
    assert mean_interval(moments()) == Interval(0.0, None, None)
    assert mean_interval(moments(3.0)) == Interval(3.0, None, None)
    assert mean_difference(moments(1.0, 2.0), moments(1.0)) == Interval(0.0, None, None)
    assert rate_difference(1, 1, 0, 0) == Interval(0.0, None, None)


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (5, 2.571), (6, 2.447), (10, 2.228), (30, 2.042), (120, 1.980), (1e9, 1.960)],
)
def test_students_percentile_is_that_of_tables(freedom: float, table: float) -> None:
    assert student(freedom) == pytest.approx(table, abs=0.002)


def test_degrees_of_freedom_between_two_of_the_table_widen() -> None:
    assert student(4.9) == student(4)


def test_a_mean_has_students_interval() -> None:
    # Mean 5, standard deviation 2.138, 8 values: 5 +- 2.365 * 2.138 / sqrt(8).
    assert rounded(mean_interval(moments(2, 4, 4, 4, 5, 5, 7, 9)), 3) == (5.0, 3.213, 6.787)


def test_amounts_that_are_all_alike_have_no_width() -> None:
    assert mean_interval(moments(0.3, 0.3, 0.3)) == pytest.approx((0.3, 0.3, 0.3))


def test_moments_of_whole_numbers_are_exact_however_large() -> None:
    amounts = [10**15 + 1, 10**15 + 3]

    assert moments(*amounts).variance == 2.0


@given(st.lists(st.integers(0, 10**6), min_size=2), st.integers(0, 10**6))
def test_what_is_taken_out_again_leaves_no_trace(amounts: list[int], extra: int) -> None:
    made = moments(*amounts, extra)
    made.remove(extra)

    assert made.mean == pytest.approx(statistics.mean(amounts))
    assert made.variance == pytest.approx(statistics.variance(amounts))


def test_the_difference_of_rates_has_newcombes_interval() -> None:
    # 56 of 70 against 48 of 80: Newcombe, Statistics in Medicine 17, 1998, table II, method 10.
    assert rounded(rate_difference(56, 70, 48, 80)) == (0.2, 0.0524, 0.3339)


def test_the_difference_of_means_has_welchs_interval() -> None:
    first, second = moments(27.5, 21.0, 19.0, 23.6, 17.0, 17.9), moments(27.1, 22.0, 20.8, 23.4, 23.4, 23.5)

    # By `scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval()`, scipy 1.17.
    assert rounded(mean_difference(first, second), 2) == (-2.37, -6.63, 1.90)


def test_the_difference_of_constants_is_known() -> None:
    assert mean_difference(moments(1.0, 1.0), moments(0.0, 0.0)) == Interval(1.0, 1.0, 1.0)


def test_intervals_hold_the_true_figure_as_often_as_they_say() -> None:
    drawn = random.Random(7)  # noqa: S311  draws a sample, guards nothing
    held = 0
    for _ in range(2000):
        low, high = mean_interval(moments(*(drawn.gauss(10, 3) for _ in range(12))))[1:]
        assert low is not None
        assert high is not None
        held += low <= 10 <= high

    assert held / 2000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))
