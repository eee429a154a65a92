"""Who has the prompt in its cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape
from router.balancing.rendezvous import Rendezvous

SLACK: Final = 1.25
"""Load over the mean that is taken for the sake of a cache: the example of the paper below."""


class Affinity:
    """Sends a key to the same candidate, whose prompt cache knows it, unless that one has too much to do.

    Consistent hashing with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam, 2016, arXiv:1608.01350): who has
    more calls under way than `SLACK` x its share of all, plus one, is passed over, so that one popular prompt does not
    overload it. Keys fall to candidates by weight.
    """

    name: Final[BalancerName] = "affinity"
    is_keyed: Final = True

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:
        self._landscape = landscape
        self._rendezvous = Rendezvous(landscape, random)

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:
        """Return the candidates by key, those with too much to do last."""
        if len(candidates) < 2:
            return tuple(candidates)
        ranked = self._rendezvous.rank(candidates, key)
        landscape = self._landscape
        loads = [landscape.in_flight(name) for name in ranked]
        if max(loads) < 2:  # whatever the shares, one call is never too much
            return tuple(ranked)
        weights = [landscape.weight(name) for name in ranked]
        share = SLACK * sum(loads) / (sum(weights) or 1.0)
        busy = [load > share * weight + 1 for load, weight in zip(loads, weights, strict=True)]
        free = [name for name, is_busy in zip(ranked, busy, strict=True) if not is_busy]
        return (*free, *(name for name, is_busy in zip(ranked, busy, strict=True) if is_busy))
