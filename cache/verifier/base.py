"""The seams of the guard: a rule that refuses, and a doubt that asks for more likeness."""

from __future__ import annotations

from typing import Protocol

from cache.verifier.reading import Reading


class Rule(Protocol):
    """One reason why two texts of near-equal vectors must not share an answer.

    Rules hold no state, look at readings only and are symmetric: `refuses(a, b)` equals `refuses(b, a)`.
    """

    @property
    def name(self) -> str:
        """Return a short word for headers and metrics."""

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the two must not share an answer."""


class Doubt(Protocol):
    """One reason why two texts must be more alike than others to share an answer. Symmetric and without state."""

    @property
    def name(self) -> str:
        """Return a short word for metrics."""

    @property
    def asks_more(self) -> float:
        """Return the cosine similarity that is asked for on top of the threshold, above 0."""

    def holds(self, a: Reading, b: Reading) -> bool:
        """Return whether the doubt is there."""
