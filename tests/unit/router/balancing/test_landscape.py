from __future__ import annotations

from router.balancing.catalogue import build_balancer
from router.balancing.landscape import MeasuredLandscape
from router.health.deployments import Health
from router.health.settings import BreakerSettings
from tests.support.clock import Clock


def landscape(health: Health) -> MeasuredLandscape:
    return MeasuredLandscape(health, {"a": 2.0}, {"a": 5.0})


def health(clock: Clock) -> Health:
    return Health(("a", "b"), BreakerSettings(), clock, lambda: 0.5)


def test_calls_show_in_the_landscape() -> None:
    clock = Clock(0.0)
    known = health(clock)
    seen = landscape(known)

    known.begin("a", "caller")
    known.begin("b", "caller").succeed(0.25)

    assert (seen.in_flight("a"), seen.in_flight("b")) == (1, 0)
    assert (seen.latency_s("a"), seen.latency_s("b")) == (0.0, 0.25)


def test_a_name_without_weight_or_price_has_weight_1_and_is_dearest() -> None:
    seen = landscape(health(Clock(0.0)))

    assert (seen.weight("a"), seen.weight("b")) == (2.0, 1.0)
    assert build_balancer("cheapest", seen).order(("b", "a"), b"") == ("a", "b")
