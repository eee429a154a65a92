"""The seam of load balancing: what a balancer sees, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

BalancerName = Literal["ordered", "weighted", "least_busy", "latency", "cheapest", "affinity"]
"""What the settings may say. Stands here and not in the catalogue, as a type cannot be computed."""


class Landscape(Protocol):
    """What is known of the candidates at this moment. Reading it costs well below a microsecond."""

    def weight(self, name: str) -> float:
        """Return the share of the traffic, >= 0, as settings have it; 0 is asked only after all others."""

    def in_flight(self, name: str) -> int:
        """Return the calls under way from this process."""

    def latency_s(self, name: str) -> float:
        """Return the seconds to the first byte, peak-sensitive; 0 where nothing is known."""

    def price_microusd(self, name: str) -> float:
        """Return the price in micro-dollars of any quantity that is the same for all."""


class Balancer(Protocol):
    """Orders candidates that are all fit to be asked."""

    @property
    def name(self) -> BalancerName:
        """Return what the settings call it."""

    @property
    def is_keyed(self) -> bool:
        """Tell whether keys matter to it; if not, nobody needs to make one."""

    def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:
        """Return the candidates, each once, in the order they are asked.

        Args:
            candidates: distinct names in the order of the settings; who may not be asked now has been left out.
            key: what should be answered by the same one, such as a conversation; empty for nothing.
        """
