"""What feedback teaches: for each kind of task, how much more or less often than predicted a tier fails."""

from __future__ import annotations

from math import exp, log
from typing import Final

import msgspec

from router.scoring.scorer import Assessment

BOUND: Final = 1.0
"""The largest offset, in logits: it moves 50 % to 73 %, and no flood of feedback moves it further."""

CAUTION: Final = 20.0
"""How many coin tosses' worth of evidence an offset needs to move half of the way."""

_MEMORY: Final = 200.0
"""Beyond so much evidence the offset follows what is recent."""

_MOST_KINDS: Final = 64
_TINY: Final = 1e-6


class Offset(msgspec.Struct):
    """One kind's offset.

    Attributes:
        logits: what is added, -BOUND to BOUND.
        evidence: sum of the variances of the predictions it has seen, 0 to 200.
    """

    logits: float = 0.0
    evidence: float = 0.0


class Feedback:
    """Offsets by kind. Not for several threads at once."""

    __slots__ = ("offsets",)

    def __init__(self, offsets: dict[str, Offset] | None = None) -> None:
        self.offsets = {} if offsets is None else offsets

    def learn(self, kind: str, *, failed: bool, predicted: float) -> None:
        """Move a kind's offset by one outcome: a Newton step of logistic regression, shrunk towards no offset.

        Args:
            kind: of the task.
            failed: whether the answer did not suffice.
            predicted: the probability of that, offset included, 0 to 1.
        """
        if kind not in self.offsets and len(self.offsets) >= _MOST_KINDS:
            return
        offset = self.offsets.setdefault(kind, Offset())
        likely = min(1.0 - _TINY, max(_TINY, predicted))
        offset.evidence = min(_MEMORY, offset.evidence + likely * (1.0 - likely))
        moved = offset.logits + (float(failed) - likely) / (CAUTION + offset.evidence)
        offset.logits = min(BOUND, max(-BOUND, moved))

    def adjusted(self, assessment: Assessment) -> Assessment:
        """Return an assessment with what was learned about its kind."""
        offset = self.offsets.get(assessment.kind)
        if offset is None or not offset.logits:
            return assessment
        simple = shifted(assessment.simple_fails, offset.logits)
        return msgspec.structs.replace(
            assessment,
            score=shifted(assessment.score, offset.logits),
            simple_fails=simple,
            medium_fails=min(simple, shifted(assessment.medium_fails, offset.logits)),
        )


def shifted(probability: float, logits: float) -> float:
    """Return a probability moved by so many logits."""
    likely = min(1.0 - _TINY, max(_TINY, probability))
    return 1.0 / (1.0 + exp(-(log(likely / (1.0 - likely)) + logits)))
