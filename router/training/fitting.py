"""Fits what the artefact holds: weights of words by ridge regression, and probabilities by logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-not-found, import-untyped, unused-ignore]
from sklearn.linear_model import LogisticRegression, Ridge  # type: ignore[import-not-found, import-untyped, unused-ignore]

from router.scoring.artefact import EMPHASIS, GATES, HEADS, LEARNED, SMOOTHING, Artefact, Chances
from router.scoring.model import Judgement, Model, chance_inputs, medium_inputs
from router.scoring.reading import read
from router.scoring.rows import BUCKETS, ROWS, RUNS, rows_of, runs_of
from router.scoring.scorer import judge
from router.training.corpus import Corpus

PENALTIES: Final[dict[str, float]] = {"few": 10.0, "many": 10.0, "code": 30.0, "maths": 30.0}
"""Ridge penalty by gate: where labels are few, what is known without them counts for more."""

_RAREST: Final = 2
"""A word that fewer questions have is given no weight."""

_CENTRED: Final = "maths"
"""The gate whose questions are all of two kinds: their level would be learned as if it were that of all mathematics."""

_FEWEST: Final = 50
"""With fewer questions nothing is fitted."""

_CHANCE_INPUTS: Final = 6
_CHANCE_PENALTY: Final = 1.0


class Evidence(msgspec.Struct, frozen=True):
    """What the scorer sees of each question of a corpus, without anything learned.

    Attributes:
        judgements: by the model that has no artefact.
        gates: index of `GATES` or -1, shape (n,).
        runs: for runs of one, two and three words which of them a question has, each (n, BUCKETS) of 0 and 1.
    """

    judgements: list[Judgement]
    gates: NDArray[np.int64]
    runs: tuple[sparse.csr_matrix, ...]


def gather(prompts: Sequence[str]) -> Evidence:
    """Return what the scorer sees of prompts, by the very code that serves."""
    bare = Model(None)
    seen, found = zip(*(judge(bare, prompt) for prompt in prompts), strict=True)
    whole = _presence([_rows(text) for text in seen])
    return Evidence(
        judgements=list(found),
        gates=np.array([one.gate for one in found]),
        runs=tuple(whole[:, run * BUCKETS : (run + 1) * BUCKETS] for run in range(RUNS)),
    )


def fit_weights(corpus: Corpus, evidence: Evidence, chosen: NDArray[np.bool_]) -> Artefact:
    """Return an artefact whose weights are fitted to some questions; its chances are all zero.

    What is fitted is the part of the gain that kind and demand do not tell, without an intercept: a text that shares
    no word with the questions is left as it was.

    Args:
        corpus: the questions.
        evidence: what is seen of them.
        chosen: which of them to fit to, shape (n,).
    """
    allowed = chosen & corpus.may_be_fitted
    rarity = [_rarity(matrix, allowed) for matrix in evidence.runs]
    scaled = sparse.hstack(list(map(_scaled, evidence.runs, rarity, EMPHASIS))).tocsr()
    seen = np.concatenate([np.asarray(matrix[allowed].sum(axis=0)).ravel() for matrix in evidence.runs])
    factors = np.concatenate(rarity) * (seen >= _RAREST)
    expected = np.array([one.expected for one in evidence.judgements])
    table = np.zeros((ROWS, LEARNED), np.float32)
    for gate, name in enumerate(GATES):
        mine = allowed & (evidence.gates == gate)
        if mine.sum() < _FEWEST:
            continue
        fails = (1.0 - corpus.weak)[mine]
        for head, target in enumerate(((corpus.gain - expected)[mine], fails - fails.mean())):
            level = target.mean() if name == _CENTRED else 0.0
            ridge = Ridge(alpha=PENALTIES[name], solver="sparse_cg", tol=1e-4, fit_intercept=False)
            table[:, gate * len(HEADS) + head] = ridge.fit(scaled[mine], target - level).coef_ * factors
    table[:, -1] = np.concatenate(rarity) ** 2
    return Artefact(table, Chances(np.zeros((2, _CHANCE_INPUTS)), np.zeros(3)), np.zeros((1, 3)))


def learned(evidence: Evidence, artefact: Artefact) -> NDArray[np.float64]:
    """Return what the weights add to each question, shape (n, heads): the sums that `Model.judge` makes."""
    out = np.zeros((len(evidence.gates), len(HEADS)))
    tables = artefact.weights.reshape(RUNS, BUCKETS, LEARNED)
    for matrix, table, emphasis in zip(evidence.runs, tables, EMPHASIS, strict=True):
        sums = np.asarray(matrix @ table)
        scale = emphasis / np.sqrt(sums[:, -1] + SMOOTHING)
        for head in range(len(HEADS)):
            columns = np.maximum(evidence.gates, 0) * len(HEADS) + head
            out[:, head] += sums[np.arange(len(sums)), columns] * scale
    out[evidence.gates < 0] = 0.0
    return out


def judged(evidence: Evidence, added: NDArray[np.float64]) -> list[Judgement]:
    """Return the judgements with what was learned added to them."""
    return [
        msgspec.structs.replace(one, gain=one.expected + gain, fails=fails)
        for one, (gain, fails) in zip(evidence.judgements, added.tolist(), strict=True)
    ]


def fit_chances(corpus: Corpus, judgements: Sequence[Judgement], chosen: NDArray[np.bool_]) -> Chances:
    """Return the regressions from judgements to probabilities.

    Args:
        corpus: the questions.
        judgements: of each question, by weights that were fitted without it: others are too sure of themselves.
        chosen: which questions to fit to.
    """
    allowed = chosen & corpus.may_be_fitted
    rows, inputs = zip(*(chance_inputs(one, one.gain) for one in judgements), strict=True)
    table, row = np.array(inputs), np.array(rows)
    simple = np.zeros((2, _CHANCE_INPUTS))
    for part in range(2):
        mine = allowed & (row == part)
        if mine.sum() >= _FEWEST:
            simple[part] = _logistic(table[mine], corpus.weak[mine] < 0.5, _balance(corpus.datasets[mine]))
    likely = 1.0 / (1.0 + np.exp(-(table * simple[row]).sum(axis=1)))
    further = np.array([medium_inputs(one, judged.gain) for one, judged in zip(likely, judgements, strict=True)])
    mine = allowed & ~np.isnan(corpus.mid)
    if mine.sum() < _FEWEST:
        return Chances(simple, np.array([0.0, 1.0, 0.0]))
    return Chances(simple, _logistic(further[mine], corpus.mid[mine] < 0.5, _balance(corpus.datasets[mine])))


def _logistic(
    inputs: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    fitted = LogisticRegression(C=_CHANCE_PENALTY, max_iter=500).fit(inputs[:, 1:], failed, sample_weight=weights)
    found: NDArray[np.float64] = np.concatenate((fitted.intercept_, fitted.coef_[0]))
    return found


def _balance(datasets: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return weights that let every dataset count the same, 1 on average."""
    _, inverse, counts = np.unique(datasets, return_inverse=True, return_counts=True)
    shares = 1.0 / counts[inverse]
    weights: NDArray[np.float64] = shares / shares.mean()
    return weights


def _rows(text: str) -> NDArray[np.uint32]:
    """Return the rows that a text, as the scorer sees it, has in the table of weights."""
    words = read(text, len(text)).words
    return rows_of(runs_of(words), len(words))[0]


def _presence(rows: Sequence[NDArray[np.uint32]]) -> sparse.csr_matrix:
    columns = np.concatenate(rows).astype(np.int32)
    ends = np.concatenate(([0], np.cumsum([len(one) for one in rows])))
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), ROWS))


def _rarity(matrix: sparse.csr_matrix, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the inverse document frequency of each row of a table (Spärck Jones 1972), also of rows never seen."""
    counts = np.asarray(matrix[chosen].sum(axis=0)).ravel()
    found: NDArray[np.float32] = np.maximum(np.log((1.0 + chosen.sum()) / (1.0 + counts)), 0.0).astype(np.float32)
    return found


def _scaled(matrix: sparse.csr_matrix, rarity: NDArray[np.float32], emphasis: float) -> sparse.csr_matrix:
    length = np.sqrt(np.asarray(matrix @ rarity**2).ravel() + SMOOTHING)
    return sparse.diags(emphasis / length) @ matrix.multiply(rarity)
