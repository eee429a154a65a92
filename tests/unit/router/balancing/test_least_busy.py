from __future__ import annotations

from router.balancing.least_busy import LeastBusy
from tests.support.landscape import StillLandscape, draws


def least_busy(landscape: StillLandscape) -> LeastBusy:
    return LeastBusy(landscape, draws(1))


def test_the_fewest_calls_come_first() -> None:
    balancer = least_busy(StillLandscape(in_flight={"a": 3, "b": 1, "c": 2}))

    assert balancer.order(("a", "b", "c"), b"") == ("b", "c", "a")


def test_equals_stay_as_configured() -> None:
    assert least_busy(StillLandscape()).order(("b", "c", "a"), b"key") == ("b", "c", "a")


def test_a_larger_weight_carries_more_calls() -> None:
    landscape = StillLandscape(weights={"large": 3.0, "small": 1.0})
    balancer = least_busy(landscape)

    for _ in range(40):
        first = balancer.order(("small", "large"), b"")[0]
        landscape.loads[first] = landscape.loads.get(first, 0) + 1

    assert landscape.loads == {"large": 30, "small": 10}
