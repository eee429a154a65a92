"""An embedder without a model: equal words give near vectors, always the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gateway.domain.embedding import EmbeddingError


class FakeEmbedder:
    """Satisfies `Embedder`: a text is the sum of its words, each a direction that follows from its spelling.

    Args:
        dimension: length of a vector.

    Attributes:
        asked: every text that was asked for.
        error: raised instead of an answer, if set.
    """

    def __init__(self, dimension: int = 64, identity: str = "fake@1+float32") -> None:
        self.dimension, self.identity = dimension, identity
        self.is_multilingual = False
        self.asked: list[str] = []
        self.error: EmbeddingError | None = None

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> NDArray[np.float32]:
        """Return a vector for each text."""
        if self.error is not None:
            raise self.error
        self.asked += texts
        return np.stack([self.vector(text) for text in texts]) if texts else np.empty((0, self.dimension), np.float32)

    def vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text: (d,), unit-norm."""
        words = text.lower().split() or [""]
        total = np.sum([_direction(word, self.dimension) for word in words], axis=0)
        unit: NDArray[np.float32] = (total / np.linalg.norm(total)).astype(np.float32)
        return unit


def _direction(word: str, dimension: int) -> NDArray[np.float64]:
    seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(dimension)


def unit_rows(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors in random directions: (n, d), rows unit-norm."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
