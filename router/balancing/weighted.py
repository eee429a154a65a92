"""Shares of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape
from router.balancing.rendezvous import Rendezvous


class Weighted:
    """Gives each candidate its weight's share of the keys, or of the calls where there is no key.

    What is left when the first one fails is shared by weight as well.
    """

    name: Final[BalancerName] = "weighted"
    is_keyed: Final = True

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:
        self._rendezvous = Rendezvous(landscape, random)

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:
        """Return the candidates by weighted chance, the same for the same key."""
        if len(candidates) < 2:
            return tuple(candidates)
        return tuple(self._rendezvous.rank(candidates, key))
