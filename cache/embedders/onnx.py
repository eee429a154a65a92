"""An embedding model in this process: an artefact, served by a few threads within a time budget.

torch and sentence-transformers are not imported here; what wrote the artefact is `cache.embedders.export`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cache.embedders.artefact import Meta, default_root, find_artefact, read_meta
from cache.embedders.queue import EmbeddingQueue
from cache.embedders.recent import Recent
from cache.embedders.settings import LocalEmbedder
from gateway.domain.embedding import EmbedderUnavailableError

if TYPE_CHECKING:
    from cache.embedders.encoder import Encoder
    from gateway.domain.embedding import Vectors

_WARM_UP: Final = ("", "How long should an egg boil?", "How long should an egg boil? " * 12)


class OnnxEmbedder:
    """Embeds with a model of this process; see `Embedder`.

    What it is can be read at once. Until `load` is done, and after it failed, `embed` raises
    `EmbedderUnavailableError`.

    Args:
        settings: model, threads and bounds.
        open_encoder: opens an artefact; None for onnxruntime's.

    Raises:
        ArtefactError: there is no artefact of that name.
    """

    def __init__(self, settings: LocalEmbedder, open_encoder: Callable[[Path], Encoder] | None = None) -> None:
        root = Path(settings.folder) if settings.folder else default_root()
        self._folder = find_artefact(settings.model, root)
        self.meta: Meta = read_meta(self._folder)
        self.recent = Recent(settings.recent)
        self.queue: EmbeddingQueue | None = None
        self.complaint = "the embedder is not loaded yet"
        """Why there are no vectors; empty where there are."""
        self._settings = settings
        self._open = open_encoder or _open_encoder
        self._budget_s = settings.budget_ms / 1000

    @property
    def identity(self) -> str:
        """Return the model, its revision and its quantisation; see `Embedder`."""
        return self.meta.identity

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self.meta.dimension

    @property
    def is_multilingual(self) -> bool:
        """Tell whether the model is meant for more than English."""
        return self.meta.is_multilingual

    async def load(self) -> None:
        """Read the model on a thread of its own, in about 0.3 s, and run it a few times.

        Raises:
            EmbedderUnavailableError: it cannot be served; `complaint` says why.
        """
        try:
            encoder = await asyncio.to_thread(self._open_warm)
        except EmbedderUnavailableError as error:
            self.complaint = str(error)
            raise
        self.queue = EmbeddingQueue(
            encoder.encode,
            threads=self._settings.threads,
            max_waiting=self._settings.max_waiting,
            recent=self.recent,
        )
        self.complaint = ""

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> Vectors:
        """Return a vector for each text; see `Embedder.embed`. More new texts than may wait are late at once."""
        if self.queue is None:
            raise EmbedderUnavailableError(self.complaint)
        vectors = await self.queue.vectors(texts, self._budget_s if budget_s is None else budget_s)
        return np.stack(vectors) if vectors else np.empty((0, self.dimension), np.float32)

    def close(self) -> None:
        """Begin no more texts. What is under way ends by itself."""
        if self.queue is not None:
            self.queue.close()
        self.queue, self.complaint = None, "the embedder is closed"

    def _open_warm(self) -> Encoder:
        encoder = self._open(self._folder)
        for text in _WARM_UP:
            encoder.encode(text)
        return encoder


def _open_encoder(folder: Path) -> Encoder:
    """Open an artefact with onnxruntime, whose import takes about 0.2 s."""
    try:
        from cache.embedders.encoder import Encoder as OnnxEncoder  # noqa: PLC0415  on a thread, and only where served
    except ImportError as error:
        raise EmbedderUnavailableError(f"{error.name} is missing: install the semantic extra") from error
    try:
        return OnnxEncoder(folder)
    except EmbedderUnavailableError:
        raise
    except Exception as error:  # onnxruntime's and tokenizers' errors have no common class
        raise EmbedderUnavailableError(f"the model in {folder} cannot be read: {error}") from error
