"""Adds up what was found in one text of an answer, so that it is told once."""

from __future__ import annotations

from typing import Final

import msgspec

from policies.sanitise.inspection import Inspection, Verdict
from policies.sanitise.output.sighting import Sighting
from policies.sanitise.plan import NAME_OF
from policies.sanitise.settings import Action, Direction

_MOST_RANGES: Final = 32


class _Count(msgspec.Struct):
    count: int = 0
    score: float = 0.0
    ranges: tuple[tuple[int, int], ...] = ()


class Tally:
    """What was found in one text.

    Args:
        place: the text, as a path in the answer.
        direction: whose text it is.
    """

    __slots__ = ("_counts", "_direction", "_place")

    def __init__(self, place: str, direction: Direction = "output") -> None:
        self._place, self._direction = place, direction
        self._counts: dict[tuple[str, str, Action], _Count] = {}

    def add(self, sighting: Sighting, before: int = 0) -> None:
        """Count a finding.

        Args:
            before: characters of the text before those that its places count from.
        """
        one = sighting.finding
        counted = self._counts.setdefault(
            (NAME_OF.get(one.detector, one.detector), one.rule, sighting.action), _Count()
        )
        counted.count += 1
        counted.score = max(counted.score, one.score)
        if len(counted.ranges) < _MOST_RANGES:
            counted.ranges += ((one.start + before, one.end + before),)

    def tell(self, inspection: Inspection) -> None:
        """Have an inspection take in what was counted, and begin anew."""
        for (detector, rule, action), counted in self._counts.items():
            inspection.note(
                Verdict(
                    detector=detector,
                    rule=rule,
                    action=action,
                    direction=self._direction,
                    count=counted.count,
                    ranges=counted.ranges,
                    place=self._place,
                    score=counted.score,
                )
            )
        self._counts.clear()
