"""What is read of budgets: the soft threshold, the cap, and when they will be empty."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.alerts.book import AlertBook, Moment
from gateway.alerts.forecast import SpendingRate
from gateway.alerts.rules import Reading, Rule
from gateway.alerts.settings import AlertSettings
from gateway.domain.money import PER_MILLION
from policies.effective import window_name
from policies.meters import Standing

EXHAUSTED_SHARE: Final = 0.99
"""The share of a cap from which a budget counts as reached: a call whose ceiling does not fit into what is left is
refused, so that few budgets are ever spent to the last micro-dollar."""

SLACK_SHARE: Final = 0.95
"""The share of a threshold that spending must come down to before the alert ends: calls in flight count at their
ceilings, which come and go."""

MOST: Final = 10_000
"""Budgets that are watched; further ones are counted. A look at so many takes 0.2 s (measured), cut by `_AT_ONCE`."""

_AT_ONCE: Final = 50
"""Budgets looked at before other work of the loop has its turn: about 1 ms."""


class BudgetWatch:
    """Judges budgets each time it is shown how they stand.

    Args:
        settings: for how long a reading must last, and how far ahead to look.

    Attributes:
        overlooked: budgets beyond the most that are watched, at the last look.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._soft = Rule("budget_soft", "usd", "{} spent, past the soft threshold", settings.for_s)
        self._exhausted = Rule("budget_exhausted", "usd", "{} spent, so the cap is reached", 0.0)
        self._forecast = Rule("budget_forecast", "s", "at this rate empty in {}", settings.for_s)
        self._within_s = settings.forecast_within_s
        self._clears_at_s = (settings.forecast_within_s or 0.0) / settings.resolve_at
        self._rates: dict[str, SpendingRate] = {}
        self._empty_at: dict[str, float] = {}
        self.overlooked = 0

    async def take(self, standings: Sequence[Standing], book: AlertBook, now: Moment) -> None:
        """Judge how budgets stand; meters of anything else than money, and budgets of 0, are passed over."""
        budgets = [one for one in standings if one.meter.unit == "microusd" and one.cap]
        self.overlooked = max(0, len(budgets) - MOST)
        rates: dict[str, SpendingRate] = {}
        empty_at: dict[str, float] = {}
        for number, standing in enumerate(budgets[:MOST]):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            key = standing.meter.key
            rate = rates[key] = self._rates.get(key) or SpendingRate(standing, now.tick)
            rate.note(standing, now.tick)
            seconds = rate.seconds_left(standing, now.at)
            if seconds is not None:
                empty_at[key] = now.tick + seconds
            subject = f"{standing.meter.level} ({window_name(standing.meter.window)})"
            for rule, reading in self._read(standing, seconds):
                book.take(rule, key, subject, reading, now)
        self._rates, self._empty_at = rates, empty_at
        book.end_missing((self._soft, self._exhausted, self._forecast), rates.keys(), now)

    def forecasts(self, tick: float) -> Mapping[str, float]:
        """Return by meter key in how many seconds a budget will be empty; only those that will, in their windows."""
        return {key: max(0.0, at - tick) for key, at in self._empty_at.items()}

    def forecast(self, key: str, tick: float) -> float | None:
        """Return in how many seconds a budget will be empty; None when it will not, as far as one can tell."""
        at = self._empty_at.get(key)
        return None if at is None else max(0.0, at - tick)

    def _read(self, standing: Standing, seconds: float | None) -> Iterator[tuple[Rule, Reading]]:
        used, cap, soft = standing.used, standing.cap, standing.meter.soft
        is_exhausted = used >= EXHAUSTED_SHARE * cap
        yield self._exhausted, _spent(used, cap, is_breached=is_exhausted)
        if soft:
            yield self._soft, _spent(used, soft, is_breached=used >= soft)
        else:
            yield self._soft, Reading(None, 0.0, is_breached=False, is_cleared=True)
        if self._within_s is not None:
            yield self._forecast, self._ahead(self._within_s, seconds, is_exhausted=is_exhausted)

    def _ahead(self, within_s: float, seconds: float | None, *, is_exhausted: bool) -> Reading:
        """Judge a forecast. That a budget is empty is no forecast: nothing begins then, and nothing ends."""
        if is_exhausted:
            return Reading(seconds, within_s, is_breached=False, is_cleared=False)
        if seconds is None:
            return Reading(None, within_s, is_breached=False, is_cleared=True)
        return Reading(seconds, within_s, seconds <= within_s, is_cleared=seconds > self._clears_at_s)


def _spent(used: int, threshold: int, *, is_breached: bool) -> Reading:
    is_cleared = not is_breached and used <= SLACK_SHARE * threshold
    return Reading(used / PER_MILLION, threshold / PER_MILLION, is_breached, is_cleared)
