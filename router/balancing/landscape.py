"""The landscape as calls and settings show it."""

from __future__ import annotations

from collections.abc import Mapping

from router.health.deployments import Health


class MeasuredLandscape:
    """Joins what calls show with what the settings say.

    Args:
        health: calls under way and latencies.
        weights: by name, >= 0; 1 where a name is missing.
        prices_microusd: by name, of the same quantity each; who has none counts as dearest.
    """

    __slots__ = ("_prices", "_weights", "in_flight", "latency_s")

    def __init__(self, health: Health, weights: Mapping[str, float], prices_microusd: Mapping[str, float]) -> None:
        self._weights, self._prices = weights, prices_microusd
        self.in_flight = health.in_flight
        self.latency_s = health.latency_s

    def weight(self, name: str) -> float:
        """Return the share of the traffic."""
        return self._weights.get(name, 1.0)

    def price_microusd(self, name: str) -> float:
        """Return the price; infinite where it is not known."""
        return self._prices.get(name, float("inf"))
