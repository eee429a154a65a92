"""Signs that weigh against a hit without forbidding it: each asks for more likeness of the vectors.

What is asked for was chosen on the public streams in steps of 0.01 (see `cache.calibration`); the signs themselves are
of any traffic.
"""

from __future__ import annotations

from typing import ClassVar

from cache.verifier.alignment import additions
from cache.verifier.reading import Reading


class Addition:
    """One text says one deciding word more: `how to learn programming`, `how to learn functional programming`."""

    name: ClassVar = "addition"
    asks_more: ClassVar = 0.04

    def holds(self, a: Reading, b: Reading) -> bool:
        """Return whether exactly one text has exactly one deciding word without a counterpart."""
        ours, theirs = additions(a, b)
        return len(ours) + len(theirs) == 1


class Instruction:
    """Something is to be done, not told: every detail of an instruction is part of its answer."""

    name: ClassVar = "instruction"
    asks_more: ClassVar = 0.1

    def holds(self, a: Reading, b: Reading) -> bool:
        """Return whether either text is an instruction."""
        return a.asks == "do" or b.asks == "do"
