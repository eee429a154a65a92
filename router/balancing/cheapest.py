"""Who costs least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape


class Cheapest:
    """Asks by price, lowest first; among equals, as configured."""

    name: Final[BalancerName] = "cheapest"
    is_keyed: Final = False

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:  # noqa: ARG002  all are given both
        self._landscape = landscape

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:  # noqa: ARG002  the seam's signature
        """Return the candidates by price."""
        if len(candidates) < 2:
            return tuple(candidates)
        return tuple(sorted(candidates, key=self._landscape.price_microusd))
