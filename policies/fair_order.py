"""Who is next among those who wait for one thing: tenants take turns by weight, first come first served within one.

Deficit round-robin (M. Shreedhar, G. Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", IEEE/ACM
Transactions on Networking 4(3), 1996): each round gives every tenant credit in proportion to its weight, and a tenant
is served while its credit covers the cost of its first. Two things differ. The credit of a round follows from the costs
that wait, so that a round serves about as many as it visits, whatever the scale of costs and weights. And rounds in
which nobody could be served are taken at once, so that a costly first is not waited for round by round.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Final, Generic, TypeVar

LEAST_WEIGHT: Final = 0.001
"""The smallest weight: sums of weights, added to and taken from as tenants come and go, stay exact beside it."""

MOST_WEIGHT: Final = 1_000_000.0
"""The largest weight."""

_ROUNDING: Final = 1e-9
"""What is taken off a quotient of floats before it is rounded up, so that 3 stays 3."""


class Ticket:
    """One who waits.

    Args:
        cost: what its tenant is charged when it is served, >= 1.
    """

    __slots__ = ("cost", "flow")

    def __init__(self, cost: int) -> None:
        if cost < 1:
            raise ValueError("a cost is 1 or more")
        self.cost = cost
        self.flow: _Flow[Any] | None = None


T = TypeVar("T", bound=Ticket)


class _Flow(Generic[T]):
    """A tenant of whom somebody waits.

    Attributes:
        credit: what it may still be charged in its turn.
        cost: of all its tickets.
        round: the last one in which it had a turn, or that in which it came.
    """

    __slots__ = ("cost", "credit", "round", "tenant", "tickets", "weight")

    def __init__(self, tenant: str, weight: float, number: int) -> None:
        self.tenant, self.weight, self.round = tenant, weight, number
        self.credit, self.cost = 0.0, 0
        self.tickets: OrderedDict[T, None] = OrderedDict()  # a plain dict slows down as its first members go

    @property
    def first(self) -> T:
        """Return who has waited longest."""
        return next(iter(self.tickets))


class FairOrder(Generic[T]):
    """Keeps tickets and says whose turn it is.

    A verb takes constant time on average and never longer than one pass over the tenants of whom somebody waits. A
    tenant of whom nobody waits takes no memory and keeps no credit.
    """

    def __init__(self) -> None:
        self._flows: OrderedDict[str, _Flow[T]] = OrderedDict()  # in the order of their turns
        self._count = self._cost = 0
        self._weights = 0.0
        self._turn: _Flow[T] | None = None
        self._round = self._turns_left = 0
        self._quantum = 0.0
        self._greedy: _Flow[T] | None = None

    def __len__(self) -> int:
        return self._count

    def push(self, ticket: T, tenant: str, weight: float) -> None:
        """Add a ticket behind the others of its tenant.

        Args:
            ticket: in no order yet.
            tenant: whose.
            weight: the tenant's share, `LEAST_WEIGHT` to `MOST_WEIGHT`; the last one given holds.
        """
        if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
            raise ValueError(f"a weight is {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}")
        flow = self._flows.get(tenant)
        if flow is None:
            flow = self._flows[tenant] = _Flow(tenant, 0.0, self._round)
        self._weights += weight - flow.weight
        flow.weight = weight
        flow.tickets[ticket] = None
        flow.cost += ticket.cost
        ticket.flow = flow
        self._count += 1
        self._cost += ticket.cost

    def first(self) -> T | None:
        """Return who is next, None when nobody waits. It stays the same until that ticket is taken or dropped."""
        while self._flows:
            flow = self._turn or self._begin_turn()
            ticket = flow.first
            if ticket.cost <= flow.credit:
                return ticket
            self._flows.move_to_end(flow.tenant)
            self._turn = None
        return None

    def take(self, ticket: T) -> None:
        """Remove the ticket that `first` returned, and charge its tenant."""
        if ticket.flow is not None:
            ticket.flow.credit -= ticket.cost
            self.drop(ticket)

    def drop(self, ticket: T) -> None:
        """Remove a ticket wherever it stands, without a charge; harmless when it is not there any more."""
        flow, ticket.flow = ticket.flow, None
        if flow is None:
            return
        del flow.tickets[ticket]
        flow.cost -= ticket.cost
        self._count -= 1
        self._cost -= ticket.cost
        if not flow.tickets:
            self._forget(flow)

    def position(self, tenant: str, weight: float, cost: int) -> int:
        """Return after how many a newcomer would be served, itself included, if nobody came later: an upper estimate.

        It takes every tenant for one that has as much waiting as its share comes to. Where in a round the tenants stand
        is not looked at, which may add as many as one round serves.
        """
        flow = self._flows.get(tenant)
        ahead, ahead_cost, before = (len(flow.tickets), flow.cost, flow.weight) if flow else (0, 0, 0.0)
        weights = self._weights - before + weight
        share = (ahead_cost + cost) / (self._cost + cost) * weights / weight
        count = self._count + 1
        return min(count, max(ahead + 1, math.ceil(count * share - _ROUNDING)))

    def displaceable(self, tenant: str, weight: float, places: int) -> T | None:
        """Return who has to make room for a newcomer when all places are taken; None when the newcomer has to go.

        A tenant has a share of the places in proportion to its weight. Whoever has less than it, with the newcomer
        included, takes a place from the youngest of one that has more, so that a flood of one tenant keeps nobody out.

        Args:
            tenant, weight: the newcomer's.
            places: how many there are; no fewer wait.
        """
        flow = self._flows.get(tenant)
        waiting, before = (len(flow.tickets), flow.weight) if flow else (0, 0.0)
        each = places / (self._weights - before + weight)
        if waiting + 1 > weight * each:
            return None
        # One that has more than its share is used until it has not: looking for it passes over all tenants.
        if self._greedy is None or len(self._greedy.tickets) <= self._greedy.weight * each:
            self._greedy = max(self._flows.values(), key=lambda other: len(other.tickets) / other.weight, default=None)
        return None if self._greedy is None else next(reversed(self._greedy.tickets))

    def _begin_turn(self) -> _Flow[T]:
        if not self._turns_left:
            self._begin_round()
        flow = next(iter(self._flows.values()))
        flow.round = self._round
        flow.credit += self._quantum * flow.weight
        self._turns_left -= 1
        self._turn = flow
        return flow

    def _begin_round(self) -> None:
        self._round += 1
        self._turns_left = len(self._flows)
        # On average a tenant is given the mean cost of a ticket.
        once = self._cost / self._count * self._turns_left / self._weights
        needed = min((flow.first.cost - flow.credit) / (once * flow.weight) for flow in self._flows.values())
        self._quantum = once * max(1, math.ceil(needed - _ROUNDING))

    def _forget(self, flow: _Flow[T]) -> None:
        del self._flows[flow.tenant]
        self._weights -= flow.weight
        if flow.round != self._round:
            self._turns_left -= 1
        if self._turn is flow:
            self._turn = None
        if not self._flows:
            self._weights, self._turns_left, self._greedy = 0.0, 0, None  # no error of rounding is carried on
