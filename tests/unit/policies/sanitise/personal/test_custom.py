from __future__ import annotations

import itertools

import pytest

from policies.sanitise.personal.custom import CustomPattern, CustomPatterns, InvalidPatternError


def test_an_operators_expression_is_found_by_its_name() -> None:
    patterns = CustomPatterns([CustomPattern("staff", r"EMP-\d{4}")])

    assert [(item.rule, item.start, item.end) for item in patterns.scan("é EMP-1234")] == [("staff", 2, 10)]


@pytest.mark.parametrize("expression", ["(", r"(a)\1", "(?=a)b", "x*", "a" * 1_001, "((a{100}){100}){100}"])
def test_an_expression_that_cannot_be_bounded_is_refused(expression: str) -> None:
    with pytest.raises(InvalidPatternError, match="mine"):
        CustomPatterns([CustomPattern("mine", expression)])


def test_an_expression_that_is_slow_three_times_is_put_out_of_use() -> None:
    ticks = itertools.count(step=1)
    patterns = CustomPatterns([CustomPattern("slow", "a")], clock=lambda: float(next(ticks)))
    for _ in range(3):
        patterns.scan("a")

    assert patterns.disabled == {"slow"}
    assert patterns.scan("a") == []


def test_what_lies_beyond_the_limit_is_reported_as_unread() -> None:
    patterns = CustomPatterns([CustomPattern("x", "x")], most_characters=4)

    assert [(item.rule, item.start, item.end) for item in patterns.scan("x   x")] == [("x", 0, 1), ("unread", 4, 5)]
