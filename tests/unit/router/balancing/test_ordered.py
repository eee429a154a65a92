from __future__ import annotations

from router.balancing.ordered import Ordered
from tests.support.landscape import StillLandscape, draws


def test_candidates_stay_in_the_order_of_the_settings_whatever_is_known() -> None:
    landscape = StillLandscape(weights={"c": 0.0, "b": 9.0}, in_flight={"c": 9}, latencies_s={"c": 9.0})

    order = Ordered(landscape, draws(1)).order(("c", "a", "b"), b"key")

    assert order == ("c", "a", "b")
