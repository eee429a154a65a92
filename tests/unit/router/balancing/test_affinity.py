from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.balancing.affinity import SLACK, Affinity
from tests.support.landscape import StillLandscape, draws

NAMES = ("a", "b", "c", "d")


def affinity(landscape: StillLandscape) -> Affinity:
    return Affinity(landscape, draws(1))


def test_a_key_stays_with_its_candidate_while_loads_are_even() -> None:
    landscape = StillLandscape()
    balancer = affinity(landscape)
    before = balancer.order(NAMES, b"prompt")

    landscape.loads = dict.fromkeys(NAMES, 7)

    assert balancer.order(NAMES, b"prompt") == before


def test_a_candidate_with_too_much_to_do_is_passed_over() -> None:
    landscape = StillLandscape()
    balancer = affinity(landscape)
    first, second, third, fourth = balancer.order(NAMES, b"prompt")

    landscape.loads = {first: 2}  # 1.25 x 0.5 + 1 is 1.6

    assert balancer.order(NAMES, b"prompt") == (second, third, fourth, first)


def test_a_candidate_at_its_bound_is_still_asked() -> None:
    landscape = StillLandscape()
    balancer = affinity(landscape)
    before = balancer.order(NAMES, b"prompt")

    landscape.loads = {**dict.fromkeys(NAMES, 4), before[0]: 6}  # 1.25 x 4.5 + 1 is 6.6

    assert balancer.order(NAMES, b"prompt") == before


def test_a_larger_weight_may_have_more_to_do() -> None:
    landscape = StillLandscape(weights={"a": 3.0})
    balancer = affinity(landscape)
    keys = [b"%d" % number for number in range(100)]
    key = next(key for key in keys if balancer.order(("a", "b"), key)[0] == "a")

    landscape.loads = {"a": 6, "b": 1}

    assert balancer.order(("a", "b"), key)[0] == "a"


def test_keys_fall_evenly() -> None:
    balancer = affinity(StillLandscape())

    firsts = Counter(balancer.order(NAMES, b"prompt %d" % number)[0] for number in range(4000))

    assert all(count == pytest.approx(1000, abs=120) for count in firsts.values())


def test_calls_without_a_key_are_spread() -> None:
    balancer = affinity(StillLandscape())

    assert {balancer.order(NAMES, b"")[0] for _ in range(100)} == set(NAMES)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=200))
def test_no_candidate_gets_a_call_beyond_its_bound(steps: list[tuple[int, bool]]) -> None:
    landscape = StillLandscape(in_flight=dict.fromkeys(NAMES, 0))
    balancer = affinity(landscape)
    for number, is_ending in steps:
        if is_ending:
            landscape.loads[NAMES[number]] = max(0, landscape.loads[NAMES[number]] - 1)
            continue
        first = balancer.order(NAMES, b"popular")[0]
        mean = sum(landscape.loads.values()) / len(NAMES)

        assert landscape.loads[first] <= SLACK * mean + 1
        landscape.loads[first] += 1
