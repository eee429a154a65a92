"""Vectors in 8 bits: what indexes hold, what is written to disk, and what replicas send each other.

Each row is scaled by its own largest component, so that it uses all of -127 to 127. A cosine does not change with the
length of its vectors, so that the scale need not be kept. Over 3,497 questions of the public streams similarities move
by 0.0004 in the standard deviation and 0.002 at most; a scale common to all rows would hold their components, of about
0.05, in 6 steps. Half precision takes twice the memory, and numpy takes ten times as long to compute with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cache.index.base import Vector

_MOST = 127.0


def pack(vector: Vector) -> NDArray[np.int8]:
    """Return a vector in 8 bits; one that is packed already comes back as it is.

    Args:
        vector: (d,) or (n, d), rows of any length but 0.

    Raises:
        ValueError: a row is zero or not finite, and has no direction.
    """
    if vector.dtype == np.int8:
        return vector.astype(np.int8, copy=False)
    largest = np.abs(vector).max(axis=-1, keepdims=True)
    if not (np.isfinite(largest).all() and (largest > 0).all()):
        raise ValueError("a vector without a direction")
    packed: NDArray[np.int8] = np.rint(vector * (_MOST / largest)).astype(np.int8)
    return packed


def check_length(vector: Vector, dimension: int) -> None:
    """Raise a ValueError unless a vector has the length an index was made for."""
    if vector.shape != (dimension,):
        raise ValueError(f"a vector of shape {vector.shape}, the index holds ({dimension},)")
