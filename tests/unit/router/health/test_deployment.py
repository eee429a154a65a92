from __future__ import annotations

from router.health.call import Call
from router.health.deployment import Deployment
from router.health.settings import BreakerSettings
from tests.support.clock import Clock


def test_new_settings_change_what_opens() -> None:
    deployment = Deployment(BreakerSettings(), Clock(0.0), lambda: 0.5)
    Call(deployment, "a").fail("connect")

    deployment.follow(BreakerSettings(failures=2, window_s=60.0))
    Call(deployment, "a").fail("connect")
    before = deployment.admits("a")
    Call(deployment, "a").fail("connect")

    assert (before, deployment.admits("a")) == (True, False)


def test_the_same_settings_change_nothing() -> None:
    deployment = Deployment(BreakerSettings(failures=2), Clock(0.0), lambda: 0.5)
    Call(deployment, "a").fail("connect")

    deployment.follow(BreakerSettings(failures=2))
    Call(deployment, "a").fail("connect")

    assert not deployment.admits("a")


def test_a_breaker_is_made_when_its_class_of_fault_occurs() -> None:
    deployment = Deployment(BreakerSettings(), Clock(0.0), lambda: 0.5)
    Call(deployment, "a").succeed(0.1)
    before = dict(deployment.breakers)

    Call(deployment, "a").fail("server")

    assert (before, [*deployment.breakers]) == ({}, ["server"])
