from __future__ import annotations

import sys
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.health.breaker import MOST_CALLERS, Breaker
from router.health.faults import AMBIGUOUS, FAULTS, Fault
from router.health.rolling import Rolling
from router.health.settings import BreakerSettings

PLAIN = sorted({*FAULTS} - AMBIGUOUS - {"auth"})


class Rig:
    """A breaker with its clock, told what a deployment would tell it: of successes only once something failed."""

    def __init__(self, fault: Fault, **settings: float) -> None:
        self.now = 0.0
        self.is_watched = False
        self.settings = BreakerSettings(**settings)  # type: ignore[arg-type]  # names of fields
        self.succeeded = Rolling(self.settings.window_s, 0.0)
        self.breaker = Breaker(fault, self.settings, self.succeeded, lambda: 0.5, 0.0)

    def fail(self, callers: str, retry_after_s: float = 0.0) -> None:
        """Let a call of each letter fail."""
        self.is_watched = True
        for caller in callers:
            probes = self.breaker.begin(caller, self.now)
            self.breaker.fail(caller, self.now, retry_after_s, probes)

    def succeed(self, callers: str) -> None:
        for caller in callers:
            self.succeeded.add(self.now)
            if not self.is_watched:
                continue
            probes = self.breaker.begin(caller, self.now)
            self.breaker.succeed(caller, self.now)
            for probe in probes:
                self.breaker.close(probe, caller, self.now)

    def admits(self, callers: str) -> str:
        """Return those who may call."""
        return "".join(caller for caller in callers if self.breaker.admits(caller, self.now))


@pytest.mark.parametrize("fault", PLAIN)
def test_a_plain_fault_of_one_caller_opens_for_everybody(fault: Fault) -> None:
    rig = Rig(fault)

    rig.fail("aaaa")
    before = rig.admits("ab")
    rig.fail("a")

    assert (before, rig.admits("ab")) == ("ab", "")


@pytest.mark.parametrize("fault", sorted(AMBIGUOUS))
def test_an_ambiguous_fault_of_one_caller_opens_for_that_caller_alone(fault: Fault) -> None:
    rig = Rig(fault)

    rig.fail("a" * 100)

    assert rig.admits("abc") == "bc"
    assert (rig.breaker.opened, rig.breaker.opened_for_one) == (0, 1)


@pytest.mark.parametrize("fault", sorted(AMBIGUOUS))
def test_an_ambiguous_fault_of_two_callers_opens_for_everybody(fault: Fault) -> None:
    rig = Rig(fault)

    rig.fail("aaaab")

    assert rig.admits("abc") == ""


def test_a_refused_credential_opens_at_the_second_time() -> None:
    rig = Rig("auth")

    rig.fail("a")
    before = rig.admits("ab")
    rig.fail("a")

    assert (before, rig.admits("ab")) == ("ab", "")


@pytest.mark.parametrize("fault", FAULTS)
def test_it_stays_closed_while_most_calls_go_well(fault: Fault) -> None:
    rig = Rig(fault)

    for _ in range(100):
        rig.succeed("aabb")
        rig.fail("ab")
        rig.now += 0.5

    assert rig.admits("abc") == "abc"


def test_it_opens_when_half_of_the_calls_of_the_window_failed() -> None:
    rig = Rig("connect")
    rig.succeed("a" * 6)

    rig.fail("b" * 5)
    before = rig.admits("c")
    rig.fail("b")

    assert (before, rig.admits("c")) == ("c", "")


def test_calls_older_than_the_window_do_not_count() -> None:
    rig = Rig("connect")

    for _ in range(10):
        rig.fail("aaaa")
        rig.now += 31.0

    assert rig.admits("a") == "a"


@pytest.mark.parametrize("fault", FAULTS)
def test_one_caller_whose_calls_all_fail_does_not_lock_out_others_whose_calls_go_well(fault: Fault) -> None:
    rig = Rig(fault)
    rig.fail("a")

    for _ in range(200):
        rig.succeed("b")
        rig.fail("aaaaa")
        rig.now += 0.1

        assert rig.admits("bc") == "bc"


def test_a_chance_failure_of_another_caller_does_not_make_one_callers_faults_everybodys() -> None:
    rig = Rig("server")

    rig.fail("a" * 50)
    rig.succeed("bcd")
    rig.fail("b")

    assert rig.admits("abcd") == "bcd"


def test_failures_of_a_caller_who_is_well_again_are_not_taken_for_those_of_others() -> None:
    rig = Rig("server")
    rig.fail("a" * 50)
    rig.now = 6.0

    rig.succeed("a")
    rig.fail("a")

    assert rig.admits("ab") == "ab"


def test_others_are_heard_even_if_a_caller_was_locked_out_alone() -> None:
    rig = Rig("server")
    rig.fail("a" * 50)

    rig.fail("b")

    assert rig.admits("abc") == ""


def test_after_its_time_one_call_tries_and_closes_it() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")
    rig.now = 5.0

    probes = rig.breaker.begin("b", rig.now)
    during = rig.admits("abc")
    rig.breaker.close(probes[0], "b", rig.now)

    assert (during, rig.admits("abc")) == ("", "abc")


def test_a_closed_breaker_counts_anew() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")
    rig.now = 5.0
    rig.succeed("b")

    rig.fail("aaaa")

    assert rig.admits("ab") == "ab"


@pytest.mark.parametrize("fault", PLAIN)
def test_a_failed_probe_opens_it_again_for_twice_as_long(fault: Fault) -> None:
    rig = Rig(fault)
    rig.fail("aaaaa")
    rig.now = 5.0

    rig.fail("a")
    rig.now = 14.9
    before = rig.admits("ab")
    rig.now = 15.0

    assert (before, rig.admits("ab")) == ("", "ab")
    assert rig.breaker.opened == 2


@pytest.mark.parametrize("fault", sorted(AMBIGUOUS))
def test_a_failed_probe_of_one_caller_leaves_the_next_probe_to_another(fault: Fault) -> None:
    rig = Rig(fault)
    rig.fail("aaaab")
    rig.now = 5.0

    rig.fail("a")
    after_one = rig.admits("abc")
    rig.fail("b")

    assert (after_one, rig.admits("abc")) == ("bc", "")
    assert rig.breaker.retry_in_s("c", rig.now) == 10.0


def test_a_caller_whose_probes_always_fail_cannot_keep_it_open_for_others() -> None:
    rig = Rig("timeout")
    rig.fail("aaaab")
    rig.now = 5.0
    for _ in range(20):
        rig.fail("a")
        rig.now += 61.0

    assert rig.admits("b") == "b"
    assert rig.breaker.opened == 1


def test_a_caller_whose_probe_failed_waits_longer_each_time() -> None:
    rig = Rig("timeout")
    rig.fail("aaaab")
    rig.now = 5.0

    rig.fail("a")

    assert rig.breaker.retry_in_s("a", rig.now) == 10.0


def test_a_caller_locked_out_alone_tries_and_is_let_in_again() -> None:
    rig = Rig("server")
    rig.fail("aaaaa")
    rig.now = 5.0
    before = rig.admits("a")

    rig.succeed("a")
    rig.fail("aaaa")

    assert (before, rig.admits("a")) == ("a", "a")


def test_a_caller_locked_out_alone_whose_probe_fails_waits_twice_as_long() -> None:
    rig = Rig("server")
    rig.fail("aaaaa")
    rig.now = 5.0

    rig.fail("a")

    assert rig.breaker.retry_in_s("a", rig.now) == 10.0
    assert rig.admits("b") == "b"


def test_a_probe_from_before_it_opened_again_does_not_close_it() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")
    rig.now = 5.0
    (early,) = rig.breaker.begin("a", rig.now)
    rig.now = 40.0  # the early one has lapsed
    rig.fail("a")

    rig.breaker.close(early, "a", rig.now)

    assert rig.admits("a") == ""


def test_calls_from_before_it_opened_decide_nothing_when_they_fail() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")
    rig.now = 5.0

    rig.breaker.fail("a", rig.now, 0.0, ())

    assert rig.admits("a") == "a"


@pytest.mark.parametrize(("asked_s", "waits_s"), [(0.0, 5.0), (3.0, 5.0), (42.0, 42.0), (9999.0, 120.0)])
def test_it_stays_open_as_long_as_the_upstream_asks(asked_s: float, waits_s: float) -> None:
    rig = Rig("overload")

    rig.fail("aaaaa", asked_s)

    assert rig.breaker.retry_in_s("a", rig.now) == waits_s


def test_an_upstream_that_asks_for_longer_while_it_is_open_gets_it() -> None:
    rig = Rig("overload")
    rig.fail("aaaaa")

    rig.fail("b", 30.0)

    assert rig.breaker.retry_in_s("c", rig.now) == 30.0


def test_settings_say_how_many_failures_and_how_long() -> None:
    rig = Rig("connect", failures=2, open_s=1.0)

    rig.fail("aa")

    assert rig.breaker.retry_in_s("a", rig.now) == 1.0


def test_it_is_quiet_once_nothing_is_left() -> None:
    rig = Rig("server")
    rig.fail("a")
    before = rig.breaker.tidy(1.0)

    assert (before, rig.breaker.tidy(31.0)) == (False, True)


def test_an_open_breaker_is_not_quiet() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")

    assert rig.breaker.tidy(1000.0) is False


def test_a_caller_locked_out_alone_is_forgotten_when_it_does_not_come_back() -> None:
    rig = Rig("server")
    rig.fail("aaaaa")
    before = rig.breaker.tidy(34.0)

    assert (before, rig.breaker.tidy(36.0)) == (False, True)


def test_further_callers_are_counted_but_not_remembered() -> None:
    rig = Rig("server", failures=10_000)
    callers = [f"caller {number}" for number in range(10 * MOST_CALLERS)]
    for caller in callers:
        rig.breaker.fail(caller, 0.0, 0.0, ())
    size = len(rig.breaker._records)

    for caller in cycle(callers):
        rig.breaker.fail(caller, 0.0, 0.0, ())
        if not rig.breaker.admits("another", 0.0):
            break

    assert size == MOST_CALLERS
    assert rig.breaker.opened == 1


def test_new_settings_keep_what_is_open() -> None:
    rig = Rig("connect")
    rig.fail("aaaaa")

    rig.breaker.follow(BreakerSettings(failures=1), Rolling(30.0, 0.0), 0.0)

    assert rig.admits("a") == ""
    assert rig.breaker.retry_in_s("a", 0.0) == 5.0


def test_new_settings_hold_for_what_comes() -> None:
    rig = Rig("connect")

    rig.breaker.follow(BreakerSettings(failures=1), Rolling(30.0, 0.0), 0.0)
    rig.fail("a")

    assert rig.admits("a") == ""


@given(
    st.sampled_from(FAULTS),
    st.lists(st.tuples(st.sampled_from("fs"), st.integers(1, 20), st.floats(0.0, 20.0)), max_size=60),
)
def test_whatever_one_caller_does_others_get_in_while_their_calls_go_well(
    fault: Fault, steps: list[tuple[str, int, float]]
) -> None:
    rig = Rig(fault)
    rig.fail("a")
    for what, times, pause_s in steps:
        rig.succeed("b")
        for _ in range(times):
            if rig.admits("a"):
                (rig.fail if what == "f" else rig.succeed)("a")
        rig.now += min(pause_s, 20.0)

        assert rig.admits("b") == "b"


@given(st.sampled_from(FAULTS), st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=300))
def test_every_state_leads_back_to_closed_once_calls_go_well(fault: Fault, steps: list[tuple[str, bool]]) -> None:
    rig = Rig(fault)
    for caller, is_well in steps:
        if rig.admits(caller):
            (rig.succeed if is_well else rig.fail)(caller)
        rig.now += 0.7

    rig.now += 70.0
    rig.succeed("abcd")

    assert rig.admits("abcde") == "abcde"
    assert rig.breaker.everybody.is_closed
    assert sys.getsizeof(rig.breaker._records) < 4096
