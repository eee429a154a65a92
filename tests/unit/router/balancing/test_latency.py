from __future__ import annotations

from collections import Counter

import pytest

from router.balancing.latency import Latency
from tests.support.landscape import StillLandscape, draws

NAMES = ("a", "b", "c")


def latency(landscape: StillLandscape) -> Latency:
    return Latency(landscape, draws(1))


def firsts(balancer: Latency, names: tuple[str, ...], times: int = 3000) -> Counter[str]:
    return Counter(balancer.order(names, b"")[0] for _ in range(times))


def test_of_two_candidates_the_faster_comes_first() -> None:
    balancer = latency(StillLandscape(latencies_s={"a": 0.5, "b": 0.2}))

    assert firsts(balancer, ("a", "b")) == {"b": 3000}


def test_calls_under_way_count_as_waiting() -> None:
    balancer = latency(StillLandscape(latencies_s={"a": 0.5, "b": 0.2}, in_flight={"b": 2}))

    assert firsts(balancer, ("a", "b")) == {"a": 3000}


def test_the_slowest_of_three_is_never_first() -> None:
    balancer = latency(StillLandscape(latencies_s={"a": 0.5, "b": 0.2, "c": 0.1}))

    found = firsts(balancer, NAMES)

    assert "a" not in found
    assert found["c"] == pytest.approx(2000, abs=150)  # drawn in two of three pairs


def test_weights_decide_who_is_drawn() -> None:
    balancer = latency(StillLandscape(latencies_s={"a": 0.3, "b": 0.2, "c": 0.1}, weights={"a": 8.0, "b": 8.0}))

    assert firsts(balancer, NAMES)["c"] < 700  # of 3000; about a fifth of the pairs hold it


def test_a_newcomer_is_tried_once_and_not_flooded_before_it_answers() -> None:
    landscape = StillLandscape(latencies_s={"known": 0.2})
    balancer = latency(landscape)

    first = balancer.order(("known", "new"), b"")[0]
    landscape.loads["new"] = 1
    second = balancer.order(("known", "new"), b"")[0]

    assert (first, second) == ("new", "known")


def test_a_key_does_not_bind() -> None:
    balancer = latency(StillLandscape())

    assert {balancer.order(NAMES, b"key")[0] for _ in range(100)} == set(NAMES)
