"""What the router makes of prompts that nobody sends: scores, and tiers under thresholds set on the prompts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from gateway.domain.tier import TIERS, TierName
from router.scoring.prompt import Prompt
from router.settings import Target
from router.traffic import Traffic


def tiers_of(
    prompts: Sequence[str], target: Target, calibrated_on: int, tell: Callable[[int], None] = lambda _: None
) -> list[tuple[float, TierName]]:
    """Return the score and the tier of each prompt.

    Args:
        prompts: what users would say.
        target: what thresholds are to reach.
        calibrated_on: how many prompts, spread evenly, set the thresholds; 0 for those that are shipped.
        tell: is told how many are done.
    """
    traffic = Traffic(target)
    assessments = []
    for done, prompt in enumerate(prompts, start=1):
        assessments.append(traffic.scorer.assess(Prompt(text=prompt)))
        tell(done)
    if calibrated_on and assessments:
        step = max(1, len(assessments) // calibrated_on)
        traffic.calibrator.fit([one.score for one in assessments[::step][:calibrated_on]])
    thresholds = traffic.calibrator.thresholds()
    pair = (thresholds.simple_below, thresholds.medium_below)
    return [(one.score, TIERS[bisect_right(pair, one.score)]) for one in assessments]
