"""Runs of one, two and three words: their hashes, and the rows of the weight table that they have.

One table holds all three kinds of run, one kind after the other, so that finding the distinct rows is one sort.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

RUNS: Final = 3
"""Runs of one, two and three words have weights."""

BITS: Final = 15
BUCKETS: Final = 1 << BITS
"""Rows for each kind of run."""

ROWS: Final = RUNS * BUCKETS

_NEXT: Final = np.uint32(0xC2B2AE3D)
_SHIFT: Final = np.uint32(32 - BITS)
_BOUNDS: Final = np.array([BUCKETS, 2 * BUCKETS], np.uint32)


def runs_of(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the hashes of all runs: w of words, then w - 1 of pairs, then w - 2 of triples.

    Args:
        words: hashes, shape (w,).
    """
    count = len(words)
    if count < RUNS:
        return np.concatenate((words, words[:-1] * _NEXT + words[1:]))
    hashes = np.empty(3 * count - 3, np.uint32)
    hashes[:count] = words
    pairs, triples = hashes[count : 2 * count - 1], hashes[2 * count - 1 :]
    np.multiply(words[:-1], _NEXT, out=pairs)
    pairs += words[1:]
    np.multiply(pairs[:-1], _NEXT, out=triples)
    triples += words[2:]
    return hashes


def rows_of(runs: NDArray[np.uint32], words: int) -> tuple[NDArray[np.uint32], int, int]:
    """Return the rows of runs, each once, ascending, and where the rows of pairs and those of triples begin.

    Args:
        runs: hashes from `runs_of`.
        words: how many words it was given.
    """
    rows = runs >> _SHIFT
    rows[words:] += np.uint32(BUCKETS)
    rows[2 * words - 1 :] += np.uint32(BUCKETS)
    rows.sort()
    if len(rows) > 1:
        keep = np.empty(len(rows), np.bool_)
        keep[0] = True
        np.not_equal(rows[1:], rows[:-1], out=keep[1:])
        rows = rows[keep]
    pairs, triples = rows.searchsorted(_BOUNDS).tolist()
    return rows, pairs, triples
