"""Every balancer."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from router.balancing.base import Balancer, BalancerName
from router.balancing.catalogue import BALANCERS, build_balancer
from tests.support.landscape import StillLandscape, draws

NAMES = ("a", "b", "c", "d", "e")
KEYS = {"no key": b"", "short": b"k", "long": b"conversation " * 10_000, "binary": bytes(range(256))}
LANDSCAPES = {
    "nothing known": StillLandscape(),
    "all of weight 0": StillLandscape(weights=dict.fromkeys(NAMES, 0.0)),
    "one of weight 0": StillLandscape(weights={"b": 0.0}),
    "unlike weights": StillLandscape(weights={"a": 1e-9, "b": 1e9}),
    "one is busy": StillLandscape(in_flight={"c": 1000}),
    "one is slow": StillLandscape(latencies_s={"a": 60.0}, in_flight={"a": 1}),
    "no price": StillLandscape(prices={"a": float("inf"), "b": float("inf")}),
}


@pytest.fixture(params=get_args(BalancerName))
def name(request: pytest.FixtureRequest) -> BalancerName:
    found: BalancerName = request.param
    return found


@pytest.fixture(params=LANDSCAPES.values(), ids=[*LANDSCAPES])
def landscape(request: pytest.FixtureRequest) -> StillLandscape:
    found: StillLandscape = request.param
    return found


@pytest.fixture
def balancer(name: BalancerName, landscape: StillLandscape) -> Balancer:
    return build_balancer(name, landscape, draws(4))


def test_the_settings_can_name_every_balancer_and_no_other() -> None:
    assert tuple(balancer.name for balancer in BALANCERS) == get_args(BalancerName)


def test_a_balancer_is_built_by_its_name(name: BalancerName) -> None:
    assert build_balancer(name, StillLandscape()).name == name


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("count", range(len(NAMES) + 1))
def test_every_candidate_stands_in_the_order_once(balancer: Balancer, count: int, key: bytes) -> None:
    for _ in range(5):
        order = balancer.order(NAMES[:count], key)

        assert isinstance(order, tuple)
        assert sorted(order) == list(NAMES[:count])


def test_who_needs_keys_keeps_to_them_and_nobody_else_does(name: BalancerName) -> None:
    balancer = build_balancer(name, StillLandscape(), draws(4))
    other = build_balancer(name, StillLandscape(), draws(5))

    firsts = {balancer.order(NAMES, b"%d" % number)[0] for number in range(100)}
    agree = all(balancer.order(NAMES, b"%d" % n) == other.order(NAMES, b"%d" % n) for n in range(100))

    assert balancer.is_keyed == (len(firsts) > 1 and agree)


def test_candidates_may_be_a_list(balancer: Balancer) -> None:
    assert set(balancer.order(["a", "b"], b"k")) == {"a", "b"}


def test_what_was_given_is_not_changed(balancer: Balancer) -> None:
    candidates = list(NAMES)

    balancer.order(candidates, b"k")

    assert candidates == list(NAMES)


@pytest.mark.parametrize("name", sorted({*get_args(BalancerName)} - {"ordered", "cheapest"}))
def test_a_candidate_of_weight_0_is_not_asked_before_others(name: BalancerName) -> None:
    balancer = build_balancer(name, StillLandscape(weights={"b": 0.0}, latencies_s={"a": 1.0}), draws(4))

    firsts = {balancer.order(("a", "b"), key)[0] for key in (b"", *(b"%d" % i for i in range(200)))}

    assert firsts == {"a"}


def test_candidates_that_come_and_go_are_known_at_once(balancer: Balancer) -> None:
    for candidates in itertools.permutations(NAMES, 3):
        assert set(balancer.order(candidates, b"k")) == set(candidates)
