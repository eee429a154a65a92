"""As the settings have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import BalancerName, Landscape


class Ordered:
    """Asks the first candidate as long as it can be asked: for a main model and its stand-ins."""

    name: Final[BalancerName] = "ordered"
    is_keyed: Final = False

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:
        """Take what every balancer is given, and need none of it."""

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:  # noqa: ARG002  the seam's signature
        """Return the candidates as they came."""
        return tuple(candidates)
