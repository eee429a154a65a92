"""Every strategy the settings may name."""

from __future__ import annotations

from typing import Final

from router.base import Strategy
from router.settings import RouterSettings
from router.strategies.fixed import Fixed

STRATEGIES: Final = (Fixed,)


def build_strategy(settings: RouterSettings) -> Strategy:
    """Build the strategy that `router.strategy` names."""
    by_name = {strategy.name: strategy for strategy in STRATEGIES}
    return by_name[settings.strategy](settings)
