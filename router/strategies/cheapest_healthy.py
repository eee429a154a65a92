"""The tier that costs least among those that work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.money import Rate
from router.base import Choice, Question
from router.learned import Learned
from router.settings import RouterSettings

PROMPT_TO_ANSWER: Final = 3
"""Tokens of a prompt for each of an answer, where prices are compared; the usual blend of price tables
(artificialanalysis.ai, "Methodology", 2026-11)."""


class CheapestHealthy:
    """Picks the tier whose cheapest model that may be asked costs least; models without a price come last.

    Args:
        settings: the tier of last resort.
        learned: who may be asked.
        rates: of the models whose price is known.
    """

    name = "cheapest_healthy"

    def __init__(self, settings: RouterSettings, learned: Learned, rates: Mapping[str, Rate]) -> None:
        self._default = settings.default_tier
        self._health = learned.health
        self._prices = {name: PROMPT_TO_ANSWER * rate.input + rate.output for name, rate in rates.items()}

    def choose(self, question: Question) -> Choice:
        """Return the tier; the default one where nothing may be asked at all."""
        best: tuple[float, Choice] | None = None
        for option in reversed(question.options):
            able = [name for name in option.candidates if self._health.admits(name, question.caller_id)]
            price = min((self._prices.get(name, float("inf")) for name in able), default=None)
            if price is not None and option.tier is not None and (best is None or price < best[0]):
                best = price, Choice(option.tier, 1.0, "cheapest")
        return Choice(self._default, 0.0, "none-healthy") if best is None else best[1]
