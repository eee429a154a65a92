"""Where the fewest calls are under way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape


class LeastBusy:
    """Asks who is least loaded for its weight, the call to come included; among equals, as configured.

    For upstreams whose capacity is known and whose answers take long, such as own GPUs.
    """

    name: Final[BalancerName] = "least_busy"
    is_keyed: Final = False

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:  # noqa: ARG002  all are given both
        self._landscape = landscape

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:  # noqa: ARG002  the seam's signature
        """Return the candidates by load."""
        if len(candidates) < 2:
            return tuple(candidates)
        return tuple(sorted(candidates, key=self._load))

    def _load(self, name: str) -> float:
        weight = self._landscape.weight(name)
        return (self._landscape.in_flight(name) + 1) / weight if weight > 0.0 else math.inf
