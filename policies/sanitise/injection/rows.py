"""From words and notions to rows of the weight table, each with the word it begins at."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection import families
from policies.sanitise.injection.reading import Reading

_BITS: Final = 16
_SMALL: Final = 14
_LETTERS: Final = 128
WORDS: Final = 0
PAIRS: Final = 1 << _BITS
TRIPLES: Final = 2 << _BITS
OPENINGS: Final = 3 << _BITS
OPENING_PAIRS: Final = OPENINGS + (1 << _SMALL)
NOTIONS: Final = OPENING_PAIRS + (1 << _BITS)
NOTION_PAIRS: Final = NOTIONS + _LETTERS
NOTION_TRIPLES: Final = NOTION_PAIRS + (1 << _SMALL)
FAMILIES: Final = NOTION_TRIPLES + (1 << _SMALL)
ROWS: Final = FAMILIES + len(families.NAMES)
BLOCKS: Final = (
    WORDS, PAIRS, TRIPLES, OPENINGS, OPENING_PAIRS, NOTIONS, NOTION_PAIRS, NOTION_TRIPLES, FAMILIES, ROWS
)  # fmt: skip
"""Where the rows of each kind of run begin, and where all end."""

NEAR: Final = 5
"""Notions that are further apart, in words, say nothing together."""

_NEXT: Final = np.uint32(0xC2B2AE3D)
_SHIFT: Final = np.uint32(32 - _BITS)
_SMALL_SHIFT: Final = np.uint32(32 - _SMALL)
_PRIME: Final = np.uint32(131)
_NONE: Final = ord(".")


class Runs(msgspec.Struct, frozen=True, gc=False):
    """The runs of a text, families left out: rows within their block, (r,) uint32, and where each run begins.

    Runs of words begin at every word but the last ones. All others say where, by index of word.
    """

    words: NDArray[np.uint32]
    pairs: NDArray[np.uint32]
    triples: NDArray[np.uint32]
    opens: NDArray[np.int64]
    openings: NDArray[np.uint32]
    opening_pairs: NDArray[np.uint32]
    said: NDArray[np.int64]
    notions: NDArray[np.uint8]
    two_at: NDArray[np.int64]
    twos: NDArray[np.uint32]
    three_at: NDArray[np.int64]
    threes: NDArray[np.uint32]


def runs_of(reading: Reading) -> Runs:
    """Return the runs of a text that has at least one word."""
    words = reading.words
    pairs = words[:-1] * _NEXT
    pairs += words[1:]
    triples = pairs[:-1] * _NEXT
    triples += words[2:]
    opens = reading.opens.nonzero()[0]
    pairing = opens[:-1] if opens[-1] == len(words) - 1 else opens
    said = (reading.notions != _NONE).nonzero()[0]
    notions = reading.notions[said]
    near = said[1:] - said[:-1] <= NEAR
    two_at = near.nonzero()[0]
    three_at = (near[1:] & near[:-1]).nonzero()[0]
    letters = notions.astype(np.uint32)
    twos = (letters[:-1] * _PRIME + letters[1:]) * _NEXT
    return Runs(
        words=words >> _SHIFT,
        pairs=pairs >> _SHIFT,
        triples=triples >> _SHIFT,
        opens=opens,
        openings=words[opens] >> _SMALL_SHIFT,
        opening_pairs=pairs[pairing] >> _SHIFT,
        said=said,
        notions=notions,
        two_at=said[two_at],
        twos=twos[two_at] >> _SMALL_SHIFT,
        three_at=said[three_at],
        threes=(twos[three_at] + letters[2:][three_at]) * _NEXT >> _SMALL_SHIFT,
    )


def add_up(runs: Runs, tables: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
    """Return for each word the weights of the runs that begin at it.

    Args:
        runs: of a text.
        tables: weights by block, as `blocks_of` cuts them.
    """
    words, pairs, triples, openings, opening_pairs, notions, twos, threes = tables
    found = words.take(runs.words)
    found[: len(runs.pairs)] += pairs.take(runs.pairs)
    found[: len(runs.triples)] += triples.take(runs.triples)
    opens = runs.opens
    found[opens] += openings.take(runs.openings)
    found[opens[: len(runs.opening_pairs)]] += opening_pairs.take(runs.opening_pairs)
    if len(runs.said):
        found[runs.said] += notions.take(runs.notions)
        found[runs.two_at] += twos.take(runs.twos)
        found[runs.three_at] += threes.take(runs.threes)
    return found


def blocks_of(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return a head's weights cut into its blocks, families left out."""
    return tuple(weights[begin:end] for begin, end in pairwise(BLOCKS[:-1]))


def rows_of(reading: Reading) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of the whole table and the word each run begins at, phrases of families among them."""
    if not len(reading.words):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    runs = runs_of(reading)
    places = np.arange(len(runs.words))
    phrases = families.found(reading.notions.tobytes())
    parts = (
        (WORDS, runs.words, places),
        (PAIRS, runs.pairs, places[: len(runs.pairs)]),
        (TRIPLES, runs.triples, places[: len(runs.triples)]),
        (OPENINGS, runs.openings, runs.opens),
        (OPENING_PAIRS, runs.opening_pairs, runs.opens[: len(runs.opening_pairs)]),
        (NOTIONS, runs.notions, runs.said),
        (NOTION_PAIRS, runs.twos, runs.two_at),
        (NOTION_TRIPLES, runs.threes, runs.three_at),
        (FAMILIES, np.array([family for family, _, _ in phrases], int), np.array([at for _, at, _ in phrases], int)),
    )
    rows = np.concatenate([block + rows.astype(np.int64) for block, rows, _ in parts])
    return rows, np.concatenate([at for _, _, at in parts])
