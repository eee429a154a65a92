"""What a multi-pattern engine is asked for and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """One expression, in the syntax that Hyperscan, RE2 and `re` share.

    Attributes:
        expression: matches ASCII only; what is not ASCII arrives as `?`.
        is_caseless: whether letter case is ignored.
        is_once: whether it is enough to know that it occurs; then at most one match is reported.
        group: patterns that are built alike share one; it tells an engine what to compile together.
    """

    expression: str
    is_caseless: bool = False
    is_once: bool = False
    group: str = ""


class CrowdedError(Exception):
    """A text holds more matches than were asked for. It is read again, in parts."""


class MultiPattern(Protocol):
    """Finds where any of many patterns ends. Time is linear in the text, whatever the patterns."""

    def hits(self, encoded: bytes, most: int) -> Sequence[tuple[int, int]]:
        """Return pattern and end of every match, in bytes, in any order.

        Of one match several ends may be reported.

        Raises:
            CrowdedError: there are more than `most` of them.
        """
