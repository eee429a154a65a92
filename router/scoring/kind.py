"""The kind of a task, from the words of the lexicon and the signs of code and formulas."""

from __future__ import annotations

from math import exp, sqrt
from typing import Final

from router.scoring.features import Features
from router.scoring.lexicon import GROUPS, KINDS

OTHER: Final = "other"
NAMES: Final = (*KINDS, OTHER)
"""Every kind there is."""

_KINDS: Final = len(KINDS)
_CODE: Final = KINDS.index("code")
_MATHS: Final = KINDS.index("maths")
_REASONING: Final = KINDS.index("reasoning")
_KNOWLEDGE: Final = KINDS.index("knowledge")
_EXPLANATION: Final = KINDS.index("explanation")
_TECHNICAL: Final = 1.4
"""What words of programming count: few of them stand in other requests."""

_VAGUE: Final = 0.75
"""What words like `how` and `what` count: they stand in requests of every kind."""

_CONDITION: Final = GROUPS.index("condition")
_QUANTITY: Final = GROUPS.index("quantity")
_SOFTNESS: Final = 0.12
"""Scores that differ by so much have shares as 1 to 2.7. A wider one blurs the gain of tasks of one kind."""

_OTHER: Final = 0.45
"""The score of no kind in particular: about three words of one kind in a request of ten words."""


def shares(features: Features, lexicon: list[float], opening: list[float]) -> list[float]:
    """Return how much of each kind of `NAMES` a task is; they sum to 1.

    Args:
        features: what was counted.
        lexicon: what each group of words weighs in the whole text.
        opening: the same in its first words.
    """
    scale, first = 3.0 + sqrt(features.word_count), 1.5 + 0.25 * min(12, features.word_count)
    scores = [2.0 * whole / scale + start / first for whole, start in zip(lexicon[:_KINDS], opening, strict=False)]
    scores[_CODE] *= _TECHNICAL
    scores[_EXPLANATION] *= _VAGUE
    length = features.read + 40.0
    formulas = min(1.0, 12.0 * (features.operators + 2.0 * features.notation) / length)
    scores[_CODE] += 16.0 * min(0.06, max(0.0, features.brackets - 4.0 * features.notation) / length)
    dilution = sqrt(1.0 + 0.05 * features.word_count)
    scores[_MATHS] += 0.8 * formulas + (0.25 * min(5, features.numbers) + 0.12 * lexicon[_QUANTITY]) / dilution
    scores[_REASONING] += 0.08 * lexicon[_CONDITION] / dilution
    if features.options > 1:
        scores[_KNOWLEDGE] += 0.6
    scores.append(_OTHER)
    return _softmax(scores)


def _softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    weights = [exp((score - top) / _SOFTNESS) for score in scores]
    whole = sum(weights)
    return [weight / whole for weight in weights]
