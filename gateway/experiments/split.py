"""Which arm of a split a caller belongs to: the same one each time, and in every process."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from gateway.domain.caller import Caller
from gateway.experiments.chance import chance
from gateway.experiments.settings import Split, Sticky


class Assigner:
    """Knows the arms of every alias that is split.

    Each arm draws a number for a subject, exponential with the arm's weight as its rate, and the smallest wins
    (weighted rendezvous hashing: Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005). So an
    arm wins in proportion to its weight, and raising one weight lets that arm win more subjects without moving any
    other subject, in whichever order arms are written. With two arms that holds for shares too; with more, weights
    that are made to sum to 1 again move a few subjects between the other arms as well.

    Args:
        splits: by alias.
    """

    def __init__(self, splits: Mapping[str, Split]) -> None:
        self._splits = dict(splits)
        self._arms = {
            alias: tuple((arm, 1.0 / weight, f"{alias}\0{arm}") for arm, weight in split.split.items())
            for alias, split in splits.items()
        }

    def sticky(self, alias: str) -> Sticky | None:
        """Return what keeps its arm; None for a name that is not split."""
        split = self._splits.get(alias)
        return None if split is None else split.sticky

    def arm(self, alias: str, subject: str) -> str:
        """Return the arm of a subject; 2 us for two arms (measured, CPython 3.11).

        Args:
            alias: one that is split.
            subject: who keeps it, as `subject_of` says.

        Raises:
            KeyError: the alias is not split.
        """
        arms = self._arms[alias]
        if len(arms) == 1:
            return arms[0][0]
        # (draw, name): equal draws of tiny weights fall to a name, not to the order of writing.
        return min((-log(chance(purpose, subject)) * scale, arm) for arm, scale, purpose in arms)[1]


def subject_of(sticky: Sticky, caller: Caller, *, user: str | None = None, conversation: str | None = None) -> str:
    """Return who keeps an arm. Two teams' end users of one name are two subjects.

    Args:
        sticky: what the split asks for.
        caller: who asks.
        user: the end user, as the caller names it.
        conversation: what stands for the conversation, where it is known.
    """
    if sticky == "user" and user:
        return f"user:{caller.team}:{user}"
    if sticky == "conversation" and conversation:
        return f"conversation:{caller.team}:{conversation}"
    return f"key:{caller.key_id}"
