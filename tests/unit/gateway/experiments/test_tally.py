from __future__ import annotations

import random

import pytest

from gateway.experiments import tally as tally_module
from gateway.experiments.intervals import NOTHING
from gateway.experiments.tally import ArmTally, Tally, Times

SPLIT = {"gpt-4o": ("old", "new")}


def count(tally: Tally, arm: str = "new", **fields: object) -> None:
    made = {"subject": "key:1", "failed": False, "cost_microusd": 100, "first_byte_s": 0.5, **fields}
    tally.add("gpt-4o", arm, **made)  # type: ignore[arg-type]  # fields of several types


def arm_of(tally: Tally, arm: str = "new") -> ArmTally:
    return dict(tally.experiments()["gpt-4o"])[arm]


def times(*seconds: float) -> Times:
    made = Times()
    for one in seconds:
        made.add(one)
    return made


def test_requests_are_counted_with_their_costs_and_times() -> None:
    tally = Tally(SPLIT)
    count(tally, cost_microusd=100)
    count(tally, cost_microusd=300, subject="key:2")

    found = arm_of(tally)

    assert (found.requests, found.errors, len(found.subjects)) == (2, 0, 2)
    assert (found.costs.mean, found.first_bytes.count) == (200, 2)


def test_arms_are_shown_before_they_have_requests() -> None:
    assert [(arm, found.requests) for arm, found in Tally(SPLIT).experiments()["gpt-4o"]] == [("old", 0), ("new", 0)]


def test_a_failure_has_no_time_and_no_cost() -> None:
    tally = Tally(SPLIT)
    count(tally, failed=True)

    found = arm_of(tally)

    assert (found.requests, found.errors, found.costs.count, found.first_bytes.count) == (1, 1, 0, 0)


def test_a_price_that_is_not_known_is_left_out_of_the_mean() -> None:
    tally = Tally(SPLIT)
    count(tally, cost_microusd=None)

    assert (arm_of(tally).requests, arm_of(tally).costs.count) == (1, 0)


def test_a_later_word_takes_the_place_of_the_first() -> None:
    tally = Tally(SPLIT)
    tally.hear("gpt-4o", "new", 0.0)
    tally.hear("gpt-4o", "new", 1.0, replaced=0.0)

    assert (arm_of(tally).feedback.count, arm_of(tally).feedback.mean) == (1, 1.0)


def test_a_word_that_another_replica_has_counted_is_not_taken_out_here() -> None:
    tally = Tally(SPLIT)
    tally.hear("gpt-4o", "new", 1.0, replaced=0.0)

    assert arm_of(tally).feedback.count == 1


def test_following_other_experiments_keeps_what_arms_in_both_have_counted() -> None:
    tally = Tally(SPLIT)
    count(tally, "new")
    count(tally, "old")

    tally.follow({"gpt-4o": ("new", "newer")})

    assert {arm: found.requests for arm, found in tally.experiments()["gpt-4o"]} == {"new": 1, "newer": 0}


def test_arms_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_ARMS", 3)
    tally = Tally(SPLIT)

    for number in range(5):
        count(tally, f"arm-{number}")
    tally.hear("gpt-4o", "arm-9", 1.0)

    assert len(tally.experiments()["gpt-4o"]) == 3
    assert tally.overlooked == 5


def test_subjects_are_bounded() -> None:
    tally = Tally(SPLIT)
    for number in range(tally_module.MOST_SUBJECTS + 10):
        count(tally, subject=f"key:{number}")

    assert len(arm_of(tally).subjects) == tally_module.MOST_SUBJECTS


def test_percentiles_are_off_by_a_tenth_at_most() -> None:
    drawn = random.Random(3)  # noqa: S311  draws a sample, guards nothing
    seconds = sorted(drawn.lognormvariate(-1, 1) for _ in range(5000))

    found = times(*seconds)

    for share in (0.5, 0.95):
        assert found.percentile_s(share).value == pytest.approx(seconds[int(5000 * share)], rel=0.1)


def test_the_bounds_of_a_percentile_hold_it_as_often_as_they_say() -> None:
    drawn = random.Random(5)  # noqa: S311  draws a sample, guards nothing
    held = 0
    for _ in range(400):
        _, low, high = times(*(drawn.expovariate(1.0) for _ in range(200))).percentile_s(0.5)
        assert low is not None
        assert high is not None
        held += low <= 0.6931 <= high

    assert held / 400 == pytest.approx(0.95, abs=0.035)


def test_few_times_have_a_percentile_and_no_bounds() -> None:
    value, low, high = times(1.0, 1.0, 1.0).percentile_s(0.95)

    assert value == pytest.approx(1.0, rel=0.1)
    assert (low, high) == (None, None)


def test_without_times_there_is_no_percentile() -> None:
    assert times().percentile_s(0.5) == NOTHING


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
def test_times_beyond_the_bounds_are_counted_at_the_ends(seconds: float) -> None:
    found = times(seconds).percentile_s(0.5).value

    assert found <= 0.001 or found > 900
