from __future__ import annotations

import pytest

from router.health.call import Call
from router.health.deployment import Deployment
from router.health.settings import BreakerSettings
from tests.support.clock import Clock

ENDS = {
    "succeed": lambda call: call.succeed(0.5),
    "fail": lambda call: call.fail("connect"),
    "refuse": lambda call: call.refuse(),
    "abandon": lambda call: call.abandon(),
}


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def deployment(clock: Clock) -> Deployment:
    return Deployment(BreakerSettings(failures=1), clock, lambda: 0.5)


def half_open(deployment: Deployment, clock: Clock) -> None:
    Call(deployment, "a").fail("connect")
    clock.now += 5.0


@pytest.mark.parametrize("end", ENDS.values(), ids=[*ENDS])
def test_a_call_is_in_flight_until_it_ends(deployment: Deployment, end: object) -> None:
    call = Call(deployment, "a")
    before = deployment.in_flight

    end(call)  # type: ignore[operator]  # one of ENDS

    assert (before, deployment.in_flight) == (1, 0)


@pytest.mark.parametrize("first", ENDS.values(), ids=[*ENDS])
@pytest.mark.parametrize("second", ENDS.values(), ids=[*ENDS])
def test_only_the_first_end_counts(deployment: Deployment, first: object, second: object) -> None:
    once, twice = Call(deployment, "a"), Call(deployment, "a")
    first(once)  # type: ignore[operator]  # one of ENDS
    first(twice)  # type: ignore[operator]  # one of ENDS
    before = (deployment.in_flight, deployment.admits("a"), deployment.latency.read(1000.0))

    second(twice)  # type: ignore[operator]  # one of ENDS
    twice.hear(99.0)

    assert (deployment.in_flight, deployment.admits("a"), deployment.latency.read(1000.0)) == before


def test_a_success_shows_how_fast_it_was(deployment: Deployment) -> None:
    Call(deployment, "a").succeed(0.5)

    assert deployment.latency.read(1000.0) == 0.5


def test_a_first_byte_counts_once(deployment: Deployment, clock: Clock) -> None:
    call = Call(deployment, "a")
    call.hear(0.5)
    call.hear(0.9)
    clock.now += 60.0

    call.succeed(60.0)

    assert deployment.latency.read(1000.0) == 0.5


def test_a_call_that_was_waited_for_in_vain_counts_as_slow(deployment: Deployment, clock: Clock) -> None:
    Call(deployment, "a").succeed(0.5)
    call = Call(deployment, "a")
    clock.now += 20.0

    call.abandon()

    assert deployment.latency.read(1020.0) == 20.0


def test_a_quick_failure_says_nothing_of_how_fast_it_is(deployment: Deployment, clock: Clock) -> None:
    Call(deployment, "a").succeed(0.5)
    faded_s = deployment.latency.read(1005.0)
    clock.now += 4.9
    call = Call(deployment, "a")
    clock.now += 0.1

    call.fail("connect")

    assert deployment.latency.read(1005.0) == pytest.approx(faded_s, rel=1e-6)


def test_a_caller_that_leaves_in_the_middle_of_an_answer_does_not_make_it_slow(
    deployment: Deployment, clock: Clock
) -> None:
    call = Call(deployment, "a")
    call.hear(0.5)
    clock.now += 60.0

    call.abandon()

    assert deployment.latency.read(1000.0) == 0.5


@pytest.mark.parametrize("end", ["succeed", "refuse"])
def test_a_probe_that_is_answered_closes(deployment: Deployment, clock: Clock, end: str) -> None:
    half_open(deployment, clock)

    ENDS[end](Call(deployment, "b"))

    assert deployment.breakers["connect"].everybody.is_closed


def test_a_probe_that_fails_opens_again(deployment: Deployment, clock: Clock) -> None:
    half_open(deployment, clock)

    Call(deployment, "b").fail("connect")

    assert deployment.retry_in_s("c") == 10.0


def test_a_probe_that_is_abandoned_lets_the_next_one_try(deployment: Deployment, clock: Clock) -> None:
    half_open(deployment, clock)
    call = Call(deployment, "b")
    during = deployment.admits("c")

    call.abandon()

    assert (call.is_probe, during, deployment.admits("c")) == (True, False, True)
    assert not deployment.breakers["connect"].everybody.is_closed


def test_a_probe_that_fails_in_another_way_lets_the_next_one_try(deployment: Deployment, clock: Clock) -> None:
    half_open(deployment, clock)

    Call(deployment, "b").fail("timeout")

    assert deployment.admits("c")
    assert not deployment.breakers["connect"].everybody.is_closed


def test_a_probe_closes_with_its_first_byte(deployment: Deployment, clock: Clock) -> None:
    half_open(deployment, clock)

    Call(deployment, "b").hear(0.5)

    assert deployment.admits("c")


def test_a_first_byte_does_not_prove_that_answers_are_whole(deployment: Deployment, clock: Clock) -> None:
    Call(deployment, "a").fail("garbled")
    clock.now += 5.0
    call = Call(deployment, "a")

    call.hear(0.5)
    during = deployment.admits("a")
    call.succeed(0.5)

    assert (during, deployment.admits("a")) == (False, True)


def test_a_call_that_breaks_after_its_first_byte_has_failed(deployment: Deployment) -> None:
    call = Call(deployment, "a")
    call.hear(0.5)

    call.fail("connect")

    assert not deployment.admits("a")


def test_the_wait_an_upstream_asks_for_is_kept(deployment: Deployment) -> None:
    Call(deployment, "a").fail("overload", 33.0)

    assert deployment.retry_in_s("a") == 33.0
