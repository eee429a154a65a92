"""The scorer of prompts and the thresholds that its scores are held against, made when the first prompt is scored.

Scoring brings numpy and an artefact: 14 MB and 0.1 s that a gateway without tiers has no use for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from gateway.domain.tier import TierName
from router.settings import Target

if TYPE_CHECKING:
    from router.scoring.calibration import Calibrator
    from router.scoring.cuts import Mix, Quality, Thresholds
    from router.scoring.prompt import Prompt
    from router.scoring.scorer import Assessment, Scorer

log = logging.getLogger("tierway")


class Traffic:
    """Scores prompts, and knows the thresholds that reach a target on them.

    Args:
        target: the mix of tiers, or the quality.
        scorer: another one's, to go on with.
        stored: what another one has seen, from `dump`.
    """

    def __init__(self, target: Target, scorer: Scorer | None = None, stored: bytes | None = None) -> None:
        self._target, self._scorer, self._stored = target, scorer, stored

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer, loaded."""
        from router.scoring.scorer import Scorer  # noqa: PLC0415  see the module

        scorer = self._scorer or Scorer()
        scorer.load()
        return scorer

    @cached_property
    def calibrator(self) -> Calibrator:
        """What sets the thresholds."""
        from router.scoring.calibration import Calibrator  # noqa: PLC0415

        calibrator = Calibrator(_wanted(self._target), self.scorer.load().reference)
        if self._stored is not None:
            try:
                calibrator.load(self._stored)
            except (ValueError, msgspec.DecodeError):
                log.warning("what is stored of the traffic is of another version: thresholds start as shipped")
        return calibrator

    def score(self, prompt: Prompt) -> tuple[Assessment, Thresholds]:
        """Score a prompt of the traffic, and return the thresholds for it."""
        calibrator = self.calibrator
        assessment = calibrator.adjusted(self.scorer.assess(prompt))
        calibrator.observe(assessment)
        return assessment, calibrator.thresholds(assessment.language)

    def learn(self, kind: str, tier: TierName, predicted: float, *, failed: bool) -> None:
        """Take in what a caller has said of an answer.

        Args:
            kind: of task.
            tier: that answered.
            predicted: the probability that was given to its failing.
            failed: whether it has.
        """
        self.calibrator.learn(kind, tier, failed, predicted)

    def recall(self, stored: bytes) -> None:
        """Go on from what was dumped before a restart; to be called before the first prompt."""
        self._stored = stored

    def dump(self) -> bytes | None:
        """Return what was seen, None where nothing was."""
        return self.calibrator.dump() if self.is_used else self._stored

    @property
    def is_used(self) -> bool:
        """Whether prompts are scored."""
        return "calibrator" in self.__dict__

    def adapted(self, target: Target) -> Traffic:
        """Return the same traffic under another target."""
        return Traffic(target, self.__dict__.get("scorer", self._scorer), self.dump())


def _wanted(target: Target) -> Mix | Quality:
    from router.scoring.cuts import Mix, Quality  # noqa: PLC0415

    if target.quality is not None:
        return Quality(target.quality)
    simple, medium, _ = shares_of((target.simple, target.medium, target.complex))
    return Mix(simple, medium)


def shares_of(given: Sequence[float | None]) -> tuple[float, ...]:
    """Return shares that sum to 1: those that are absent divide what the others leave; all are relative otherwise."""
    known = sum(share for share in given if share is not None)
    absent = sum(share is None for share in given)
    if absent:
        return tuple((1.0 - known) / absent if share is None else share for share in given)
    return tuple((share or 0.0) / known for share in given)
