from __future__ import annotations

import pytest

from router.health.circuit import PROBE_S, Circuit
from router.health.settings import BreakerSettings

SETTINGS = BreakerSettings()


def opened(times: int = 1) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.open(0.0, SETTINGS, 0.5, 0.0)
    return circuit


def test_it_is_left_alone_and_then_half_open() -> None:
    circuit = opened()

    assert (circuit.state(4.9), circuit.admits(4.9)) == ("open", False)
    assert (circuit.state(5.0), circuit.admits(5.0)) == ("half_open", True)


@pytest.mark.parametrize(("times", "open_s"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (5000, 60)])
def test_it_stays_open_twice_as_long_each_time_up_to_the_longest(times: int, open_s: float) -> None:
    assert opened(times).until == open_s


def test_closing_makes_the_next_opening_short_again() -> None:
    circuit = opened(times=4)

    circuit.close()
    circuit.open(100.0, SETTINGS, 0.5, 0.0)

    assert circuit.until == 105.0


@pytest.mark.parametrize(("spread", "open_s"), [(0.0, 4.5), (0.5, 5.0), (1.0, 5.5)])
def test_chance_moves_the_end_by_a_tenth(spread: float, open_s: float) -> None:
    circuit = Circuit()

    circuit.open(0.0, SETTINGS, spread, 0.0)

    assert circuit.until == pytest.approx(open_s)


def test_it_stays_open_at_least_as_long_as_the_upstream_asked() -> None:
    circuit = Circuit()

    circuit.open(0.0, SETTINGS, 0.0, 42.0)

    assert circuit.until == 42.0


def test_one_probe_keeps_others_from_trying() -> None:
    circuit = opened()

    circuit.take("one", 6.0)

    assert not circuit.admits(6.0)
    assert 0 < circuit.retry_in_s(6.0) <= 1.0


def test_a_probe_that_is_freed_lets_another_try() -> None:
    circuit = opened()
    circuit.take("one", 6.0)

    circuit.free("another")
    before = circuit.admits(6.0)
    circuit.free("one")

    assert (before, circuit.admits(6.0)) == (False, True)


def test_a_probe_that_does_not_come_back_does_not_lock_out_everybody() -> None:
    circuit = opened()
    circuit.take("one", 6.0)

    assert not circuit.admits(6.0 + PROBE_S - 0.1)
    assert circuit.admits(6.0 + PROBE_S)


def test_the_wait_is_told() -> None:
    circuit = opened()

    assert Circuit().retry_in_s(0.0) == 0.0
    assert circuit.retry_in_s(2.0) == 3.0
    assert circuit.retry_in_s(5.0) == 0.0


def test_it_is_tried_early_after_a_tenth_of_its_time() -> None:
    circuit = opened(times=2)

    circuit.hasten(0.9)
    before = circuit.admits(0.9)
    circuit.hasten(1.0)

    assert (before, circuit.admits(1.0)) == (False, True)


def test_it_is_not_tried_early_where_the_upstream_asked_to_be_left_alone() -> None:
    circuit = Circuit()
    circuit.open(0.0, SETTINGS, 0.5, 4.0)

    circuit.hasten(3.9)
    asked_for = circuit.admits(3.9)
    circuit.postpone(4.5)
    circuit.hasten(4.4)
    postponed = circuit.admits(4.4)
    circuit.hasten(4.5)

    assert (asked_for, postponed, circuit.admits(4.5)) == (False, False, True)
