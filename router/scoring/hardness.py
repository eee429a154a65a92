"""What is known of a task's hardness before any label is seen: its kind, its length, and what it asks at once.

Numbers here are in units of gain: how much more often a strong model is right than a cheap one (0 to 1). They were set
by hand from what benchmarks of kinds of task agree on (MT-bench, arXiv 2306.05685: mathematics, code and reasoning tell
models apart most, role play and writing least), so that they also hold for kinds that nobody has labels of. The gap
between open tasks and choices was set with the mean gains of the public datasets known (training/README.md). Within a
kind the signs of hardness have equal weights: longer, more negations, more quantities, several verdicts at once; signs
of arithmetic, of which there are many where there are any, half of that.
"""

from __future__ import annotations

from math import log1p
from typing import Final

from router.scoring.features import Features
from router.scoring.kind import NAMES
from router.scoring.lexicon import GROUPS

GAIN_BY_KIND: Final[dict[str, float]] = {
    "code": 0.33,
    "maths": 0.30,
    "reasoning": 0.34,
    "knowledge": 0.28,
    "extraction": 0.31,
    "summary": 0.28,
    "writing": 0.28,
    "roleplay": 0.28,
    "chat": 0.28,
    "translation": 0.28,
    "classification": 0.28,
    "explanation": 0.30,
    "other": 0.29,
}
"""The gain of an open task of each kind."""

FORMULAS: Final = 0.15
"""How much more mathematics in notation gains than a story with numbers."""

CLOSED: Final = 0.08
AN_OPTION: Final = 0.015
"""A choice among few can be guessed: its gain grows with the options, to `MOST_OPTIONS`."""

MOST_OPTIONS: Final = 10
"""More options than that hardly make guessing harder."""

BY_DEMAND_EXACT: Final = 0.05
"""What a unit of demand adds where answers are right or wrong: code, mathematics, reasoning."""

BY_DEMAND_CLOSED: Final = 0.018
"""The same for a choice among options, whose demand varies three times as much."""

BY_ADVANCED: Final = 0.04
"""What an advanced notion adds where answers are right or wrong, by the logarithm of their number."""

_GAINS: Final = tuple(GAIN_BY_KIND[name] for name in NAMES)
_CODE: Final = NAMES.index("code")
_MATHS: Final = NAMES.index("maths")
_REASONING: Final = NAMES.index("reasoning")
_NEGATION: Final = GROUPS.index("negation")
_QUANTITY: Final = GROUPS.index("quantity")
_ADVANCED: Final = GROUPS.index("advanced")
_PARTS: Final = GROUPS.index("parts")


def formulas(features: Features) -> float:
    """Return how much of a text is formulas, 0 to 1."""
    return min(1.0, 30.0 * (features.operators + 2.0 * features.notation) / (features.read + 40.0))


def demand(features: Features, lexicon: list[float]) -> float:
    """Return how much is asked at once: about -6 to 10, around 0 for what is usual.

    Each term is a logarithm or a share, less its mean and over its spread in the questions the scorer was made with.
    """
    asked = (
        (log1p(features.stem) - 5.0) / 0.9
        + (log1p(lexicon[_NEGATION]) - 0.35) / 0.5
        + (log1p(lexicon[_QUANTITY]) - 0.55) / 0.6
        + 0.5 * (log1p(features.operators) - 0.5) / 0.9
        + (log1p(lexicon[_PARTS]) - 0.15) / 0.35
    )
    return asked + (features.repeats - 0.3) / 0.24 if features.options > 1 else asked


def expected_gain(features: Features, lexicon: list[float], kinds: list[float]) -> tuple[float, float]:
    """Return the gain to be expected of a task by its kinds and its demand, and that demand.

    Args:
        features: what was counted.
        lexicon: what each group of words weighs in the text.
        kinds: the share of each kind of `kind.NAMES`.
    """
    demanded = asked = demand(features, lexicon)
    if features.options > 1:
        return CLOSED + AN_OPTION * min(MOST_OPTIONS, features.options) + BY_DEMAND_CLOSED * asked, demanded
    notation = kinds[_MATHS] * formulas(features)
    exact = kinds[_CODE] + kinds[_MATHS] + kinds[_REASONING]
    if asked < 0.0:
        # A short request for a proof is no easy one: what is missing counts less and less.
        asked /= 1.0 - asked
    notions = BY_ADVANCED * log1p(lexicon[_ADVANCED]) + BY_DEMAND_EXACT * (1.0 - notation) * asked
    gain = sum(map(_times, kinds, _GAINS)) + FORMULAS * notation + exact * notions
    return gain, demanded


def _times(share: float, gain: float) -> float:
    return share * gain
