"""What a detector reports, and what it has to look like to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, Literal, Protocol

import msgspec

from policies.sanitise.passes.pattern import Pattern

Kind = Literal["secrets", "personal", "unicode"]


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A place in a text that a rule speaks of. It holds offsets and never what stands there.

    Attributes:
        detector: `secrets`, `personal`, `unicode` or `custom`.
        rule: which rule of the detector.
        start: character of the original text at which it begins.
        end: character after its last one.
        score: how sure the rule is, 0 to 1; a rank between rules, no probability.
    """

    detector: str
    rule: str
    start: int
    end: int
    score: float


BY_PLACE: Final = attrgetter("start", "end")
"""Sorts findings as they stand in the text."""


class Detector(Protocol):
    """Names the patterns of one kind of thing and judges where they matched, so that several can share a pass.

    Attributes:
        name: what its findings carry as `detector`.
    """

    name: str

    @property
    def patterns(self) -> Sequence[Pattern]:
        """Return what the engine looks for; wide, so that nothing is missed."""

    def judge(self, text: str, index: int, end: int) -> Finding | None:
        """Return what a match of `patterns[index]` that ended at `end` amounts to, None if nothing.

        Args:
            text: of a `DetectionCopy`; the finding's offsets are of it.
        """
