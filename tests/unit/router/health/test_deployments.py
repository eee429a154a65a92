from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.health.deployments import BreakerState, Call, Health
from router.health.faults import FAULTS
from router.health.settings import BreakerSettings
from tests.support.clock import Clock

NAMES = ("one", "two")


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


def build(clock: Clock, names: tuple[str, ...] = NAMES, **settings: float) -> Health:
    return Health(names, BreakerSettings(**settings), clock, lambda: 0.5)  # type: ignore[arg-type]  # names of fields


def state(health: Health, name: str, fault: str) -> BreakerState:
    return next(state for state in health.states() if (state.deployment, state.fault) == (name, fault))


def break_down(health: Health, name: str) -> None:
    for _ in range(5):
        health.begin(name, "a").fail("connect")


def test_everybody_is_admitted_at_first(clock: Clock) -> None:
    health = build(clock)

    assert all(health.admits(name, "a") for name in NAMES)
    assert health.retry_in_s(NAMES, "a") == 0.0


def test_one_deployment_that_fails_leaves_the_others_alone(clock: Clock) -> None:
    health = build(clock)

    break_down(health, "one")

    assert (health.admits("one", "a"), health.admits("two", "a")) == (False, True)


def test_the_wait_is_that_for_the_soonest(clock: Clock) -> None:
    health = build(clock)
    break_down(health, "one")
    clock.now += 2.0

    before = health.retry_in_s(NAMES, "a")
    break_down(health, "two")

    assert (before, health.retry_in_s(NAMES, "a"), health.retry_in_s(("two",), "a")) == (0.0, 3.0, 5.0)


def test_where_nobody_is_left_one_call_at_a_time_tries_early(clock: Clock) -> None:
    health = build(clock, open_s=5.0)
    for name in NAMES:
        break_down(health, name)
    clock.now += 0.4
    too_early = health.hasten(NAMES, "a")
    clock.now += 0.1

    may_ask = health.hasten(NAMES, "a")
    calls = [health.begin(name, "a") for name in NAMES]

    assert (too_early, may_ask) == (False, True)
    assert not health.hasten(NAMES, "b")
    calls[0].succeed(0.1)
    assert (health.admits("one", "b"), health.admits("two", "b")) == (True, False)


def test_no_name_means_no_wait(clock: Clock) -> None:
    assert build(clock).retry_in_s((), "a") == 0.0


def test_classes_of_fault_are_counted_apart(clock: Clock) -> None:
    health = build(clock)

    for fault in FAULTS[:-1]:
        health.begin("one", "a").fail(fault)
    health.begin("one", "a").fail("auth")

    assert health.admits("one", "a")


def test_failures_of_other_classes_do_not_make_a_class_look_rarer(clock: Clock) -> None:
    health = build(clock)

    for _ in range(5):
        for fault in FAULTS[:4]:
            health.begin("one", "a").fail(fault)

    assert [one.state for one in health.states() if one.deployment == "one"].count("open") == 1
    assert not health.admits("one", "a")


def test_every_breaker_has_to_admit(clock: Clock) -> None:
    health = build(clock)
    for _ in range(5):
        health.begin("one", "a").fail("connect")
        health.begin("one", "a").fail("overload", 60.0)
    clock.now += 5.0

    assert not health.admits("one", "a")
    assert health.retry_in_s(["one"], "a") == 55.0


def test_refusals_of_a_callers_requests_never_lock_anybody_out(clock: Clock) -> None:
    health = build(clock)

    for _ in range(1000):
        health.begin("one", "a").refuse()

    assert health.admits("one", "a")
    assert {one.state for one in health.states()} == {"closed"}


def test_states_tell_of_every_breaker(clock: Clock) -> None:
    health = build(clock)
    break_down(health, "one")
    for _ in range(5):
        health.begin("two", "poisoner").fail("server")
    open_ = state(health, "one", "connect")
    clock.now += 5.0

    assert len(health.states()) == len(NAMES) * len(FAULTS)
    assert open_ == ("one", "connect", "open", 1, 0, 0)
    assert state(health, "one", "connect").state == "half_open"
    assert state(health, "two", "server") == ("two", "server", "closed", 0, 1, 1)


def test_openings_stay_counted_after_closing(clock: Clock) -> None:
    health = build(clock)
    break_down(health, "one")
    clock.now += 5.0

    health.begin("one", "a").succeed(0.1)

    assert state(health, "one", "connect")[2:4] == ("closed", 1)


def test_a_deployment_that_is_well_again_is_no_longer_watched(clock: Clock) -> None:
    health = build(clock)
    health.begin("one", "a").fail("server")
    before = health._deployments["one"].watched
    clock.now += 31.0

    health.begin("one", "a").succeed(0.1)

    assert (len(before), health._deployments["one"].watched) == (1, ())


def test_latencies_and_quantiles_are_told_by_name(clock: Clock) -> None:
    health = build(clock)

    for _ in range(20):
        health.begin("one", "a").succeed(0.25)

    assert (health.latency_s("one"), health.latency_s("two")) == (0.25, 0.0)
    assert (health.quantile("one", 0.95), health.quantile("two", 0.95)) == (0.25, None)


def test_new_settings_keep_what_is_known_of_names_that_stay(clock: Clock) -> None:
    old = build(clock)
    break_down(old, "one")
    call = old.begin("two", "a")
    new = build(clock, ("two", "one", "three"), failures=1)

    new.adopt(old)
    before = new.in_flight("two")
    call.fail("connect")

    assert (before, new.in_flight("two")) == (1, 0)
    assert [new.admits(name, "a") for name in ("one", "two", "three")] == [False, False, True]


def test_a_name_that_is_gone_is_gone(clock: Clock) -> None:
    new = build(clock, ("two",))

    new.adopt(build(clock))

    with pytest.raises(KeyError):
        new.admits("one", "a")


def test_a_name_that_returns_begins_anew(clock: Clock) -> None:
    old = build(clock)
    break_down(old, "one")
    without = build(clock, ("two",))
    without.adopt(old)

    new = build(clock)
    new.adopt(without)

    assert new.admits("one", "a")


Step = tuple[str, int, int]


def end(call: Call, what: str, amount: int) -> None:
    """Let something become of a call, by a letter."""
    if what == "s":
        call.succeed(0.1)
    elif what == "h":
        call.hear(0.1)
    elif what == "f":
        call.fail(FAULTS[amount % 6], amount * 20.0)
    elif what == "r":
        call.refuse()
    else:
        call.abandon()


@given(st.lists(st.tuples(st.sampled_from("bbbshfffra"), st.integers(0, 9), st.integers(0, 9)), max_size=120))
def test_calls_in_flight_return_to_zero_and_nobody_is_locked_out_for_ever(steps: list[Step]) -> None:
    clock = Clock(0.0)
    health = build(clock)
    calls: list[Call] = []
    for what, which, amount in steps:
        clock.now += amount * 0.9
        if what == "b" or not calls:
            calls.append(health.begin(NAMES[which % 2], "abc"[amount % 3]))
        else:
            end(calls[which % len(calls)], what, amount)
    for call in calls:
        call.abandon()
    clock.now += 200.0

    assert [health.in_flight(name) for name in NAMES] == [0, 0]
    assert all(health.admits(name, caller) for name in NAMES for caller in "abcd")


def test_a_busy_deployment_that_fails_outright_opens_before_it_has_failed_as_often_as_it_worked(clock: Clock) -> None:
    health = build(clock)
    for number in range(1_000):
        health.begin("one", f"caller {number % 5}").succeed(0.1)

    for number in range(20):
        health.begin("one", f"caller {number % 5}").fail("timeout")

    assert not health.admits("one", "another")


def test_answers_in_between_make_no_row(clock: Clock) -> None:
    health = build(clock)
    for number in range(1_000):
        health.begin("one", f"caller {number % 5}").succeed(0.1)

    for number in range(200):
        health.begin("one", f"caller {number % 5}").fail("timeout")
        if number % 10 == 0:
            health.begin("one", f"caller {number % 5}").succeed(0.1)

    assert health.admits("one", "another")


def test_the_first_failures_of_a_busy_caller_are_held_against_all_its_answers(clock: Clock) -> None:
    health = build(clock)
    for _ in range(100):
        health.begin("one", "alone").succeed(0.1)

    for _ in range(6):
        health.begin("one", "alone").fail("server")

    assert health.admits("one", "alone")


def test_a_lone_busy_caller_leaves_a_deployment_alone_that_fails_outright(clock: Clock) -> None:
    health = build(clock)
    health.begin("one", "alone").fail("server")
    for _ in range(1_000):
        health.begin("one", "alone").succeed(0.1)

    for _ in range(20):
        health.begin("one", "alone").fail("server")

    assert not health.admits("one", "alone")
    assert health.admits("one", "another")
