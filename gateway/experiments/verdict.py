"""What the figures of an experiment say, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.experiments.intervals import Interval, mean_difference, rate_difference
from gateway.experiments.tally import ArmTally

FEWEST: Final = 20
"""Trials below which no sentence says more than that it is too early."""

FEWEST_SUBJECTS: Final = 10
"""Subjects below which arms of a split are not compared: their requests are not independent of each other."""

NO_DIFFERENCE: Final = "no difference shown yet"


def split_verdict(arms: Sequence[tuple[str, ArmTally]]) -> str:
    """Return in words how the arms differ from the one that had most requests."""
    if len(arms) < 2:
        return "one arm only: nothing to compare"
    usual = max(arms, key=lambda named: named[1].requests)
    few = [f"{len(tally.subjects)} in {arm}" for arm, tally in arms if len(tally.subjects) < FEWEST_SUBJECTS]
    if few:
        return f"too few callers to tell ({', '.join(few)})"
    others = [named for named in arms if named is not usual]
    found = [sentence for other in others for sentence in _differences(other, usual)]
    return "; ".join(found) or NO_DIFFERENCE


def _differences(other: tuple[str, ArmTally], usual: tuple[str, ArmTally]) -> list[str]:
    (arm, tally), (base, against) = other, usual
    found = []
    if min(tally.requests, against.requests) >= FEWEST:
        errors = rate_difference(tally.errors, tally.requests, against.errors, against.requests)
        if (word := _word(errors, "more often", "less often")) is not None:
            rates = f"{_percent(tally.errors / tally.requests)} against {_percent(against.errors / against.requests)}"
            found.append(f"{arm} fails {word} than {base}: {rates}, difference {_bounds(errors, 100)} points")
    if min(tally.feedback.count, against.feedback.count) >= FEWEST:
        scores = mean_difference(tally.feedback, against.feedback)
        if (word := _word(scores, "higher", "lower")) is not None:
            means = f"{tally.feedback.mean:.2f} against {against.feedback.mean:.2f}"
            found.append(f"{arm} is rated {word} than {base}: {means}, difference {_bounds(scores, 1)}")
    return found


def pair_verdict(model: str, routed: str, rate: Interval, judged: int) -> str:
    """Return in words whether a shadow is better than the model that answered.

    Args:
        rate: of its wins, ties as half.
        judged: how many pairs were judged.
    """
    if judged < FEWEST or rate.low is None or rate.high is None:
        return f"too few verdicts to tell ({judged})"
    low, high = round(100 * rate.low), round(100 * rate.high)
    share = f"{round(100 * rate.value)} % [{low}, {high}] against {routed}, ties as half"
    if rate.low > 0.5:
        return f"{model} wins {share}"
    if rate.high < 0.5:
        return f"{model} loses: it wins {share}"
    return f"{NO_DIFFERENCE}: {model} wins {share}"


def _word(difference: Interval, more: str, less: str) -> str | None:
    """Return which way a difference goes, None where it may be none."""
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return None
    return more if difference.value > 0 else less


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _bounds(difference: Interval, scale: int) -> str:
    digits = 1 if scale > 1 else 2
    value, low, high = (scale * (bound or 0.0) for bound in difference)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
