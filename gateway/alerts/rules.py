"""What an alert is about, and how the requests of a window are judged by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from gateway.alerts.settings import AlertSettings
from gateway.alerts.traffic import Tally
from gateway.domain.money import PER_MILLION

Unit = Literal["share", "usd", "s"]
"""What a value is measured in: a share of requests (0 to 1), US dollars, seconds."""

P95: Final = 0.95


class Rule(msgspec.Struct, frozen=True):
    """One kind of alert.

    Attributes:
        name: in messages, metrics and `/admin/alerts`.
        unit: of its value and threshold.
        words: what a value says; `{}` stands for it.
        for_s: seconds for which a reading must last before the alert follows it.
    """

    name: str
    unit: Unit
    words: str
    for_s: float


class Reading(msgspec.Struct, frozen=True):
    """What a rule reads of a subject at a moment.

    Attributes:
        value: None where there is nothing to measure.
        is_breached: whether the alert should begin, or go on beginning.
        is_cleared: whether it should end. Between the two it stays as it is.
    """

    value: float | None
    threshold: float
    is_breached: bool
    is_cleared: bool


class TrafficRule(msgspec.Struct, frozen=True):
    """A rule over requests.

    Attributes:
        measure: what is compared with the threshold.
        count: how many requests that is taken over.
        min_count: below how many no alert begins.
        clears_at: the value that an alert must come down to.
    """

    rule: Rule
    threshold: float
    measure: Callable[[Tally], float]
    count: Callable[[Tally], int]
    min_count: int
    clears_at: float

    def read(self, tally: Tally | None) -> Reading:
        """Judge the requests of a window; where there are none, there is nothing left to alert about."""
        count = 0 if tally is None else self.count(tally)
        if tally is None or not count:
            return Reading(None, self.threshold, is_breached=False, is_cleared=True)
        value = self.measure(tally)
        is_breached = count >= self.min_count and value > self.threshold
        return Reading(value, self.threshold, is_breached, is_cleared=value <= self.clears_at)


def traffic_rules(settings: AlertSettings, bounds: Sequence[int]) -> tuple[TrafficRule, ...]:
    """Return the rules over requests whose thresholds are set.

    Args:
        settings: the thresholds.
        bounds: of durations, in microseconds.
    """
    rules: tuple[tuple[str, Unit, str, Callable[[Tally], float], Callable[[Tally], int]], ...] = (
        ("timeout_rate", "share", "{} of requests timed out", _timeout_rate, _requests),
        ("cost_per_workflow_usd", "usd", "a request costs {} on average", _cost_usd, _priced),
        ("error_rate", "share", "{} of requests failed", _error_rate, _requests),
        ("p95_latency_s", "s", "95 of 100 requests take up to {}", lambda t: t.percentile_s(P95, bounds), _requests),
    )
    return tuple(
        TrafficRule(
            Rule(name, unit, words, settings.for_s),
            threshold,
            measure,
            count,
            settings.min_count,
            threshold * settings.resolve_at,
        )
        for name, unit, words, measure, count in rules
        if (threshold := getattr(settings, name)) is not None
    )


def _requests(tally: Tally) -> int:
    return tally.requests


def _priced(tally: Tally) -> int:
    return tally.priced


def _timeout_rate(tally: Tally) -> float:
    return tally.timeouts / tally.requests


def _error_rate(tally: Tally) -> float:
    return tally.errors / tally.requests


def _cost_usd(tally: Tally) -> float:
    return tally.cost_microusd / tally.priced / PER_MILLION
