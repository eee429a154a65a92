"""The decisions of the semantic cache over a file of questions, for measuring: nothing here is on a request's path.

Each function reads the columns that a request would have and never a label. Rows are what `json.loads` returns for the
lines of such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.calibration.table import DEFAULT_ERROR_BUDGET, threshold_for
from cache.verifier.choice import LOOKED_AT, Choice, Neighbour, choose
from cache.verifier.eligible import why_not
from cache.verifier.reader import read
from cache.verifier.reading import Reading
from cache.verifier.verifier import Verifier

Row = Mapping[str, Any]
Vector = NDArray[np.float32]
Embed = Callable[[str], Vector | None]
"""From a text to its vector, (d,) float32, unit-norm; None for one that is too long for the model."""

REFUSED: Final = -1.0
"""The score of a pair that the guard refuses, or that likeness is not asked about."""


def replay_stream(
    rows: Sequence[Row], embeddings: NDArray[np.float32], error_budget: float, threshold: float | None = None
) -> Iterator[dict[str, Any]]:
    """Answer a stream of requests in order, keeping every one that was not answered.

    Args:
        rows: each with `i` and `query`.
        embeddings: of the queries, (n, d) float32, rows unit-norm; a row of zeros for a text that is too long for the
            model, which nothing resembles.
        error_budget: the share of requests that may be answered from a wrong entry, above 0; it picks the threshold.
        threshold: cosine, instead of the one that the budget picks.

    Yields:
        For each row `{"i", "hit", "served_from"}`, the last being the `i` of the request that made the entry, or None.
    """
    needed = threshold_for(error_budget) if threshold is None else threshold
    store = _Store(embeddings.shape[1], len(rows))
    for row, vector in zip(rows, embeddings, strict=True):
        served_from = store.answer(row["i"], row["query"], vector, needed)
        yield {"i": row["i"], "hit": served_from is not None, "served_from": served_from}


def judge_pairs(rows: Sequence[Row], embed: Embed) -> list[dict[str, Any]]:
    """Say for each pair whether the answer of one would be given to the other.

    Args:
        rows: each with `id`, `query_a` and `query_b`.
        embed: called once for each different text.

    Returns:
        For each row `{"id", "score", "accept"}`: the cosine similarity, `REFUSED` where a rule refuses or one of the
        two may not be answered by likeness, and the decision at the default error budget.
    """
    judge = _Judge(embed)
    return [{"id": row["id"], **judge.compare(row["query_a"], row["query_b"])} for row in rows]


def judge_conversations(rows: Sequence[Row], embed: Embed) -> list[dict[str, Any]]:
    """Say for each pair of conversations whether the answer to one would be given to the other.

    All messages but the last belong to the scope, which must be equal to the letter; only the last is compared.

    Args:
        rows: each with `id`, `messages_a` and `messages_b`, lists of `{"role", "content"}`.
        embed: called once for each different text.

    Returns:
        As `judge_pairs`; `REFUSED` where the contexts differ.
    """
    judge = _Judge(embed)
    return [{"id": row["id"], **_compare(row["messages_a"], row["messages_b"], judge)} for row in rows]


def _compare(ours: list[Row], theirs: list[Row], judge: _Judge) -> dict[str, Any]:
    if ours[:-1] != theirs[:-1] or ours[-1]["role"] != theirs[-1]["role"]:
        return {"score": REFUSED, "accept": False}
    return judge.compare(ours[-1]["content"], theirs[-1]["content"])


class _Judge:
    """Compares two texts as a look-up would, with one stored entry."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, Vector | None] = {}
        self._verifier = Verifier()
        self._threshold = threshold_for(DEFAULT_ERROR_BUDGET)

    def compare(self, asked: str, stored: str) -> dict[str, Any]:
        """Return score and decision."""
        if asked == stored:
            return {"score": 1.0, "accept": True}
        if why_not(asked, is_multilingual=False) or why_not(stored, is_multilingual=False):
            return {"score": REFUSED, "accept": False}
        query, reading = read(asked), read(stored)
        if self._verifier.judge(query, reading) is not None:
            return {"score": REFUSED, "accept": False}
        ours, theirs = self._vector(asked), self._vector(stored)
        if ours is None or theirs is None:
            return {"score": REFUSED, "accept": False}
        similarity = float(ours @ theirs)
        choice = choose(query, [Neighbour(0, similarity, reading, 0)], self._threshold, self._verifier)
        return {"score": similarity, "accept": choice.entry is not None}

    def _vector(self, text: str) -> Vector | None:
        if text not in self._vectors:
            self._vectors[text] = self._embed(text)
        return self._vectors[text]


class _Kept(msgspec.Struct, frozen=True):
    """A request that was not answered."""

    i: int
    reading: Reading


class _Store:
    """Entries of one scope, searched exactly."""

    def __init__(self, dimension: int, most: int) -> None:
        self._vectors = np.empty((most, dimension), np.float32)
        self._kept: list[_Kept] = []
        self._texts: dict[str, int] = {}
        self._verifier = Verifier()

    def answer(self, i: int, text: str, vector: Vector, threshold: float) -> int | None:
        """Return the request whose entry answers this one; None where none does, and keep it."""
        if text in self._texts:
            return self._texts[text]
        if why_not(text, is_multilingual=False):
            self._texts[text] = i
            return None
        reading = read(text)
        choice = self._choose(reading, vector, threshold)
        if choice.entry is not None:
            return self._kept[choice.entry].i
        self._texts[text] = i
        self._vectors[len(self._kept)] = vector
        self._kept.append(_Kept(i, reading))
        return None

    def _choose(self, reading: Reading, vector: Vector, threshold: float) -> Choice:
        similarities = self._vectors[: len(self._kept)] @ vector
        nearest = _largest(similarities, LOOKED_AT + 1)
        found = [Neighbour(at, float(similarities[at]), self._kept[at].reading, at) for at in nearest]
        return choose(reading, found, threshold, self._verifier)


def _largest(values: NDArray[np.float32], count: int) -> list[int]:
    if len(values) > count:
        some = np.argpartition(-values, count)[:count]
        return [int(at) for at in some[np.argsort(-values[some], kind="stable")]]
    return [int(at) for at in np.argsort(-values, kind="stable")]
