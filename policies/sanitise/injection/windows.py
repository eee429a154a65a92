"""Overlapping stretches of a text, each judged on its own, so that what surrounds an attack does not hide it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SIZES: Final = (0, 16, 64, 256)
"""Words of a stretch; each begins half of that after the last one. 0 is for sentences, lines and cells of tables."""

SMOOTHING: Final = 6.0
"""Words added to a stretch's own before it is divided by its length: one word alone says little."""

MOST: Final = 256
"""Stretches beyond which more are not held against a text: an attack would hide in a long one otherwise."""

_STEEPNESS: Final = 0.75
_USUAL: Final = 22.0
_LONGEST: Final = 1 << 16

Stretches = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Where stretches begin and end, in words, and the index in `SIZES` of each."""


def stretches(count: int, opens: NDArray[np.int64], sizes: int) -> Stretches:
    """Return the stretches of a text: sentences, then those of each size.

    A text shorter than a stretch is one stretch of the smallest size that holds it, and of no larger one.

    Args:
        count: words of the text.
        opens: the words that sentences begin with, ascending; the first is 0.
        sizes: how many of `SIZES` are wanted.
    """
    firsts, lasts, kinds = [opens], [np.append(opens, count)[1:]], [np.zeros(len(opens), np.int64)]
    for index, size in enumerate(SIZES[1:sizes], start=1):
        starts = np.arange(0, max(1, count - size // 2), size // 2)
        firsts.append(starts)
        lasts.append(np.minimum(starts + size, count))
        kinds.append(np.full(len(starts), index))
        if count <= size:
            break
    return np.concatenate(firsts), np.concatenate(lasts), np.concatenate(kinds)


def _scales() -> NDArray[np.float32]:
    """Return what sums are multiplied with, by words: for sentences a steep power of the length, then for the others.

    A long sentence is mostly a list or numbers, whose words repeat. By cross-validation over sources.
    """
    lengths = np.arange(_LONGEST + 1) + SMOOTHING
    return np.stack((lengths**-_STEEPNESS * _USUAL ** (_STEEPNESS - 0.5), lengths**-0.5)).astype(np.float32)


SCALES: Final = _scales()
"""Row 0 for sentences, row 1 for all other sizes; shape (2, words + 1)."""

_OF_SENTENCES: Final = SCALES[0]
_ROOTS: Final[list[float]] = SCALES[1, : SIZES[-1] + 1].tolist()


def strongest(
    sums: NDArray[np.float32], opens: NDArray[np.int64], levels: list[float], sizes: int
) -> tuple[float, int, int, int]:
    """Return the largest log odds of any stretch, where that begins and ends, and how many stretches there are.

    Args:
        sums: of the weights before each word and after the last, shape (words + 1,).
        opens: the words that sentences begin with, as for `stretches`.
        levels: what is added for each size.
        sizes: how many of `SIZES` are looked at.
    """
    count = len(sums) - 1
    edges = np.empty(len(opens) + 1, np.int64)
    edges[:-1], edges[-1] = opens, count
    at_edges = sums.take(edges)
    margins = (at_edges[1:] - at_edges[:-1]) * _OF_SENTENCES.take(edges[1:] - edges[:-1])
    top = int(margins.argmax())
    best, first, last, number = float(margins[top]) + levels[0], int(opens[top]), int(edges[top + 1]), len(opens)
    for index in range(1, sizes):
        size, step = SIZES[index], SIZES[index] // 2
        whole = max(0, (count - size) // step + 1)
        if whole:
            gains = sums[size::step][:whole] - sums[::step][:whole]
            top = int(gains.argmax())
            margin = float(gains[top]) * _ROOTS[size] + levels[index]
            if margin > best:
                best, first, last = margin, top * step, top * step + size
        begin = whole * step
        if begin < count - step or not whole:
            margin = float(sums[count] - sums[begin]) * _ROOTS[count - begin] + levels[index]
            if margin > best:
                best, first, last = margin, begin, count
            whole += 1
        number += whole
        if count <= size:
            break
    return best, first, last, number
