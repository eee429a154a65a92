"""From a text to its kind, the gain a stronger model would bring, and the chances that cheaper tiers fail."""

from __future__ import annotations

from math import exp, log, sqrt
from operator import mul
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.scoring import hardness, kind
from router.scoring.artefact import EMPHASIS, GATES, HEADS, SMOOTHING, Artefact
from router.scoring.features import Features, measure
from router.scoring.reading import Reading
from router.scoring.rows import rows_of, runs_of
from router.scoring.vocabulary import Vocabulary

_OPENING: Final = 12
"""The words at the beginning that tell the most of what is asked for."""

_ONES: Final = np.ones(1 << 15, np.float32)
_FEW: Final = GATES.index("few")
_MANY: Final = GATES.index("many")
_CODE_GATE: Final = GATES.index("code")
_MATHS_GATE: Final = GATES.index("maths")
_NO_GATE: Final = -1
_MANY_OPTIONS: Final = 6
_CODE: Final = kind.NAMES.index("code")
_MATHS: Final = kind.NAMES.index("maths")
_REASONING: Final = kind.NAMES.index("reasoning")


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What is known of a text.

    Attributes:
        features: what was counted.
        lexicon: what each group of the lexicon weighs in it.
        kinds: the share of each kind of `kind.NAMES`.
        expected: the gain by kind and demand alone.
        gain: the gain with what was learned added; mostly 0 to 0.7.
        fails: what was learned of the cheap model failing, less what is usual.
        demand: how much is asked at once.
        gate: the part of the weights it was given to, or -1 for none.
    """

    features: Features
    lexicon: list[float]
    kinds: list[float]
    expected: float
    gain: float
    fails: float
    demand: float
    gate: int


class Words(msgspec.Struct, frozen=True, gc=False):
    """The words of a text, looked up.

    Attributes:
        runs: hashes of `runs_of`.
        entries: numbers in the lexicon of words and pairs, 0 for none, shape (2 w - 1,).
        lexicon: what each group of the lexicon weighs, each entry counted once.
    """

    runs: NDArray[np.uint32]
    entries: NDArray[np.uint16]
    lexicon: list[float]


class Model:
    """The scorer's arithmetic, ready to run. It keeps no state: threads may share one.

    Args:
        artefact: what was learned, or None for what is known without labels.
    """

    __slots__ = ("_chances", "_vocabulary", "_weights")

    def __init__(self, artefact: Artefact | None) -> None:
        self._vocabulary = Vocabulary()
        self._weights: NDArray[np.float32] | None = None
        self._chances: tuple[list[list[float]], list[float]] | None = None
        if artefact is not None:
            self._weights = artefact.weights
            self._chances = artefact.chances.simple.tolist(), artefact.chances.medium.tolist()

    def look_up(self, reading: Reading) -> Words:
        """Look up the words of a text."""
        runs = runs_of(reading.words)
        entries = self._vocabulary.find(runs[: max(0, 2 * len(reading.words) - 1)])
        return Words(runs, entries, self._vocabulary.total(set(entries[entries > 0].tolist())))

    def judge(self, reading: Reading, words: Words | None = None) -> Judgement:
        """Return what is known of a text.

        Args:
            reading: of it.
            words: of it, where they were looked up already.
        """
        words = words or self.look_up(reading)
        features = measure(reading)
        lexicon, count = words.lexicon, features.word_count
        opening = self._vocabulary.total(words.entries[: min(_OPENING, count)].tolist())
        kinds = kind.shares(features, lexicon, opening)
        expected, demand = hardness.expected_gain(features, lexicon, kinds)
        gate = gate_of(features, kinds)
        gain = fails = 0.0
        if gate >= 0 and self._weights is not None:
            gain, fails = _learned(self._weights, gate, *rows_of(words.runs, count))
        return Judgement(features, lexicon, kinds, expected, expected + gain, fails, demand, gate)

    def chances_of(self, judgement: Judgement, gain: float) -> tuple[float, float]:
        """Return the probabilities that the simple and that the medium tier fail.

        The simple tier fails at least as often as a stronger one would have gained.

        Args:
            judgement: what is known of the text.
            gain: its gain, with what surrounds the text taken into account.
        """
        if self._chances is None:
            return min(1.0, max(0.0, gain) + 0.1), min(1.0, 0.6 * max(0.0, gain) + 0.05)
        row, inputs = chance_inputs(judgement, gain)
        simple = min(1.0, max(gain, _logistic(sum(map(mul, self._chances[0][row], inputs)))))
        medium = _logistic(sum(map(mul, self._chances[1], medium_inputs(simple, gain))))
        return simple, min(simple, medium)


def _learned(
    weights: NDArray[np.float32], gate: int, rows: NDArray[np.uint32], pairs: int, triples: int
) -> tuple[float, float]:
    """Return what the weights of a gate add to the gain and to the cheap model's failing.

    Args:
        weights: of the artefact.
        gate: index in `GATES`.
        rows: of the text, as `rows_of` returns them with the two places after it.
        pairs: where the rows of pairs begin.
        triples: where those of triples begin.
    """
    taken = weights.take(rows, axis=0)
    at = gate * len(HEADS)
    gain = fails = 0.0
    for emphasis, part in zip(EMPHASIS, (taken[:pairs], taken[pairs:triples], taken[triples:]), strict=True):
        columns = (_ONES[: len(part)] @ part).tolist()
        scale = emphasis / sqrt(columns[-1] + SMOOTHING)
        gain += columns[at] * scale
        fails += columns[at + 1] * scale
    return gain, fails


def gate_of(features: Features, kinds: list[float]) -> int:
    """Return the index in `GATES` of the weights that fit a text, or -1 for none."""
    if features.options > 1:
        return _MANY if features.options >= _MANY_OPTIONS else _FEW
    if kinds[_CODE] > 0.5:
        return _CODE_GATE if features.brackets > 0.02 * features.read else _NO_GATE
    return _MATHS_GATE if kinds[_MATHS] > 0.1 and kinds[_MATHS] + kinds[_REASONING] > 0.4 else _NO_GATE


def chance_inputs(judgement: Judgement, gain: float) -> tuple[int, list[float]]:
    """Return the row of `Chances.simple` that fits a text, and what its coefficients are multiplied with."""
    features, kinds = judgement.features, judgement.kinds
    if features.options > 1:
        return 0, [1.0, gain, judgement.fails, judgement.demand / 5.0, features.options / 10.0, 0.0]
    notation = kinds[_MATHS] * hardness.formulas(features)
    return 1, [1.0, gain, judgement.fails, judgement.demand / 5.0, notation, kinds[_CODE]]


def medium_inputs(simple_fails: float, gain: float) -> list[float]:
    """Return what the coefficients of the medium tier are multiplied with."""
    likely = min(0.999, max(0.001, simple_fails))
    return [1.0, log(likely / (1.0 - likely)), gain]


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, value))))
