"""The seams of the router: what a strategy is asked, and what a decision holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName
from router.wishes import NO_WISHES, Wishes


class Grounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a tier was chosen by.

    Attributes:
        kind: of task: `code`, `maths`, `chat`, ...
        language: of the prompt, `xx` where it is not known.
        score: 0 to 1; how much the prompt needs a stronger model.
        simple_fails, medium_fails: probability that a model of the tier does not answer well enough.
        simple_below, medium_below: scores below these are for the simple and the medium tier.
        turns: how many turns of the conversation were looked at.
    """

    kind: str
    language: str
    score: float
    simple_fails: float
    medium_fails: float
    simple_below: float
    medium_below: float
    turns: int = 1


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A strategy's answer.

    Attributes:
        confidence: 0 to 1.
        reason: one word or two, for a header.
        grounds: what it was chosen by, None where nothing was scored.
    """

    tier: TierName
    confidence: float
    reason: str
    grounds: Grounds | None = None


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
        spare: the tiers that are asked when none of the candidates can answer, in this order.
        lacking: models that were left out, and what they lack for the request.
        grounds: what the tier was chosen by, None where nothing was scored.
    """

    tier: TierName | None
    confidence: float
    reason: str
    candidates: tuple[str, ...]
    spare: tuple[Option, ...] = ()
    lacking: Mapping[str, str] = MappingProxyType({})
    grounds: Grounds | None = None


class Question(msgspec.Struct, frozen=True, gc=False):
    """What a strategy is asked.

    Attributes:
        request: what the caller sent.
        wishes: what it asks of whoever answers.
        options: the tiers that may answer, best first.
        caller_id: stands for the caller.
    """

    request: ModelRequest
    wishes: Wishes = NO_WISHES
    options: Sequence[Option] = ()
    caller_id: str = ""


class Strategy(Protocol):
    """Picks the tier of a request for `auto`."""

    def choose(self, question: Question) -> Choice:
        """Return a tier for the request. Whatever it raises, the default tier is used instead."""
