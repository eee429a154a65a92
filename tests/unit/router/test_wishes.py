from __future__ import annotations

import pytest

from gateway.domain.tier import TIERS, TierName
from router.wishes import NO_WISHES, Wishes


def test_without_wishes_every_tier_is_admitted_and_stays() -> None:
    assert all(NO_WISHES.admits(tier) for tier in TIERS)
    assert [NO_WISHES.clamped(tier) for tier in TIERS] == list(TIERS)


@pytest.mark.parametrize(
    ("least", "most", "clamped"),
    [
        ("medium", None, ["medium", "medium", "complex"]),
        (None, "medium", ["simple", "medium", "medium"]),
        ("medium", "medium", ["medium", "medium", "medium"]),
        ("simple", "complex", list(TIERS)),
    ],
)
def test_a_tier_outside_the_bounds_moves_to_the_nearest_within(
    least: TierName | None, most: TierName | None, clamped: list[TierName]
) -> None:
    wishes = Wishes(min_tier=least, max_tier=most)

    assert [wishes.clamped(tier) for tier in TIERS] == clamped
    assert {tier for tier in TIERS if wishes.admits(tier)} == set(clamped)
