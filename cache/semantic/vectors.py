"""Has vectors made beside whatever else goes on; what goes wrong is a word, not an error."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from cache.semantic.search import Search
from gateway.domain.embedding import Embedder, EmbedderLateError, EmbedderUnavailableError, TextTooLongError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

log = logging.getLogger("tierway")


class Vectors:
    """Asks the embedder, in tasks of its own. For one event loop.

    Args:
        embedder: not closed with this.
        background_s: seconds that a vector nobody waits for may take.

    Attributes:
        complaint: why the last text got no vector, if the embedder was to blame; empty once one is made again.
    """

    def __init__(self, embedder: Embedder, background_s: float) -> None:
        self._embedder, self._background_s = embedder, background_s
        self._tasks: set[asyncio.Task[Vector | str]] = set()
        self._is_closed = False
        self.complaint = ""

    def begin(self, text: str, budget_s: float) -> asyncio.Task[Vector | str]:
        """Have a vector made within a time; the task gives it, or `late`, `long` or `embedder`."""
        task = asyncio.get_running_loop().create_task(self._make(text, budget_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def of(self, search: Search) -> Vector | None:
        """Return the vector of a question, made anew only if the time of its look-up was too short for it."""
        if search.embedding is not None:
            await asyncio.wait((search.embedding,))
        made = search.made
        if not self._is_closed and (made is None or (isinstance(made, str) and made == "late")):
            search.embedding = self.begin(search.text, self._background_s)
            await asyncio.wait((search.embedding,))
        return search.vector

    def close(self) -> None:
        """Wait for no vectors any more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()

    async def _make(self, text: str, budget_s: float) -> Vector | str:
        try:
            vectors = await self._embedder.embed([text], budget_s=budget_s)
        except EmbedderLateError:
            return "late"
        except TextTooLongError:
            return "long"
        except EmbedderUnavailableError:
            self._complain("there is no embedder: only equal questions are answered from the cache")
            return "embedder"
        except Exception as error:  # noqa: BLE001  an embedder that breaks in another way is a miss as well
            self._complain(f"the embedder failed ({type(error).__name__})", error)
            return "embedder"
        self.complaint = ""
        vector: Vector = vectors[0]
        return vector

    def _complain(self, complaint: str, error: Exception | None = None) -> None:
        """Say what is wrong once until it is well again; of an error its kind only, as it may repeat a prompt."""
        if complaint != self.complaint:
            log.warning("%s", complaint, exc_info=error)
        self.complaint = complaint
