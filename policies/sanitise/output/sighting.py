"""What is found in an answer, with what is done about it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from policies.sanitise.finding import Finding
from policies.sanitise.settings import Action


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """A finding, and what is done about it."""

    finding: Finding
    action: Action


Tell = Callable[[Sighting, int], None]
"""Is told of a finding, and of the number of characters before the text that its places count from."""


class BlockedError(Exception):
    """Something was found that must not pass.

    Args:
        finding: what.
        passed: what was held back before it, and may pass.
    """

    def __init__(self, finding: Finding, passed: str = "") -> None:
        super().__init__(f"{finding.detector} {finding.rule}")
        self.finding, self.passed = finding, passed
