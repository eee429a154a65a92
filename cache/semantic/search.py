"""One question on its way through the semantic cache: its vector is made once, for the look-up and for the entry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cache.semantic.base import Found, Missed
from cache.verifier.reader import read
from cache.verifier.reading import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

Embedding = Awaitable["Vector | str"]


class Search:
    """A look-up that was begun; made by `SemanticCache.begin`, for one event loop.

    Args:
        scope: exact key.
        text: the question.
        category: of the request, for thresholds and audits.
        decide: looks for an answer, given the vector; it raises nothing.
        note: told once of what came of it.

    Attributes:
        missed: why nothing need be waited for; None where a stored question may be like this one.
        is_kept: whether an answer may become an entry.
    """

    __slots__ = (
        "_decide",
        "_note",
        "_reading",
        "category",
        "embedding",
        "is_kept",
        "missed",
        "outcome",
        "scope",
        "text",
    )

    def __init__(
        self,
        scope: bytes,
        text: str,
        category: str,
        decide: Callable[[Search, Vector, float | None], Awaitable[Found | Missed]],
        note: Callable[[Search, Found | Missed], None],
    ) -> None:
        self.scope, self.text, self.category = scope, text, category
        self._decide, self._note = decide, note
        self._reading: Reading | None = None
        self.embedding: asyncio.Task[Vector | str] | None = None
        self.outcome: Found | Missed | None = None
        self.missed: Missed | None = None
        self.is_kept = False

    @property
    def reading(self) -> Reading:
        """Return what the guard knows of the question; read once."""
        if self._reading is None:
            self._reading = read(self.text)
        return self._reading

    @property
    def vector(self) -> Vector | None:
        """Return the vector, if it is there."""
        return None if isinstance(self.made, str) else self.made

    @property
    def made(self) -> Vector | str | None:
        """Return the vector, why there is none, or None while it is being made."""
        if self.embedding is None or not self.embedding.done() or self.embedding.cancelled():
            return None
        return self.embedding.result()

    async def result(self, within_s: float, *, max_age_s: float | None = None) -> Found | Missed:
        """Return what was found; asked again, the same. It raises nothing, and returns at once where nothing is near.

        Args:
            within_s: seconds to wait for the vector at most, >= 0; past it the question is a miss, and its vector is
                made all the same.
            max_age_s: an answer that is older is not given; None for any.
        """
        outcome = self.outcome
        if outcome is None:
            outcome = self.outcome = await self._look_up(within_s, max_age_s)
            self._note(self, outcome)
        return outcome

    async def _look_up(self, within_s: float, max_age_s: float | None) -> Found | Missed:
        if self.missed is not None:
            return self.missed
        if self.embedding is not None and not self.embedding.done():
            # Unlike a timeout around it, this does not cancel it: the vector is still of use.
            await asyncio.wait((self.embedding,), timeout=within_s)
        made = self.made
        if made is None:
            return Missed("late")
        return Missed(made) if isinstance(made, str) else await self._decide(self, made, max_age_s)
