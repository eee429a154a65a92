"""Who answers soonest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape
from router.balancing.rendezvous import Rendezvous

UNKNOWN_S: Final = 1.0
"""What a candidate counts as that is called and has not answered yet: a usual time to a first byte. Not called and
never heard, it counts as 0 and is tried; otherwise all would go to a newcomer until its first answer."""


class Latency:
    """Draws two candidates by weight and asks the one with the smaller latency x (calls under way + 1).

    Two choices do nearly as well as looking at all, and unlike the best of all they do not send every replica to the
    same one (M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001). Weights
    decide who is drawn; of two candidates both are. The rest follows as drawn, and of weight 0 is only who is left.
    """

    name: Final[BalancerName] = "latency"
    is_keyed: Final = False

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:
        self._landscape = landscape
        self._rendezvous = Rendezvous(landscape, random)

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:  # noqa: ARG002  the seam's signature
        """Return the candidates, the better of two first."""
        if len(candidates) < 2:
            return tuple(candidates)
        first, second, *rest = self._rendezvous.rank(candidates, b"")
        if self._cost(second) < self._cost(first) and self._landscape.weight(second) > 0.0:
            first, second = second, first
        return (first, second, *rest)

    def _cost(self, name: str) -> float:
        in_flight = self._landscape.in_flight(name)
        latency_s = self._landscape.latency_s(name)
        if latency_s == 0.0 and in_flight:
            latency_s = UNKNOWN_S
        return latency_s * (in_flight + 1)
