"""Makes the scorer's artefact: `python -m router.training.train DATA OUT [--evaluate]`.

DATA is the file of questions (README.md beside this says which, and under which licences); OUT is the artefact. The
same data give the same bytes. Needs scikit-learn, which serving does not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.scoring.artefact import Artefact, dump
from router.scoring.model import Judgement, Model
from router.scoring.scorer import judge, score_of
from router.training.corpus import Corpus, read_corpus
from router.training.fitting import Evidence, fit_chances, fit_weights, gather, judged, learned
from router.training.measures import table, tier_quality
from router.training.ordinary import ORDINARY

FOLDS: Final = 5
SEED: Final = 0
MIX: Final = (0.5, 0.3, 0.2)
_BANDS: Final = 200
_ROUNDS: Final = 300


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--evaluate", action="store_true", help="print the tables of both tracks beside length's")
    chosen = parser.parse_args()
    corpus = read_corpus(chosen.data)
    evidence = gather(corpus.prompts)
    artefact = train(corpus, evidence)
    chosen.out.write_bytes(dump(artefact))
    if chosen.evaluate:
        evaluate(corpus, evidence)


def train(corpus: Corpus, evidence: Evidence) -> Artefact:
    """Return the artefact that ships: weights from all that may be fitted, chances from judgements out of fold."""
    weights = fit_weights(corpus, evidence, np.ones(len(corpus.prompts), np.bool_))
    out_of_fold = cross_fitted(corpus, evidence)
    chances = fit_chances(corpus, out_of_fold, np.ones(len(corpus.prompts), np.bool_))
    artefact = msgspec.structs.replace(weights, chances=chances)
    return msgspec.structs.replace(artefact, reference=_reference(corpus, out_of_fold, artefact))


def cross_fitted(corpus: Corpus, evidence: Evidence) -> list[Judgement]:
    """Return judgements of each question by weights that were fitted to the other folds (in domain)."""
    folds = corpus.folds(FOLDS, SEED)
    return judged(evidence, _left_out(corpus, evidence, folds))


def left_out(corpus: Corpus, evidence: Evidence) -> list[Judgement]:
    """Return judgements of each question by weights that were fitted to the other families (out of family)."""
    return judged(evidence, _left_out(corpus, evidence, corpus.families))


def _left_out(corpus: Corpus, evidence: Evidence, parts: NDArray[np.int64]) -> NDArray[np.float64]:
    added = np.zeros((len(parts), 2))
    for part in np.unique(parts):
        mine = parts == part
        added[mine] = learned(evidence, fit_weights(corpus, evidence, ~mine))[mine]
    return added


def _reference(corpus: Corpus, judgements: list[Judgement], artefact: Artefact) -> NDArray[np.float64]:
    """Return scores and chances of reference traffic, half ordinary requests and half the datasets in equal parts."""
    model = Model(artefact)
    mine = np.flatnonzero(corpus.may_be_fitted)
    known = [judgements[at] for at in mine] + [judge(model, text)[1] for text in ORDINARY]
    rows = np.array([(score_of(one.gain), *model.chances_of(one, one.gain)) for one in known])
    _, inverse, counts = np.unique(corpus.datasets[mine], return_inverse=True, return_counts=True)
    weight = np.concatenate((1.0 / counts[inverse] / len(counts), np.full(len(ORDINARY), 1.0 / len(ORDINARY))))
    order = np.argsort(rows[:, 0], kind="stable")
    share = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    centres = (np.arange(_BANDS) + 0.5) / _BANDS
    return np.stack([np.interp(centres, share, rows[order, column]) for column in range(rows.shape[1])], axis=1)


def evaluate(corpus: Corpus, evidence: Evidence) -> None:
    """Print the tables of both tracks, and the quality of three tiers, beside length's."""
    tracks = {
        "length, no training": np.array([float(len(prompt)) for prompt in corpus.prompts]),
        "no labels at all": np.array([one.expected for one in evidence.judgements]),
        "out of family": np.array([one.gain for one in left_out(corpus, evidence)]),
        "in domain": np.array([one.gain for one in cross_fitted(corpus, evidence)]),
    }
    for name, score in tracks.items():
        _say(f"\n{name}")
        for dataset, (area, low, high) in table(corpus, score, _ROUNDS).items():
            _say(f"  {dataset:<14}{area:6.3f} [{low:.3f}, {high:.3f}]")
        for dataset in ("mmlu_pro", "crux", "math_l5"):
            ours, random = tier_quality(corpus, score, dataset, MIX)
            _say(
                f"  tiers on {dataset:<9}{100 * ours:6.2f}, at random {100 * random:.2f}: {100 * (ours - random):+.2f}"
            )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
