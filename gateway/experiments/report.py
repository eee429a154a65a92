"""What experiments have shown so far, with how sure that is, in figures and in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.domain.money import PER_MILLION
from gateway.experiments.comparison import Comparison, Result
from gateway.experiments.intervals import Interval, Moments, mean_interval, wilson
from gateway.experiments.shadow import Shadow
from gateway.experiments.tally import ArmTally, Tally, Times
from gateway.experiments.verdict import pair_verdict, split_verdict


class Figure(msgspec.Struct, frozen=True):
    """A figure and the interval that holds the true one 95 times of 100; no bounds where too little is known."""

    value: float
    low: float | None
    high: float | None
    count: int
    """What it was taken of."""


class ArmView(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a split as it is shown."""

    arm: str
    requests: int
    errors: int
    subjects: int
    """Who was assigned to it: keys, end users or conversations; counted up to 1000."""
    error_rate: Figure | None
    cost_usd: Figure | None
    """A request's mean cost, of those with a known price."""
    first_byte_p50_s: Figure | None
    first_byte_p95_s: Figure | None
    feedback: Figure | None
    """The mean score that callers gave, 0 to 1."""


class SplitView(msgspec.Struct, frozen=True, kw_only=True):
    """A split as it is shown. Its figures are those of this process, since it was started."""

    alias: str
    arms: list[ArmView]
    verdict: str


class ShadowArm(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two models of a pair as it is shown."""

    model: str
    answers: int
    errors: int | None
    """Requests it did not answer; null for the model that answered callers, whose failures are not compared."""
    cost_usd: Figure | None
    elapsed_p50_s: Figure | None
    elapsed_p95_s: Figure | None
    """Until the answer was complete; of the model that answered callers, with the gateway's own time."""


class PairView(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow beside one model that answered, over the newest comparisons."""

    shadow: ShadowArm
    routed: ShadowArm
    wins: int
    ties: int
    losses: int
    unreadable: int
    """Verdicts of the judge that were none."""
    unjudged: int
    win_rate: Figure | None
    """Of the shadow, over those judged; a tie counts as half."""
    first_place_rate: Figure | None
    """How often the judge preferred the answer it was shown first. Away from a half, it looks at the order."""
    verdict: str


class ShadowView(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow as it is shown."""

    model: str
    judge: str | None
    outcomes: dict[str, int]
    spent_today_usd: float
    usd_per_day: float
    pairs: list[PairView]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Every experiment that is configured."""

    splits: list[SplitView]
    shadows: list[ShadowView]
    note: str = (
        "Intervals hold the true figure 95 times of 100 if requests are independent and it is looked at once. "
        "Who looks often, or at many arms, now and then sees a difference that is chance."
    )


def report(tally: Tally, shadows: Iterable[tuple[Shadow, list[PairView]]]) -> Report:
    """Return what experiments have shown.

    Args:
        tally: of the splits.
        shadows: each with what `pair_views` makes of its comparisons.
    """
    return Report(
        splits=[_split(alias, arms) for alias, arms in tally.experiments().items()],
        shadows=[_shadow(shadow, pairs) for shadow, pairs in shadows],
    )


def pair_views(model: str, comparisons: Iterable[Comparison]) -> list[PairView]:
    """Return a shadow beside each model that answered; 1 us a comparison (measured, CPython 3.11)."""
    pairs: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        pairs.setdefault(comparison.routed_model, []).append(comparison)
    return [_pair(model, routed, found) for routed, found in pairs.items()]


def _split(alias: str, arms: Sequence[tuple[str, ArmTally]]) -> SplitView:
    return SplitView(alias=alias, arms=[_arm(arm, tally) for arm, tally in arms], verdict=split_verdict(arms))


def _arm(arm: str, tally: ArmTally) -> ArmView:
    return ArmView(
        arm=arm,
        requests=tally.requests,
        errors=tally.errors,
        subjects=len(tally.subjects),
        error_rate=_figure(wilson(tally.errors, tally.requests), tally.requests),
        cost_usd=_usd(tally.costs),
        first_byte_p50_s=_percentile(tally.first_bytes, 0.5),
        first_byte_p95_s=_percentile(tally.first_bytes, 0.95),
        feedback=_figure(mean_interval(tally.feedback), tally.feedback.count),
    )


def _shadow(shadow: Shadow, pairs: list[PairView]) -> ShadowView:
    settings = shadow.settings
    return ShadowView(
        model=settings.model,
        judge=settings.judge,
        outcomes=dict(shadow.outcomes),
        spent_today_usd=shadow.allowance.spent_microusd / PER_MILLION,
        usd_per_day=settings.usd_per_day,
        pairs=pairs,
    )


def _pair(model: str, routed: str, found: Sequence[Comparison]) -> PairView:
    counts = Counter[Result](one.result for one in found)
    judged = counts["win"] + counts["tie"] + counts["loss"]
    rate = wilson(counts["win"] + counts["tie"] / 2, judged)
    decided = sum(one.decided for one in found)
    first = wilson(sum(one.first_wins for one in found), decided)
    answered = [one for one in found if one.shadow_elapsed_s is not None]
    return PairView(
        shadow=_side(model, answered, _of_shadow, errors=counts["failed"]),
        routed=_side(routed, found, _of_routed, errors=None),
        wins=counts["win"],
        ties=counts["tie"],
        losses=counts["loss"],
        unreadable=counts["unreadable"],
        unjudged=counts["unjudged"],
        win_rate=_figure(rate, judged),
        first_place_rate=_figure(first, decided),
        verdict=pair_verdict(model, routed, rate, judged),
    )


def _of_shadow(one: Comparison) -> tuple[int | None, float]:
    return one.shadow_cost_microusd, one.shadow_elapsed_s or 0.0


def _of_routed(one: Comparison) -> tuple[int | None, float]:
    return one.cost_microusd, one.elapsed_s


def _side(
    model: str,
    found: Sequence[Comparison],
    read: Callable[[Comparison], tuple[int | None, float]],
    *,
    errors: int | None,
) -> ShadowArm:
    costs, times = Moments(), Times()
    for cost, elapsed_s in map(read, found):
        times.add(elapsed_s)
        if cost is not None:
            costs.add(cost)
    return ShadowArm(
        model=model,
        answers=len(found),
        errors=errors,
        cost_usd=_usd(costs),
        elapsed_p50_s=_percentile(times, 0.5),
        elapsed_p95_s=_percentile(times, 0.95),
    )


def _usd(costs: Moments) -> Figure | None:
    value, low, high = mean_interval(costs)
    bounds = [None if bound is None else max(bound, 0.0) / PER_MILLION for bound in (low, high)]
    return _figure(Interval(value / PER_MILLION, *bounds), costs.count)


def _percentile(times: Times, share: float) -> Figure | None:
    return _figure(times.percentile_s(share), times.count)


def _figure(interval: Interval, count: int) -> Figure | None:
    return Figure(*interval, count) if count else None
