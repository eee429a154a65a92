"""What training leaves behind and serving loads: a weight for every run of words, for users' texts and for documents.

The file is an .npz of plain arrays, read without pickle. Weights are bytes with one scale a kind of run.
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.rows import BLOCKS, ROWS
from policies.sanitise.injection.windows import SIZES

VERSION: Final = 1
"""The layout this code reads; another layout has another number and another file name."""

HEADS: Final = ("user", "document", "foreign")
"""What weights are for: what a user says, what stands in a document or comes back from a tool, and other languages."""

USED: Final = (len(SIZES), 1, 3)
"""How many of the sizes of stretches a head looks at: in a document one sentence is for the model, or none."""

EMBEDDING: Final = 384
"""Numbers of an embedding by all-MiniLM-L6-v2."""

_SHAPE: Final = (len(HEADS), ROWS)
_NAME: Final = f"artefact-v{VERSION}.npz"


class Artefact(msgspec.Struct, frozen=True):
    """The learned part of the detector.

    Attributes:
        weights: of each row, shape (len(HEADS), ROWS) float32.
        levels: what each size of stretch adds, shape (len(HEADS), len(SIZES)).
        per_number: what the natural logarithm of the number of stretches takes away, shape (len(HEADS),).
        thresholds: the log odds from which a text is flagged, shape (len(HEADS),).
        grey: the log odds from which a second opinion is worth having, shape (len(HEADS),).
        second: weights of an embedding of unit length, and what is added, shape (EMBEDDING + 1,).
        second_threshold: the log odds of a user's text, with its second opinion added, from which it is flagged.
    """

    weights: NDArray[np.float32]
    levels: NDArray[np.float64]
    per_number: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    grey: NDArray[np.float64]
    second: NDArray[np.float32]
    second_threshold: float


def load(raw: bytes | None = None) -> Artefact:
    """Return an artefact from the bytes of its file; the one that is shipped where none are given.

    Raises:
        ValueError: the layout is another one than this code reads.
        OSError: the shipped file is missing.
    """
    if raw is None:
        raw = files("policies.sanitise.injection").joinpath(_NAME).read_bytes()
    with np.load(BytesIO(raw), allow_pickle=False) as stored:
        version = int(stored["version"])
        if version != VERSION:
            raise ValueError(f"the detector's artefact has layout {version}, and this code reads {VERSION}")
        if stored["weights"].shape != _SHAPE:
            raise ValueError(f"the detector's artefact has weights of shape {stored['weights'].shape}, not {_SHAPE}")
        weights = stored["weights"].astype(np.float32) * np.repeat(stored["scales"], np.diff(BLOCKS), axis=1)
        return Artefact(
            weights=weights,
            levels=stored["levels"],
            per_number=stored["per_number"],
            thresholds=stored["thresholds"],
            grey=stored["grey"],
            second=stored["second"],
            second_threshold=float(stored["second_threshold"]),
        )


def dump(artefact: Artefact) -> bytes:
    """Return the bytes of an artefact's file: weights as bytes with a scale for each head and kind of run.

    The same artefact always gives the same bytes.
    """
    largest = np.maximum.reduceat(np.abs(artefact.weights), BLOCKS[:-1], axis=1)
    scales = (largest / 127.0 + 1e-12).astype(np.float32)
    out = BytesIO()
    np.savez_compressed(
        out,
        version=np.int64(VERSION),
        weights=np.rint(artefact.weights / np.repeat(scales, np.diff(BLOCKS), axis=1)).astype(np.int8),
        scales=scales,
        levels=artefact.levels,
        per_number=artefact.per_number,
        thresholds=artefact.thresholds,
        grey=artefact.grey,
        second=artefact.second,
        second_threshold=np.float64(artefact.second_threshold),
    )
    return out.getvalue()
