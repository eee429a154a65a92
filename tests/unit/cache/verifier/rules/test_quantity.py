from __future__ import annotations

import pytest

from cache.verifier.base import Rule
from cache.verifier.reader import read
from cache.verifier.rules.quantity import Dates, Numbers, Ordinals, Units


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Numbers(), "boil 3 eggs", "boil 4 eggs"),
        (Numbers(), "boil three eggs", "boil eggs"),
        (Numbers(), "lap 2 of 2", "lap 2"),
        (Numbers(), "the film of 1999", "the film of 2001"),
        (Ordinals(), "the second man on the moon", "the third man on the moon"),
        (Ordinals(), "the second tallest tower", "the tallest tower"),
        (Dates(), "sales in March 2020", "sales in April 2020"),
        (Dates(), "open on Sunday", "open on Monday"),
        (Dates(), "open today", "open"),
        (Units(), "run 5 km", "run 5 miles"),
        (Units(), "the distance in miles", "the distance in metres"),
    ],
)
def test_another_quantity_is_refused(rule: Rule, one: str, other: str) -> None:
    assert rule.refuses(read(one), read(other))
    assert rule.refuses(read(other), read(one))


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Numbers(), "boil 3 eggs", "boiling three eggs"),
        (Numbers(), "5,000 steps", "5000 steps"),
        (Ordinals(), "the 2nd man on the moon", "second man on the moon"),
        (Dates(), "sales in Mar 2020", "sales of March 2020"),
        (Units(), "run 5 km", "run 5 kilometres"),
        (Units(), "run 5 km in an hour", "run 5 km"),
    ],
)
def test_the_same_quantity_passes(rule: Rule, one: str, other: str) -> None:
    assert not rule.refuses(read(one), read(other))
