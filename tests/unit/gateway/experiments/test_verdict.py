from __future__ import annotations

import pytest

from gateway.experiments.intervals import wilson
from gateway.experiments.tally import ArmTally
from gateway.experiments.verdict import pair_verdict, split_verdict


def arm(requests: int = 1000, errors: int = 0, good: int = 0, bad: int = 0, subjects: int = 50) -> ArmTally:
    made = ArmTally()
    made.requests, made.errors, made.subjects = requests, errors, set(range(subjects))
    for score in [1.0] * good + [0.0] * bad:
        made.feedback.add(score)
    return made


def verdict(usual: ArmTally, canary: ArmTally) -> str:
    return split_verdict([("gpt-5", canary), ("gpt-4o", usual)])


def test_arms_that_do_alike_show_no_difference() -> None:
    usual, canary = arm(2000, 20, good=80, bad=20), arm(errors=10, good=40, bad=10)

    assert verdict(usual, canary) == "no difference shown yet"


def test_an_arm_that_fails_more_often_is_named_with_the_difference() -> None:
    assert verdict(arm(9000, 90), arm(1000, 40)) == (
        "gpt-5 fails more often than gpt-4o: 4.0 % against 1.0 %, difference 3.0 [1.9, 4.4] points"
    )


def test_an_arm_that_callers_rate_higher_is_named_with_the_difference() -> None:
    assert verdict(arm(9000, good=60, bad=40), arm(1000, good=90, bad=10)) == (
        "gpt-5 is rated higher than gpt-4o: 0.90 against 0.60, difference 0.30 [0.19, 0.41]"
    )


def test_all_that_differs_is_said() -> None:
    said = verdict(arm(9000, 900, good=90, bad=10), arm(1000, 0, good=40, bad=60))

    assert "gpt-5 fails less often than gpt-4o" in said
    assert "; gpt-5 is rated lower than gpt-4o" in said


def test_few_trials_say_nothing_however_they_went() -> None:
    assert verdict(arm(9000, 0, good=100), arm(19, 19, bad=19)) == "no difference shown yet"


def test_requests_of_few_callers_are_not_compared() -> None:
    assert verdict(arm(9000, 0), arm(1000, 500, subjects=3)) == "too few callers to tell (3 in gpt-5)"


@pytest.mark.parametrize("arms", [[], [("gpt-5", arm())]])
def test_one_arm_has_nothing_beside_it(arms: list[tuple[str, ArmTally]]) -> None:
    assert split_verdict(arms) == "one arm only: nothing to compare"


def test_three_arms_are_compared_with_the_one_that_has_most() -> None:
    said = split_verdict([("a", arm(5000)), ("b", arm(1000, 100)), ("c", arm(1000, 200))])

    assert [part.split(":")[0] for part in said.split("; ")] == [
        "b fails more often than a",
        "c fails more often than a",
    ]


@pytest.mark.parametrize(
    ("wins", "judged", "said"),
    [
        (174, 300, "gpt-5 wins 58 % [52, 63] against gpt-4o, ties as half"),
        (126, 300, "gpt-5 loses: it wins 42 % [37, 48] against gpt-4o, ties as half"),
        (10.5, 21, "no difference shown yet: gpt-5 wins 50 % [30, 70] against gpt-4o, ties as half"),
        (19, 19, "too few verdicts to tell (19)"),
        (0, 0, "too few verdicts to tell (0)"),
    ],
)
def test_a_shadow_wins_or_loses_when_its_interval_is_on_one_side(wins: float, judged: int, said: str) -> None:
    assert pair_verdict("gpt-5", "gpt-4o", wilson(wins, judged), judged) == said
