from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.experiments.settings import Split
from gateway.experiments.split import Assigner, subject_of
from tests.support.build import caller

SUBJECTS = [f"key:{number}" for number in range(5_000)]


def arms(**weights: float) -> list[str]:
    """Return the arm of each subject."""
    assigner = Assigner({"gpt-4o": Split(split=weights)})
    return [assigner.arm("gpt-4o", subject) for subject in SUBJECTS]


def moves(before: list[str], after: list[str]) -> set[tuple[str, str]]:
    return {(old, new) for old, new in zip(before, after, strict=True) if old != new}


def test_arms_have_their_shares() -> None:
    counts = Counter(arms(a=0.7, b=0.25, c=0.05))

    assert counts["a"] == pytest.approx(3500, abs=150)
    assert counts["b"] == pytest.approx(1250, abs=130)
    assert counts["c"] == pytest.approx(250, abs=65)


def test_a_subject_keeps_its_arm() -> None:
    assert arms(a=1, b=1) == arms(a=1, b=1)


def test_a_growing_canary_only_wins_callers() -> None:
    assert moves(arms(a=0.95, b=0.05), arms(a=0.9, b=0.1)) == {("a", "b")}


def test_raising_one_of_many_weights_moves_callers_into_that_arm_only() -> None:
    assert moves(arms(a=90, b=5, c=5), arms(a=90, b=5, c=10)) == {("a", "c"), ("b", "c")}


def test_shares_that_sum_to_one_again_move_few_others() -> None:
    before, after = arms(a=0.9, b=0.05, c=0.05), arms(a=0.85, b=0.05, c=0.1)

    astray = sum(old != new != "c" for old, new in zip(before, after, strict=True))

    assert astray < len(SUBJECTS) * 0.005


def test_an_arm_that_leaves_sends_nobody_but_its_own_away() -> None:
    before, after = arms(a=90, b=5, c=5), arms(a=90, b=5)

    assert {old for old, _ in moves(before, after)} == {"c"}


def test_the_order_of_writing_changes_nothing() -> None:
    assert arms(a=0.9, b=0.1) == arms(b=0.1, a=0.9)


def test_two_aliases_assign_independently() -> None:
    assigner = Assigner({name: Split(split={"a": 1, "b": 1}) for name in ("x", "y")})

    same = sum(assigner.arm("x", subject) == assigner.arm("y", subject) for subject in SUBJECTS)

    assert same == pytest.approx(2500, abs=200)


@given(st.dictionaries(st.text(min_size=1), st.floats(5e-324, 1e300), min_size=1, max_size=5), st.text())
@settings(deadline=None)
def test_every_subject_has_an_arm_whatever_the_weights(weights: dict[str, float], subject: str) -> None:
    assert Assigner({"x": Split(split=weights)}).arm("x", subject) in weights


def test_a_name_that_is_not_split_has_no_arms() -> None:
    assigner = Assigner({"x": Split(split={"a": 1}, sticky="user")})

    assert assigner.sticky("x") == "user"
    assert assigner.sticky("y") is None
    with pytest.raises(KeyError):
        assigner.arm("y", "key:1")


def test_who_keeps_an_arm() -> None:
    asker = caller(team="search", key_id="key_1")

    assert subject_of("key", asker, user="ann", conversation="c") == "key:key_1"
    assert subject_of("user", asker, user="ann") == "user:search:ann"
    assert subject_of("conversation", asker, conversation="c") == "conversation:search:c"


@pytest.mark.parametrize("user", [None, ""])
def test_without_a_user_or_a_conversation_the_key_keeps_the_arm(user: str | None) -> None:
    asker = caller(key_id="key_1")

    assert subject_of("user", asker, user=user) == "key:key_1"
    assert subject_of("conversation", asker, conversation=user) == "key:key_1"


def test_users_of_one_name_in_two_teams_are_two_subjects() -> None:
    assert subject_of("user", caller(team="a"), user="1") != subject_of("user", caller(team="b"), user="1")
