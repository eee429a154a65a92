from __future__ import annotations

from router.balancing.cheapest import Cheapest
from tests.support.landscape import StillLandscape, draws


def test_the_lowest_price_comes_first_and_equals_stay_as_configured() -> None:
    landscape = StillLandscape(prices={"a": 5.0, "b": 1.0, "c": 5.0, "d": float("inf")})

    order = Cheapest(landscape, draws(1)).order(("d", "c", "a", "b"), b"key")

    assert order == ("b", "c", "a", "d")
