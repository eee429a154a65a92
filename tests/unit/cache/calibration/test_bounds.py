from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.calibration.bounds import incomplete_beta, lower_bound, upper_bound


@pytest.mark.parametrize(
    ("wrong", "seen", "bound"),
    [
        # without errors the bound is 1 - 0.05 ** (1 / n)
        (0, 299, 1 - 0.05 ** (1 / 299)),
        (0, 10, 1 - 0.05 ** (1 / 10)),
        # tables of the binomial distribution: P(X <= 1 | 10, 0.3942) and P(X <= 5 | 100, 0.1023) are 0.05
        (1, 10, 0.39416),
        (5, 100, 0.10226),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_upper_bounds_are_those_of_the_tables(wrong: int, seen: int, bound: float) -> None:
    assert upper_bound(wrong, seen) == pytest.approx(bound, abs=2e-5)


def test_it_takes_299_audits_without_an_error_to_show_one_percent() -> None:
    assert upper_bound(0, 298) > 0.01
    assert upper_bound(0, 299) <= 0.01


def test_lower_bounds_mirror_upper_bounds() -> None:
    assert lower_bound(3, 20) == pytest.approx(1 - upper_bound(17, 20))
    assert lower_bound(0, 20) == 0
    assert lower_bound(20, 20) == pytest.approx(0.05 ** (1 / 20))


def test_a_higher_confidence_is_a_wider_bound() -> None:
    assert upper_bound(3, 50, 0.99) > upper_bound(3, 50, 0.95)


@pytest.mark.parametrize(
    ("x", "a", "b", "value"),
    [(0.5, 2, 2, 0.5), (0.25, 1, 1, 0.25), (0.3, 1, 5, 1 - 0.7**5), (0.3, 5, 1, 0.3**5), (0, 2, 3, 0), (1, 2, 3, 1)],
)
def test_the_beta_function_has_its_closed_forms(x: float, a: float, b: float, value: float) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(value, abs=1e-10)


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_bound_lies_around_the_share_seen(wrong: int, right: int) -> None:
    seen = wrong + right

    assert lower_bound(wrong, seen) <= (wrong / seen if seen else 1) <= upper_bound(wrong, seen)
    assert upper_bound(wrong, seen) <= upper_bound(wrong + 1, seen + 1) + 1e-9


@pytest.mark.parametrize(("wrong", "seen", "confidence"), [(2, 1, 0.95), (-1, 1, 0.95), (0, 1, 1.0), (0, 1, 0.0)])
def test_what_is_no_count_is_refused(wrong: int, seen: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"is no count|a confidence"):
        upper_bound(wrong, seen, confidence)
