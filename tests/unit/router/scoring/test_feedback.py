from __future__ import annotations

import pytest

from router.scoring.feedback import BOUND, Feedback, shifted
from router.scoring.scorer import Assessment

PLAIN = Assessment("code", 0.5, 0.5, 0.4, 0.2, 1.0, ("code",), "en")


def taught(count: int, *, failed: bool, kind: str = "code") -> Feedback:
    feedback = Feedback()
    for _ in range(count):
        feedback.learn(kind, failed=failed, predicted=feedback.adjusted(PLAIN).simple_fails)
    return feedback


def test_failures_move_a_kind_up() -> None:
    found = taught(30, failed=True).adjusted(PLAIN)

    assert found.score > PLAIN.score
    assert found.simple_fails > PLAIN.simple_fails
    assert found.medium_fails > PLAIN.medium_fails


def test_successes_move_a_kind_down() -> None:
    assert taught(30, failed=False).adjusted(PLAIN).score < PLAIN.score


def test_other_kinds_stay() -> None:
    assert taught(30, failed=True, kind="maths").adjusted(PLAIN) is PLAIN


def test_one_failure_moves_little() -> None:
    assert taught(1, failed=True).adjusted(PLAIN).score - PLAIN.score < 0.01


@pytest.mark.parametrize("failed", [True, False])
def test_no_flood_moves_a_kind_beyond_the_bound(failed: bool) -> None:  # noqa: FBT001
    feedback = Feedback()
    for _ in range(5000):
        feedback.learn("code", failed=failed, predicted=0.5)

    assert abs(feedback.offsets["code"].logits) == BOUND


def test_outcomes_as_predicted_leave_a_kind_where_it_is() -> None:
    feedback = Feedback()
    for number in range(1000):
        feedback.learn("code", failed=number % 5 < 2, predicted=feedback.adjusted(PLAIN).simple_fails)

    assert abs(feedback.offsets["code"].logits) < 0.15


def test_an_offset_finds_the_true_rate() -> None:
    feedback = Feedback()
    for number in range(2000):
        feedback.learn("code", failed=number % 10 < 6, predicted=feedback.adjusted(PLAIN).simple_fails)

    assert feedback.adjusted(PLAIN).simple_fails == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("predicted", [-1.0, 0.0, 1.0, 7.0])
def test_predictions_at_the_ends_are_taken(predicted: float) -> None:
    feedback = Feedback()

    feedback.learn("code", failed=True, predicted=predicted)

    assert 0 <= feedback.adjusted(PLAIN).score <= 1


def test_names_of_kinds_do_not_pile_up() -> None:
    feedback = Feedback()
    for number in range(1000):
        feedback.learn(f"kind {number}", failed=True, predicted=0.5)

    assert len(feedback.offsets) <= 64


def test_no_offset_is_no_change() -> None:
    assert shifted(0.3, 0.0) == pytest.approx(0.3)
