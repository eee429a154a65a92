"""What training leaves behind and serving loads: weights of words, calibration, and the scores of reference traffic.

The file is an .npz of plain arrays, read without pickle. Weights are bytes with one scale a column.
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.scoring.rows import BUCKETS, ROWS, RUNS

VERSION: Final = 1
"""The layout this code reads; another layout has another number and another file name."""

GATES: Final = ("few", "many", "code", "maths")
"""Which part of the weights a text is given to: a choice among two to five options, among more, code, mathematics."""

HEADS: Final = ("gain", "fails")
"""What is learned: by how much the strong model is better, and whether the cheap one fails."""

EMPHASIS: Final = (0.7, 1.1, 0.8)
"""What runs of one, two and three words count, by cross-validation inside the data: a word alone says least."""

LEARNED: Final = len(GATES) * len(HEADS) + 1
"""Columns of a weight table: a head after the other for each gate, then the square of a word's rarity."""

SMOOTHING: Final = 1e-3
"""Added to the squared length of a text's words, so that a text without any has none."""

_SHAPE: Final = (ROWS, LEARNED)
_NAME: Final = f"artefact-v{VERSION}.npz"


class Chances(msgspec.Struct, frozen=True):
    """Two logistic regressions.

    Attributes:
        simple: that the simple tier fails: coefficients for choices among options, and for all else, shape (2, n).
        medium: that the medium tier fails, from the log odds that the simple one does, shape (3,).
    """

    simple: NDArray[np.float64]
    medium: NDArray[np.float64]


class Artefact(msgspec.Struct, frozen=True):
    """The learned part of the scorer.

    Attributes:
        weights: of each run of words, shape (ROWS, LEARNED) float32.
        chances: from scores to probabilities.
        reference: reference traffic by ascending score at equal steps of its share, shape (q, 3): the score, and the
            probabilities that the simple and that the medium tier fail.
    """

    weights: NDArray[np.float32]
    chances: Chances
    reference: NDArray[np.float64]


def load(raw: bytes | None = None) -> Artefact:
    """Return an artefact from the bytes of its file; the one that is shipped where none are given.

    Raises:
        ValueError: the layout is another one than this code reads.
        OSError: the shipped file is missing.
    """
    if raw is None:
        raw = files("router.scoring").joinpath(_NAME).read_bytes()
    with np.load(BytesIO(raw), allow_pickle=False) as stored:
        version = int(stored["version"])
        if version != VERSION:
            raise ValueError(f"the scorer's artefact has layout {version}, and this code reads {VERSION}")
        weights = stored["weights"].astype(np.float32) * np.repeat(stored["scales"], BUCKETS, axis=0)
        if weights.shape != _SHAPE:
            raise ValueError(f"the scorer's artefact has weights of shape {weights.shape}, not {_SHAPE}")
        return Artefact(weights, Chances(stored["simple"], stored["medium"]), stored["reference"])


def dump(artefact: Artefact) -> bytes:
    """Return the bytes of an artefact's file: weights as bytes with a scale for each column and kind of run.

    The same artefact always gives the same bytes.
    """
    largest = np.abs(artefact.weights.reshape(RUNS, BUCKETS, LEARNED)).max(axis=1)
    scales = np.repeat((largest / 127.0 + 1e-12).astype(np.float32), BUCKETS, axis=0)
    out = BytesIO()
    np.savez_compressed(
        out,
        version=np.int64(VERSION),
        weights=np.rint(artefact.weights / scales).astype(np.int8),
        scales=scales[::BUCKETS],
        simple=artefact.chances.simple,
        medium=artefact.chances.medium,
        reference=artefact.reference,
    )
    return out.getvalue()
