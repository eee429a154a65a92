from __future__ import annotations

import pytest

from cache.calibration.table import DEFAULT_ERROR_BUDGET, STRICTEST, table, threshold_for


def test_a_larger_budget_has_a_lower_threshold() -> None:
    thresholds = [step.threshold for step in table().steps]

    assert thresholds == sorted(thresholds, reverse=True)
    assert [step.error_budget for step in table().steps] == [0.005, 0.01, 0.02, 0.03, 0.05]


def test_every_step_kept_its_budget_where_it_was_measured() -> None:
    for step in table().steps:
        assert step.measured["stream_mixed"].errors <= step.error_budget
        assert all(of.errors <= 3 * step.error_budget for of in step.measured.values())


def test_the_default_budget_stands_in_the_table() -> None:
    assert DEFAULT_ERROR_BUDGET in [step.error_budget for step in table().steps]


def test_between_two_budgets_the_stricter_one_holds() -> None:
    assert threshold_for(0.015) == threshold_for(0.01)
    assert threshold_for(0.9) == threshold_for(0.05)
    assert threshold_for(0.001) == STRICTEST


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.1])
def test_what_is_no_budget_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="error budget"):
        threshold_for(budget)
