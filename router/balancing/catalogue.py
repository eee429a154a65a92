"""Every balancer the settings may name."""

from __future__ import annotations

import random as chance
from collections.abc import Callable
from typing import Final

from router.balancing.affinity import Affinity
from router.balancing.base import Balancer, Landscape
from router.balancing.cheapest import Cheapest
from router.balancing.latency import Latency
from router.balancing.least_busy import LeastBusy
from router.balancing.ordered import Ordered
from router.balancing.weighted import Weighted

BALANCERS: Final = (Ordered, Weighted, LeastBusy, Latency, Cheapest, Affinity)


def build_balancer(name: str, landscape: Landscape, random: Callable[[], float] = chance.random) -> Balancer:
    """Build the balancer of a name.

    Args:
        name: a `BalancerName`, anything else is a KeyError.
        landscape: what it sees; read anew at every call.
        random: returns 0 to below 1.
    """
    by_name: dict[str, Callable[[Landscape, Callable[[], float]], Balancer]] = {
        balancer.name: balancer for balancer in BALANCERS
    }
    return by_name[name](landscape, random)
