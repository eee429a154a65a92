from __future__ import annotations

import random
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.fair_order import LEAST_WEIGHT, MOST_WEIGHT, FairOrder, Ticket


class Named(Ticket):
    def __init__(self, tenant: str, number: int = 0, cost: int = 1) -> None:
        super().__init__(cost)
        self.tenant, self.number = tenant, number


class Watched(FairOrder[Named]):
    """Counts the turns it gives: what a step costs."""

    turns = 0

    def _begin_turn(self):  # type: ignore[no-untyped-def]  # noqa: ANN202  a flow, which is its own business
        self.turns += 1
        return super()._begin_turn()


def fill(order: FairOrder[Named], tenant: str, count: int, *, weight: float = 1.0, cost: int = 1) -> list[Named]:
    tickets = [Named(tenant, number, cost) for number in range(count)]
    for ticket in tickets:
        order.push(ticket, tenant, weight)
    return tickets


def serve(order: FairOrder[Named]) -> Named:
    ticket = order.first()
    assert ticket is not None
    order.take(ticket)
    return ticket


def drain(order: FairOrder[Named]) -> list[Named]:
    return [serve(order) for _ in range(len(order))]


def test_nobody_is_next_where_nobody_waits() -> None:
    order: FairOrder[Named] = FairOrder()

    assert order.first() is None
    assert len(order) == 0


def test_a_tenant_is_served_in_the_order_of_arrival() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "a", 20)
    fill(order, "b", 20, cost=3)

    served = drain(order)

    assert [one.number for one in served if one.tenant == "a"] == list(range(20))
    assert [one.number for one in served if one.tenant == "b"] == list(range(20))


def test_tenants_of_equal_weight_take_turns_whoever_came_first() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "a", 10)
    fill(order, "b", 3)

    served = [one.tenant for one in drain(order)]

    assert served[:6] == ["a", "b"] * 3


@pytest.mark.parametrize("scale", [0.001, 1.0, 1000.0])
def test_places_are_shared_by_weight_whatever_the_scale_of_weights(scale: float) -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "light", 100, weight=scale)
    fill(order, "heavy", 300, weight=3 * scale)

    served = Counter(serve(order).tenant for _ in range(80))

    assert served == {"light": 20, "heavy": 60}


def test_shares_are_of_costs_and_not_of_numbers() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "small", 1000, cost=10)
    fill(order, "large", 100, cost=100)

    served = Counter(serve(order).tenant for _ in range(110))

    assert served == {"small": 100, "large": 10}


def test_who_is_next_stays_next_while_others_come_and_go() -> None:
    order: FairOrder[Named] = FairOrder()
    others = fill(order, "a", 3)
    chosen = order.first()
    later = fill(order, "b", 3, weight=100.0)
    order.drop(others[1])
    order.drop(later[0])

    assert order.first() is chosen


def test_costly_firsts_are_reached_without_counting_rounds() -> None:
    order = Watched()
    for tenant in "ab":
        fill(order, tenant, 1, cost=10**12)
        fill(order, tenant, 1000)

    costly = [one for one in (serve(order) for _ in range(1002)) if one.cost > 1]

    assert [one.tenant for one in costly] == ["a", "b"]
    assert order.turns <= 4


def test_a_round_ends_with_the_tenants_that_are_still_there() -> None:
    order = Watched()
    leavers = [fill(order, f"leaver {number}", 1)[0] for number in range(100)]
    serve(order)
    for ticket in leavers[1:]:
        order.drop(ticket)
    fill(order, "costly", 1, cost=10**6)
    order.turns = 0

    serve(order)

    assert order.turns == 1


def test_a_ticket_that_is_taken_or_dropped_twice_counts_once() -> None:
    order: FairOrder[Named] = FairOrder()
    first, second = fill(order, "a", 2)
    order.take(first)
    order.take(first)
    order.drop(first)

    assert len(order) == 1
    assert order.first() is second


def test_a_tenant_of_whom_nobody_waits_is_forgotten() -> None:
    order: FairOrder[Named] = FairOrder()
    for number in range(1000):
        fill(order, f"tenant {number}", 2)
    for _ in range(1000):
        serve(order)
    for number in range(1000, 1010):
        fill(order, f"tenant {number}", 1)

    drain(order)

    assert not order._flows
    assert (order._cost, order._weights, order._turns_left) == (0, 0.0, 0)


@pytest.mark.parametrize("weight", [0.0, -1.0, LEAST_WEIGHT / 2, 2 * MOST_WEIGHT, float("inf"), float("nan")])
def test_absurd_weights_are_refused(weight: float) -> None:
    order: FairOrder[Named] = FairOrder()

    with pytest.raises(ValueError, match="weight"):
        order.push(Named("a"), "a", weight)

    assert len(order) == 0
    assert order.first() is None


@pytest.mark.parametrize("cost", [0, -1])
def test_absurd_costs_are_refused(cost: int) -> None:
    with pytest.raises(ValueError, match="cost"):
        Ticket(cost)


def test_the_last_weight_given_holds() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "a", 100, weight=1.0)
    fill(order, "b", 100, weight=1.0)
    fill(order, "a", 1, weight=3.0)

    served = Counter(serve(order).tenant for _ in range(80))

    assert served == {"a": 60, "b": 20}


weights = st.sampled_from([0.001, 0.1, 1.0, 2.0, 7.0, 50.0, 1000.0])
costs = st.one_of(st.just(1), st.integers(1, 50), st.integers(1, 100_000))


@given(st.lists(st.tuples(weights, costs), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_no_tenant_is_ever_far_from_its_share(tenants: list[tuple[float, int]], chance: random.Random) -> None:
    order: FairOrder[Named] = FairOrder()
    dearest = max(cost for _, cost in tenants)
    served = [0.0] * len(tenants)
    for _ in range(20):
        for number, (weight, cost) in enumerate(tenants):
            order.push(Named(str(number), cost=chance.randint(1, cost)), str(number), weight)
    worst = 0.0

    for _ in range(300):
        ticket = serve(order)
        number = int(ticket.tenant)
        weight, cost = tenants[number]
        served[number] += ticket.cost / weight
        order.push(Named(ticket.tenant, cost=chance.randint(1, cost)), ticket.tenant, weight)
        worst = max(worst, max(served) - min(served))

    # In the same rounds tenants get the same credit for their weight. They differ by what they have not used of it,
    # less than one ticket each, and by one round: its credit is at most twice the mean cost, or brings up the heaviest.
    lightest, heaviest = min(weight for weight, _ in tenants), max(weight for weight, _ in tenants)
    mean_weight = sum(weight for weight, _ in tenants) / len(tenants)
    assert worst <= 2 * dearest / lightest + 2 * dearest / mean_weight + dearest / heaviest


@given(st.lists(st.tuples(weights, costs), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_a_step_takes_few_turns_on_average(tenants: list[tuple[float, int]], chance: random.Random) -> None:
    order = Watched()
    for number, (weight, cost) in enumerate(tenants):
        for _ in range(10):
            order.push(Named(str(number), cost=chance.randint(1, cost)), str(number), weight)

    for _ in range(1000):
        ticket = serve(order)
        weight, cost = tenants[int(ticket.tenant)]
        order.push(Named(ticket.tenant, cost=chance.randint(1, cost)), ticket.tenant, weight)

    assert order.turns <= 4 * 1000 + 2 * len(tenants)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), weights, costs, st.sampled_from(["push", "push", "take", "drop", "look"]))
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_comes_and_goes_nobody_is_lost_or_left_behind(
    steps: list[tuple[str, float, int, str]], chance: random.Random
) -> None:
    order: FairOrder[Named] = FairOrder()
    queues: dict[str, deque[Named]] = {}
    for tenant, weight, cost, verb in steps:
        here = [ticket for queue in queues.values() for ticket in queue]
        if verb == "push":
            ticket = Named(tenant, cost=cost)
            order.push(ticket, tenant, weight)
            queues.setdefault(tenant, deque()).append(ticket)
        elif verb == "take" and here:
            ticket = serve(order)
            assert queues[ticket.tenant].popleft() is ticket
        elif verb == "drop" and here:
            ticket = chance.choice(here)
            order.drop(ticket)
            queues[ticket.tenant].remove(ticket)
        elif verb == "look":
            assert order.first() is order.first()
        assert len(order) == sum(len(queue) for queue in queues.values())
        assert order._cost == sum(ticket.cost for queue in queues.values() for ticket in queue)

    left = {id(ticket) for ticket in drain(order)}

    assert left == {id(ticket) for queue in queues.values() for ticket in queue}
    assert order.first() is None


def test_a_lone_tenant_knows_its_position() -> None:
    order: FairOrder[Named] = FairOrder()
    for cost in (1, 500, 3):
        fill(order, "a", 1, cost=cost)

    assert order.position("a", 1.0, 40) == 4


def test_a_position_counts_those_who_will_be_served_before() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "flood", 100)
    fill(order, "b", 1)

    assert order.position("newcomer", 1.0, 1) == 3
    assert order.position("newcomer", 10.0, 1) == 2
    assert order.position("flood", 1.0, 1) == 102


@given(st.lists(st.tuples(weights, st.integers(1, 20)), min_size=1, max_size=6), weights)
def test_a_newcomer_is_served_no_later_than_about_its_position(tenants: list[tuple[float, int]], weight: float) -> None:
    order: FairOrder[Named] = FairOrder()
    for number, (other, count) in enumerate(tenants):
        fill(order, str(number), count, weight=other)
    position = order.position("newcomer", weight, 1)
    order.push(Named("newcomer"), "newcomer", weight)

    before = len(order)
    served = [ticket.tenant for ticket in drain(order)].index("newcomer") + 1

    # It takes every tenant for one that has enough waiting, and does not know where in a round the newcomer's turn is.
    total = sum(other for other, _ in tenants) + weight
    round_length = sum(-(-other * (len(tenants) + 1) // total) for other, _ in tenants)
    assert 1 <= position <= before
    assert served <= position + round_length + len(tenants)


def test_a_position_is_behind_those_of_the_same_tenant_however_cheap() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "a", 10)
    fill(order, "b", 1, cost=1000)

    assert order.position("a", 1.0, 1) == 11


def test_a_flood_makes_room_for_whoever_has_less_than_its_share() -> None:
    order: FairOrder[Named] = FairOrder()
    flood = fill(order, "flood", 10)

    assert order.displaceable("newcomer", 1.0, 10) is flood[-1]


def test_when_a_flood_is_over_the_next_one_makes_room() -> None:
    order: FairOrder[Named] = FairOrder()
    over = fill(order, "over", 10)
    order.displaceable("newcomer", 1.0, 10)
    for ticket in over[2:]:
        order.drop(ticket)
    flood = fill(order, "flood", 8)

    assert order.displaceable("newcomer", 1.0, 10) is flood[-1]


def test_whoever_has_its_share_displaces_nobody() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "a", 5)
    fill(order, "b", 5)

    assert order.displaceable("a", 1.0, 10) is None
    assert order.displaceable("b", 1.0, 10) is None


def test_shares_of_places_go_by_weight() -> None:
    order: FairOrder[Named] = FairOrder()
    fill(order, "heavy", 6, weight=9.0)
    light = fill(order, "light", 4, weight=1.0)

    assert order.displaceable("heavy", 9.0, 10) is light[-1]
    assert order.displaceable("light", 1.0, 10) is None


@given(st.lists(st.tuples(weights, st.integers(0, 12)), min_size=1, max_size=8), weights, st.integers(0, 3))
def test_only_who_has_more_than_its_share_is_displaced(
    tenants: list[tuple[float, int]], weight: float, known: int
) -> None:
    order: FairOrder[Named] = FairOrder()
    for number, (other, count) in enumerate(tenants):
        fill(order, str(number), count, weight=other)
    fill(order, "newcomer", known, weight=weight)
    places = len(order)
    total = sum(other for other, count in tenants if count) + weight

    displaced = order.displaceable("newcomer", weight, places)

    if displaced is None:
        assert known + 1 > places * weight / total
    else:
        other, count = tenants[int(displaced.tenant)]
        assert known + 1 <= places * weight / total
        assert count > places * other / total
        assert displaced.number == count - 1
