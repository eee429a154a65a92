"""Fits the weights: logistic regression over stretches of texts, those of an attack chosen anew in every round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped, import-not-found, unused-ignore]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped, import-not-found, unused-ignore]

from policies.sanitise.injection.artefact import HEADS, USED
from policies.sanitise.injection.reading import LONGEST, Reading, read
from policies.sanitise.injection.revealed import reveal
from policies.sanitise.injection.rows import BLOCKS, NOTIONS, ROWS, rows_of
from policies.sanitise.injection.windows import SCALES, SIZES, stretches
from policies.sanitise.training.corpus import TOOL, Sample

EMPHASIS: Final = (
    (1.0, 1.0, 1.0, 1.5, 1.5, 0.7, 1.0, 1.0, 1.0),
    (1.0, 1.0, 1.0, 2.0, 2.0, 0.7, 1.0, 1.0, 1.0),
    (1.0, 1.0, 1.0, 1.5, 1.5, 0.7, 1.0, 1.0, 1.0),
)
"""What each kind of run counts, by head and `rows.BLOCKS`: how a sentence opens says most, a notion alone least."""

RARITY: Final = (0.7, 1.0, 0.7)
"""The power of a run's rarity that it is multiplied with, by head."""

PENALTY: Final = (2.0, 1.0, 2.0)
"""Inverse of the strength of regularisation, by head."""

ROUNDS: Final = (1, 3, 1)
"""How often the stretches of an attack are chosen anew, by head: at first all count."""

RAREST: Final = 3
"""A run that fewer stretches have is given no weight."""


class Evidence(msgspec.Struct):
    """What the detector sees of texts.

    Attributes:
        matrix: stretches by rows of the weight table, scaled as in serving, (s, ROWS).
        text: index of the text of each stretch, (s,).
        size: index in `SIZES` of each, (s,).
        planted: which stretches hold the part that is an attack; all of a text's where that is not known, (s,).
        counts: stretches of each text, (n,).
        begins: the character of the copy that each stretch begins with, (s,).
    """

    matrix: sparse.csr_matrix
    text: NDArray[np.int64]
    size: NDArray[np.int64]
    planted: NDArray[np.bool_]
    counts: NDArray[np.int64]
    begins: NDArray[np.int64]


def gather(samples: Sequence[Sample]) -> Evidence:
    """Return what the detector sees of texts, by the code that serves."""
    columns, lengths, values, text, sizes, planted, counts, begins_at = [], [], [], [], [], [], [], []
    for index, sample in enumerate(samples):
        copy = reveal(sample.text)[0].text
        reading = read(copy.encode("utf-8", "replace")[:LONGEST], is_ascii=copy.isascii())
        rows, at = rows_of(reading)
        order = np.argsort(at, kind="stable")
        rows, at = rows[order], at[order]
        firsts, lasts, size = stretches(len(reading.words), reading.opens.nonzero()[0], len(SIZES))
        begins, ends = at.searchsorted(firsts), at.searchsorted(lasts)
        columns += [rows[begin:end] for begin, end in zip(begins, ends, strict=True)]
        lengths.append(ends - begins)
        values.append(SCALES[np.minimum(size, 1), lasts - firsts])
        text.append(np.full(len(firsts), index))
        sizes.append(size)
        planted.append(_holding(sample, copy, reading, firsts, lasts))
        counts.append(len(firsts))
        begins_at.append(_characters(copy, np.append(reading.starts, 0)[firsts]))  # a text without words has one too
    number = np.concatenate(lengths)
    ends = np.concatenate(([0], np.cumsum(number)))
    entries = np.repeat(np.concatenate(values), number)
    matrix = sparse.csr_matrix((entries, np.concatenate(columns).astype(np.int32), ends), shape=(len(number), ROWS))
    matrix.sum_duplicates()
    return Evidence(
        matrix=matrix,
        text=np.concatenate(text),
        size=np.concatenate(sizes),
        planted=np.concatenate(planted),
        counts=np.array(counts),
        begins=np.concatenate(begins_at),
    )


def _characters(copy: str, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places in bytes of UTF-8 as places in characters."""
    if copy.isascii():
        return places
    raw = np.frombuffer(copy.encode("utf-8", "replace"), np.uint8)
    found: NDArray[np.int64] = np.cumsum(raw & 0xC0 != 0x80)[places] - 1
    return found


def _holding(
    sample: Sample, copy: str, reading: Reading, firsts: NDArray[np.int64], lasts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which stretches hold at least half of what is planted, or are filled by it by at least half."""
    payload = reveal(sample.payload)[0].text
    where = copy.find(payload) if payload else -1
    if where < 0:
        return np.ones(len(firsts), np.bool_)
    begin = len(copy[:where].encode("utf-8", "replace"))
    end = begin + len(payload.encode("utf-8", "replace"))
    first, last = reading.starts.searchsorted(begin), reading.starts.searchsorted(end)
    shared = np.minimum(lasts, last) - np.maximum(firsts, first)
    held: NDArray[np.bool_] = (2 * shared >= last - first) | (2 * shared >= lasts - firsts)
    return held


class Head(msgspec.Struct):
    """What is fitted for one role: a weight for each row, and what is added for each size of stretch."""

    weights: NDArray[np.float64]
    levels: NDArray[np.float64]


def margins(evidence: Evidence, head: Head) -> NDArray[np.float64]:
    """Return the log odds of every stretch."""
    found: NDArray[np.float64] = evidence.matrix @ head.weights + head.levels[evidence.size]
    return found


class Highest(msgspec.Struct):
    """For each text the stretch that a head gives the largest log odds, of those that it looks at.

    Attributes:
        margin: the log odds, (n,).
        number: how many stretches are looked at, (n,).
        begins: the character of the copy that the stretch begins with, (n,).
    """

    margin: NDArray[np.float64]
    number: NDArray[np.int64]
    begins: NDArray[np.int64]


def highest(evidence: Evidence, head: Head, index: int) -> Highest:
    """Return the highest stretches of all texts."""
    looked = evidence.size < USED[index]
    margin = np.where(looked, margins(evidence, head), -np.inf)
    starts = np.concatenate(([0], np.cumsum(evidence.counts)))
    number = np.add.reduceat(np.append(looked, False).astype(np.int64), starts[:-1]) * (evidence.counts > 0)
    some = (evidence.counts > 0).nonzero()[0]
    found = Highest(np.full(len(evidence.counts), -99.0), number, np.zeros(len(evidence.counts), np.int64))
    found.margin[some] = np.maximum.reduceat(margin, starts[some])
    top = np.lexsort((margin, evidence.text))[starts[some + 1] - 1]  # a text's stretches stand side by side
    found.begins[some] = evidence.begins[top]
    return found


def fit(evidence: Evidence, samples: Sequence[Sample], chosen: NDArray[np.bool_], index: int) -> Head:
    """Fit the weights of one head.

    Args:
        evidence: of all texts.
        samples: the texts.
        chosen: which of them may be fitted to, shape (n,).
        index: of the head in `artefact.HEADS`.
    """
    is_attack = np.array([sample.is_attack for sample in samples])
    weight = weights_of(samples, index) * chosen
    text, size = evidence.text, evidence.size
    use = (weight[text] > 0) & (size < USED[index]) & (evidence.planted | ~is_attack[text])
    matrix, text, size = evidence.matrix[use], text[use], size[use]
    if HEADS[index] == "foreign":
        matrix = without_words(matrix, np.array([sample.kind != "languages" for sample in samples])[text])
    factors = _factors(matrix, index)
    kept = factors.nonzero()[0]
    levels = sparse.csr_matrix((np.full(len(size), 2.0), (np.arange(len(size)), size)), shape=(len(size), len(SIZES)))
    table = sparse.hstack((matrix[:, kept] @ sparse.diags(factors[kept]), levels)).tocsr()
    target = is_attack[text]
    _, group, counts = np.unique(text * len(SIZES) + size, return_inverse=True, return_counts=True)
    number = counts[group]
    share = np.where(target, 1.0 / number, 1.0 / np.sqrt(number)) * weight[text]
    head = Head(np.zeros(ROWS), np.zeros(len(SIZES)))
    for turn in range(ROUNDS[index]):
        if turn:
            share = np.where(target, _best(text, size, margins(evidence, head)[use]) * weight[text], share)
        mine = share > 0
        model = LogisticRegression(
            C=PENALTY[index], solver="liblinear", fit_intercept=False, max_iter=200, tol=1e-3, random_state=0
        )
        coefficients = model.fit(table[mine], target[mine], sample_weight=share[mine]).coef_[0]
        head.weights[kept] = coefficients[: len(kept)] * factors[kept]
        head.levels = 2.0 * coefficients[len(kept) :]
    return head


def without_words(matrix: sparse.csr_matrix, chosen: NDArray[np.bool_]) -> sparse.csr_matrix:
    """Return stretches of which some keep their notions only: so languages are read whose words were never learned."""
    found = matrix.copy()
    found.data[np.repeat(chosen, np.diff(found.indptr)) & (found.indices < NOTIONS)] = 0.0
    found.eliminate_zeros()
    return found


def _factors(matrix: sparse.csr_matrix, index: int) -> NDArray[np.float64]:
    """Return what each row is multiplied with before it is fitted: its emphasis and its rarity, 0 if too rare."""
    seen = np.bincount(matrix.indices, minlength=ROWS)
    rarity = np.clip(np.log(matrix.shape[0] / (1.0 + seen)), 0.3, None) / 5.0
    found: NDArray[np.float64] = (
        np.repeat(EMPHASIS[index], np.diff(BLOCKS)) * rarity ** RARITY[index] * (seen >= RAREST)
    )
    return found


def _best(text: NDArray[np.int64], size: NDArray[np.int64], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for the stretch of each text and size with the largest log odds, 0.5 for the second, else 0."""
    order = np.lexsort((-margin, size, text))
    group = text[order] * len(SIZES) + size[order]
    begins = np.concatenate(([True], group[1:] != group[:-1]))
    rank = np.arange(len(order)) - np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    found = np.zeros(len(order))
    found[order] = np.where(rank == 0, 1.0, np.where(rank == 1, 0.5, 0.0))
    return found


_SPOKEN: Final = ("chat", "requests", "notinject_one", "languages")
"""Kinds of requests: said by a user they are no attack, inside a document they would be one."""

_USUAL: Final = 300.0
_EVENED: Final = 0.35
"""By what power sources of another size than `_USUAL` are brought nearer to it."""


def weights_of(samples: Sequence[Sample], index: int) -> NDArray[np.float64]:
    """Return how much each text counts for a head: 0 where it says nothing of that head's role."""
    source = np.array([sample.source for sample in samples])
    _, inverse, counts = np.unique(source, return_inverse=True, return_counts=True)
    says = np.array([_says(sample, HEADS[index]) for sample in samples])
    weight: NDArray[np.float64] = (counts[inverse] / _USUAL) ** -_EVENED * says
    return weight


def _says(sample: Sample, head: str) -> float:
    if head == "foreign" and sample.kind == "languages":
        return 2.0
    if head != "document":
        return 0.0 if sample.role == TOOL and sample.is_attack else 1.0
    if sample.is_attack:
        return 1.0 if sample.role == TOOL else 0.5
    return 0.0 if sample.kind in _SPOKEN else 1.0
