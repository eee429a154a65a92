"""Fits the second opinion: logistic regression on embeddings of what counts most in what users say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped, import-not-found, unused-ignore]
from tokenizers import Tokenizer

from policies.sanitise.injection.artefact import EMBEDDING, HEADS
from policies.sanitise.injection.detector import excerpt, second_opinion
from policies.sanitise.training.corpus import TOOL, Sample, grams
from policies.sanitise.training.fitting import weights_of
from policies.sanitise.training.folds import LEFT_OUT

TOKENS: Final = 256
"""The most that the shared embedder reads. Few excerpts have as many."""

_PENALTY: Final = 30.0


class Opinions:
    """Embeddings of what users say, and what is fitted to them.

    Args:
        samples: all texts; documents are passed over.
        begins: the character of each text that its strongest stretch begins with.
        folder: of the embedder: `model.onnx` and `tokenizer.json`.
    """

    def __init__(self, samples: Sequence[Sample], begins: NDArray[np.int64], folder: Path) -> None:
        self._count = len(samples)
        wanted = [s.role != TOOL and s.key.startswith(("inj-", "own")) for s in samples]
        self._mine = np.array(wanted).nonzero()[0]
        self._texts = list(compress(samples, wanted))
        starts = begins[self._mine].tolist()
        excerpts = [excerpt(sample.text, start) for sample, start in zip(self._texts, starts, strict=True)]
        self._vectors = embed(excerpts, folder)
        self._attack = np.array([sample.is_attack for sample in self._texts])
        self._fitted = np.array([sample.may_be_fitted for sample in self._texts])
        self._weights = weights_of(samples, HEADS.index("user"))[self._mine]

    def fit(self, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Return the weights and, last, what is added; shape (EMBEDDING + 1,)."""
        use = self._fitted & (self._weights > 0) if chosen is None else chosen & self._fitted & (self._weights > 0)
        model = LogisticRegression(C=_PENALTY, max_iter=2000, random_state=0)
        model.fit(self._vectors[use], self._attack[use], sample_weight=self._weights[use])
        return np.append(model.coef_[0], model.intercept_).astype(np.float32)

    def out_of_source(self) -> NDArray[np.float64]:
        """Return what an embedding adds to each text by weights that saw neither its source nor a copy; else 0."""
        found = np.zeros(self._count)
        runs = [grams(sample.text) if sample.is_attack else set() for sample in self._texts]
        for names in LEFT_OUT:
            held = np.array([sample.source.startswith(names) for sample in self._texts])
            seen: set[int] = set().union(*(runs[at] for at in (held & self._attack).nonzero()[0]))
            copies = np.array([not run.isdisjoint(seen) for run in runs])
            weights = self.fit(~held & ~copies)
            odds = self._vectors[held] @ weights[:-1] + weights[-1]
            found[self._mine[held]] = [second_opinion(float(value)) for value in odds]
        return found


def embed(texts: Sequence[str], folder: Path) -> NDArray[np.float32]:
    """Return embeddings of unit length, the mean over tokens; shape (n, EMBEDDING)."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    inputs = {one.name for one in session.get_inputs()}
    out = np.zeros((len(texts), EMBEDDING), np.float32)
    for row, text in enumerate(texts):
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        found = session.run(None, {name: given[name] for name in inputs})[0][0]
        vector = found.mean(axis=0) if found.ndim > 1 else found  # a model may pool the tokens itself
        out[row] = vector / np.linalg.norm(vector)
    return out
