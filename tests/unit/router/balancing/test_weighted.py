from __future__ import annotations

from collections import Counter

import pytest

from router.balancing.weighted import Weighted
from tests.support.landscape import StillLandscape, draws

NAMES = ("a", "b", "c")
KEYS = [b"conversation-%d" % number for number in range(6000)]


def weighted(weights: dict[str, float], seed: int = 1) -> Weighted:
    return Weighted(StillLandscape(weights=weights), draws(seed))


@pytest.mark.parametrize("keys", [KEYS, [b""] * len(KEYS)], ids=["by key", "without key"])
def test_candidates_are_first_in_proportion_to_their_weights(keys: list[bytes]) -> None:
    balancer = weighted({"a": 3.0, "b": 2.0, "c": 1.0})

    firsts = Counter(balancer.order(NAMES, key)[0] for key in keys)

    assert firsts["a"] == pytest.approx(3000, abs=150)
    assert firsts["b"] == pytest.approx(2000, abs=150)
    assert firsts["c"] == pytest.approx(1000, abs=150)


@pytest.mark.parametrize("keys", [KEYS, [b""] * len(KEYS)], ids=["by key", "without key"])
def test_what_is_left_is_shared_by_weight_as_well(keys: list[bytes]) -> None:
    balancer = weighted({"a": 3.0, "b": 2.0, "c": 1.0})

    orders = [balancer.order(NAMES, key) for key in keys]
    seconds = Counter(order[1] for order in orders if order[0] == "a")

    assert seconds["b"] / seconds.total() == pytest.approx(2 / 3, abs=0.04)


def test_the_same_key_gets_the_same_order_from_every_replica() -> None:
    one, other = weighted({}, seed=1), weighted({}, seed=2)

    assert [one.order(NAMES, key) for key in KEYS[:200]] == [other.order(NAMES, key) for key in KEYS[:200]]


def test_the_order_does_not_depend_on_the_order_of_the_settings() -> None:
    balancer = weighted({})

    assert [balancer.order(("c", "b", "a"), key) for key in KEYS[:200]] == [
        balancer.order(NAMES, key) for key in KEYS[:200]
    ]


def test_orders_of_keys_stay_as_they_are_between_versions() -> None:
    balancer = weighted({})

    orders = ["".join(balancer.order(NAMES, key)) for key in KEYS[:6]]

    assert orders == [
        "cab",
        "cba",
        "abc",
        "abc",
        "bac",
        "bca",
    ]  # replicas of two versions must agree while one is rolled out


def test_a_candidate_that_leaves_moves_only_its_own_keys() -> None:
    balancer = weighted({"a": 3.0})
    before = {key: balancer.order(NAMES, key) for key in KEYS}

    after = {key: balancer.order(("a", "b"), key) for key in KEYS}

    assert all(after[key] == tuple(name for name in before[key] if name != "c") for key in KEYS)


def test_a_weight_that_grows_moves_keys_only_to_that_candidate() -> None:
    before = {key: weighted({}).order(NAMES, key)[0] for key in KEYS}

    after = {key: weighted({"b": 2.0}).order(NAMES, key)[0] for key in KEYS}

    assert {after[key] for key in KEYS if after[key] != before[key]} == {"b"}


def test_without_a_key_calls_are_spread() -> None:
    balancer = weighted({})

    assert {balancer.order(NAMES, b"")[0] for _ in range(100)} == set(NAMES)
