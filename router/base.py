"""The seam of the router: what a strategy is asked and what a decision holds."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A strategy's answer.

    Attributes:
        confidence: 0 to 1.
        reason: one word or two, for a header.
    """

    tier: TierName
    confidence: float
    reason: str


class Option(msgspec.Struct, frozen=True):
    """One tier that may answer a request.

    Attributes:
        tier: the class of model, or None for a model that belongs to none.
        candidates: names of `models`, in the order they are tried.
    """

    tier: TierName | None
    candidates: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who may answer a request, best first.

    Attributes:
        tier: the class of model, or None for a model that belongs to none.
        candidates: names of `models`, in the order they are tried.
    """

    tier: TierName | None
    confidence: float
    reason: str
    candidates: tuple[str, ...]


class Strategy(Protocol):
    """Picks the tier of a request for `auto`."""

    def choose(self, request: ModelRequest) -> Choice:
        """Return a tier for the request. Whatever it raises, the default tier is used instead."""
