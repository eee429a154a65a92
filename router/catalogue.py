"""Every strategy the settings may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.money import Rate
from router.base import Strategy
from router.learned import Learned
from router.settings import RouterSettings
from router.strategies.by_complexity import ByComplexity
from router.strategies.cheapest_healthy import CheapestHealthy
from router.strategies.fixed import Fixed

STRATEGIES: Final = (Fixed, ByComplexity, CheapestHealthy)


def build_strategy(settings: RouterSettings, learned: Learned, rates: Mapping[str, Rate]) -> Strategy:
    """Build the strategy that `router.strategy` names.

    Args:
        settings: of the router.
        learned: what is known of models and traffic.
        rates: of the models whose price is known.
    """
    by_name = {strategy.name: strategy for strategy in STRATEGIES}
    return by_name[settings.strategy](settings, learned, rates)
