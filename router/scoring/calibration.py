"""Keeps the thresholds between tiers where the traffic needs them for a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.domain.tier import TierName
from router.scoring.cuts import Mix, Quality, Thresholds, cuts_for_mix, cuts_for_quality
from router.scoring.feedback import Feedback, Offset
from router.scoring.sample import Sample, Scores
from router.scoring.scorer import Assessment

__all__ = ["Calibrator", "Mix", "Quality", "Thresholds"]

ENOUGH: Final = 500
"""How many live scores stand on their own; with fewer the reference scores fill up."""

_MOST_LANGUAGES: Final = 16
_VERSION: Final = 1


class _State(msgspec.Struct, array_like=True):
    """What is kept over a restart."""

    version: int
    pooled: list[list[float]]
    languages: dict[str, list[list[float]]]
    offsets: dict[str, Offset]


class Calibrator:
    """Sets thresholds for a target from the scores of recent traffic.

    A language with `ENOUGH` scores has thresholds of its own, the others share one pair. The same calls give the same
    thresholds. Not for several threads at once.

    Args:
        target: what the thresholds are for.
        reference: scores of traffic that stand in until there is live traffic, `Artefact.reference`, shape (q, 3).
        capacity: how many recent scores count, for all traffic and for each language; at least `ENOUGH`.
        every: after how many scores the thresholds are set anew, at least 1.
    """

    __slots__ = ("_capacity", "_cuts", "_every", "_languages", "_pooled", "_reference", "_since", "_target", "feedback")

    def __init__(
        self, target: Mix | Quality, reference: NDArray[np.float64], *, capacity: int = 2000, every: int = 250
    ) -> None:
        self._target = target
        self._reference = np.asarray(reference, float)
        self._capacity = max(ENOUGH, capacity)
        self._every = every
        self._pooled = Sample(self._capacity)
        self._languages: dict[str, Sample] = {}
        self._cuts: dict[str, Thresholds] = {}
        self._since = 0
        self.feedback = Feedback()
        self._recompute()

    def observe(self, assessment: Assessment) -> None:
        """Count a score of live traffic."""
        row = (assessment.score, assessment.simple_fails, assessment.medium_fails)
        self._pooled.add(*row)
        sample = self._languages.get(assessment.language)
        if sample is None and len(self._languages) < _MOST_LANGUAGES:
            sample = self._languages[assessment.language] = Sample(self._capacity)
        if sample is not None:
            sample.add(*row)
        self._since += 1
        if self._since >= self._every:
            self._recompute()

    def thresholds(self, language: str = "") -> Thresholds:
        """Return the thresholds for a language, or those of all traffic."""
        return self._cuts.get(language) or self._cuts[""]

    def fit(self, scores: Sequence[float]) -> None:
        """Set the thresholds from the scores of unlabelled prompts, in place of all that was observed.

        Args:
            scores: of at least one prompt; the last `capacity` count. Their chances are those of such scores in the
                reference.
        """
        table = self._reference
        self._pooled, self._languages = Sample(self._capacity), {}
        for score in scores:
            simple, medium = (float(np.interp(score, table[:, 0], table[:, column])) for column in (1, 2))
            self._pooled.add(score, simple, medium)
        self._recompute()

    def learn(self, kind: str, tier: TierName, failed: bool, predicted: float) -> None:  # noqa: FBT001  an outcome
        """Take feedback on one answer into account.

        Args:
            kind: of the task.
            tier: that answered; the complex one is ignored, as there is nothing better to send such a task to.
            failed: whether the answer did not suffice.
            predicted: the probability of that, as in the assessment.
        """
        if tier != "complex":
            self.feedback.learn(kind, failed=failed, predicted=predicted)

    def adjusted(self, assessment: Assessment) -> Assessment:
        """Return an assessment with what feedback taught about its kind."""
        return self.feedback.adjusted(assessment)

    def dump(self) -> bytes:
        """Return what `load` needs to go on from here."""
        languages = {name: sample.rows().tolist() for name, sample in self._languages.items()}
        state = _State(_VERSION, self._pooled.rows().tolist(), languages, self.feedback.offsets)
        return msgspec.msgpack.encode(state)

    def load(self, stored: bytes) -> None:
        """Go on from where `dump` was called.

        Raises:
            ValueError: the bytes are not from `dump`, or from another version of it; nothing has changed then.
        """
        state = msgspec.msgpack.decode(stored, type=_State)
        if state.version != _VERSION:
            raise ValueError(f"the stored calibration has version {state.version}, and this code reads {_VERSION}")
        samples = {name: _filled(rows, self._capacity) for name, rows in state.languages.items()}
        self._pooled, self._languages = _filled(state.pooled, self._capacity), samples
        self.feedback = Feedback(state.offsets)
        self._recompute()

    def _recompute(self) -> None:
        """Set the thresholds anew: sorting a few thousand numbers."""
        self._since = 0
        cuts = {"": self._cut(self._pooled.rows())}
        for language, sample in self._languages.items():
            if len(sample) >= ENOUGH:
                cuts[language] = self._cut(sample.rows())
        self._cuts = cuts

    def _cut(self, live: Scores) -> Thresholds:
        lacking = max(0, ENOUGH - len(live))
        rows, weights = live, np.ones(len(live))
        if lacking:
            rows = np.concatenate((live, self._reference))
            weights = np.concatenate((weights, np.full(len(self._reference), lacking / len(self._reference))))
        if isinstance(self._target, Mix):
            return cuts_for_mix(rows, weights, self._target)
        return cuts_for_quality(rows, weights, self._target.quality)


def _filled(rows: list[list[float]], capacity: int) -> Sample:
    sample = Sample(capacity)
    for score, simple, medium in rows:
        sample.add(score, simple, medium)
    return sample
