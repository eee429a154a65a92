"""Reads the questions that the scorer is made and measured with, and puts near copies of one another together."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

FAMILIES: Final[dict[str, int]] = {"mmlu": 0, "mmlu_pro": 0, "gsm8k": 1, "math_l5": 1, "crux": 2, "alpaca_eval": 3}
"""Which datasets are of one family: leaving a family out leaves out every near relative."""

NEVER_FITTED: Final = "alpaca_eval"
"""Its licence (CC BY-NC 4.0) keeps it out of anything that is shipped: it is evaluated on, nothing else."""

_FIRST_OPTION: Final = re.compile(r"\nA\. ")
_NO_WORD: Final = re.compile(r"\W+")
_LONG_STEM: Final = 600
_OPENING: Final = 300


class Corpus(msgspec.Struct, frozen=True):
    """Questions with the results of models; all arrays have one entry a question.

    Attributes:
        prompts: what a user would send.
        datasets: where each is from; never an input of the scorer.
        families: a number of `FAMILIES`.
        groups: equal for questions with the same stem, or the same opening of a long passage.
        weak: result of the cheap model, 0 to 1.
        mid: result of a middling one, or NaN.
        strong: result of the strong one.
    """

    prompts: list[str]
    datasets: NDArray[np.str_]
    families: NDArray[np.int64]
    groups: NDArray[np.int64]
    weak: NDArray[np.float64]
    mid: NDArray[np.float64]
    strong: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Return by how much the strong model does better than the cheap one, -1 to 1."""
        return self.strong - self.weak

    @property
    def may_be_fitted(self) -> NDArray[np.bool_]:
        """Tell which questions may be used for fitting."""
        fitted: NDArray[np.bool_] = self.datasets != NEVER_FITTED
        return fitted

    def folds(self, count: int, seed: int) -> NDArray[np.int64]:
        """Return a fold for each question; questions of one group share theirs."""
        return np.random.default_rng(seed).integers(0, count, int(self.groups.max()) + 1)[self.groups]


def read_corpus(path: Path) -> Corpus:
    """Read questions from JSON lines, plain or gzipped, with the columns prompt, dataset, weak, mid and strong."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    names = np.array([row["dataset"] for row in rows])
    _, groups = np.unique([stem_of(row["prompt"]) for row in rows], return_inverse=True)
    return Corpus(
        prompts=[row["prompt"] for row in rows],
        datasets=names,
        families=np.array([FAMILIES[name] for name in names]),
        groups=groups.astype(np.int64),
        weak=np.array([row["weak"] for row in rows], float),
        mid=np.array([np.nan if row.get("mid") is None else row["mid"] for row in rows], float),
        strong=np.array([row["strong"] for row in rows], float),
    )


def stem_of(prompt: str) -> str:
    """Return what two copies of a question share: its words before the options, or how a long passage opens."""
    parts = _FIRST_OPTION.split(prompt)
    words = _NO_WORD.sub(" ", parts[0].lower()).strip()
    return words[:_OPENING] if len(parts) > 1 and len(words) > _LONG_STEM else words
