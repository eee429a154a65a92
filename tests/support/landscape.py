"""A landscape that is what a test says, and draws that are the same each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random


class StillLandscape:
    """Tells the figures it was given; a test may change them between two questions."""

    def __init__(
        self,
        *,
        weights: Mapping[str, float] | None = None,
        in_flight: Mapping[str, int] | None = None,
        latencies_s: Mapping[str, float] | None = None,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        self.weights, self.prices = dict(weights or {}), dict(prices or {})
        self.loads, self.latencies_s = dict(in_flight or {}), dict(latencies_s or {})

    def weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)

    def in_flight(self, name: str) -> int:
        return self.loads.get(name, 0)

    def latency_s(self, name: str) -> float:
        return self.latencies_s.get(name, 0.0)

    def price_microusd(self, name: str) -> float:
        return self.prices.get(name, 0.0)


def draws(seed: int) -> Callable[[], float]:
    """Return what draws numbers from 0 to below 1."""
    return Random(seed).random  # noqa: S311  no secret depends on it
