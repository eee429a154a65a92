"""Texts as vectors: the seam that the cache, the router, the guard and the agents' memory share.

numpy is named in annotations only, so that importing the vocabulary stays light.

EmbeddingError
├── EmbedderLateError          the time is over, or would be: go on without a vector
├── EmbedderUnavailableError   there is none: not loaded, broken, or out of reach
└── TextTooLongError           the text is longer than the model reads
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    """(n, d) float32, rows unit-norm."""


class EmbeddingError(Exception):
    """No vector was made. Whoever asked goes on without one; no caller of the gateway sees this."""


class EmbedderLateError(EmbeddingError):
    """The time budget is over, or so much waits already that it would be."""


class EmbedderUnavailableError(EmbeddingError):
    """There is no embedder: it is not loaded yet, it broke, or its server cannot be reached or understood."""


class TextTooLongError(EmbeddingError):
    """A text is longer than the model reads.

    Its vector would be that of its beginning, and two long texts that begin alike would look the same.
    """


class Embedder(Protocol):
    """Turns texts into vectors whose inner product tells how much alike they are. For one event loop."""

    @property
    def identity(self) -> str:
        """Return which model, revision and quantisation it is: vectors of different identities do not compare."""

    @property
    def dimension(self) -> int:
        """Return the length of a vector, > 0."""

    @property
    def is_multilingual(self) -> bool:
        """Tell whether it is meant for other languages than English, and other scripts than Latin."""

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> Vectors:
        """Return a vector for each text, in order: (n, d) float32, rows unit-norm.

        Equal texts get equal vectors, whatever else is asked for at the same time.

        Args:
            texts: what to embed; none gives (0, d).
            budget_s: seconds to wait at most, > 0; None for the embedder's own.

        Raises:
            EmbedderLateError: as the class says. What was under way may be finished, and remembered, all the same.
            EmbedderUnavailableError: as the class says.
            TextTooLongError: one of the texts is; nothing of the others is returned.
        """
