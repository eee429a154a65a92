"""Makes the detector's artefact: `python -m policies.sanitise.training.train DATA EMBEDDER OUT [--evaluate]`.

DATA is the folder of the public guard data (its README names sources and licences; `corpus.NEVER_FITTED` those that no
weight comes from), EMBEDDER that of the shared embedder (`model.onnx`, `tokenizer.json`), OUT the artefact. The same
inputs give the same bytes. Needs scikit-learn, onnxruntime and tokenizers, which the detector itself does not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.artefact import HEADS, Artefact, dump
from policies.sanitise.injection.windows import MOST
from policies.sanitise.training.corpus import read_public, write_own
from policies.sanitise.training.embedding import Opinions
from policies.sanitise.training.fitting import fit, gather
from policies.sanitise.training.folds import out_of_language, out_of_source
from policies.sanitise.training.measures import Rows, by_language, foreign_threshold, report, thresholds

SEED: Final = 0
GREY_SHARE: Final = 0.08
"""Of ordinary traffic that a second opinion may be asked on."""

PER_NUMBER: Final = (0.3, 0.1, 0.0)
"""What a text loses by the logarithm of its number of stretches, by head: the largest of many is large by chance."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("embedder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--evaluate", action="store_true", help="print recall and false alarms by source")
    chosen = parser.parse_args()
    samples = read_public(chosen.data) + write_own(SEED)
    evidence = gather(samples)
    rows = Rows(samples)
    unseen = out_of_source(samples, evidence)
    scores = unseen.margins
    scores -= np.array(PER_NUMBER)[: len(scores), None] * np.log(np.clip(unseen.numbers, 1, MOST))
    foreign = out_of_language(samples, evidence)
    limits = np.append(thresholds(scores, rows), foreign_threshold(foreign, samples, rows))
    grey = _grey(scores, rows, limits)
    opinions = Opinions(samples, unseen.begins, chosen.embedder)
    second = np.where(scores[0] >= grey[0], scores[0] + opinions.out_of_source(), -np.inf)
    both = np.stack((second, scores[1]))
    second_limit = thresholds(both, rows)[0]
    if chosen.evaluate:
        lines = report(scores, rows, limits) + by_language(foreign, samples, limits[-1])
        lines += ["", "with the second opinion", *report(both, rows, np.array([second_limit, limits[1]]))]
        sys.stdout.write("\n".join(lines) + "\n")
    fitted = np.array([sample.may_be_fitted for sample in samples])
    heads = [fit(evidence, samples, fitted, index) for index in range(len(HEADS))]
    artefact = Artefact(
        weights=np.stack([head.weights for head in heads]).astype(np.float32),
        levels=np.stack([head.levels for head in heads]),
        per_number=np.array(PER_NUMBER),
        thresholds=limits,
        grey=grey,
        second=opinions.fit(),
        second_threshold=float(second_limit),
    )
    chosen.out.write_bytes(dump(artefact))


def _grey(scores: NDArray[np.float64], rows: Rows, limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the grey zone of users' texts begins; the other heads have none."""
    begins = min(float(limits[0]), float(np.quantile(scores[0, rows.benign | rows.hard], 1.0 - GREY_SHARE)))
    return np.append(begins, limits[1:])


if __name__ == "__main__":
    main()
