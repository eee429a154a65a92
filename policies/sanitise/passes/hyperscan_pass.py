"""Matches all patterns with Hyperscan (x86-64 only)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import hyperscan

from policies.sanitise.passes.pattern import CrowdedError, Pattern


class HyperscanPass:
    """See `MultiPattern`. May be shared by threads: each has its own scratch space.

    Patterns of one `group` become one database. Literals, long classes and short classes are matched by different
    machines; 1,300 patterns of all sorts in one database take three times as long as the same in four.

    Args:
        patterns: compiled at once; a thousand take one to two seconds.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._databases: list[Any] = []
        numbered = sorted(enumerate(patterns), key=_group)
        for _, members in groupby(numbered, key=_group):
            self._databases.append(_compile(list(members)))
        self._scratches = threading.local()

    def hits(self, encoded: bytes, most: int) -> list[tuple[int, int]]:
        """See `MultiPattern.hits`."""
        found = _Found()
        found.most = most
        try:
            for database, scratch in zip(self._databases, self._own_scratches(), strict=True):
                database.scan(encoded, match_event_handler=_collect, context=found, scratch=scratch)
        except hyperscan.ScanTerminated as error:
            raise CrowdedError from error
        return found

    def _own_scratches(self) -> list[Any]:
        own: list[Any] | None = getattr(self._scratches, "own", None)
        if own is None:
            own = self._scratches.own = [hyperscan.Scratch(database) for database in self._databases]
        return own


def _group(numbered: tuple[int, Pattern]) -> str:
    return numbered[1].group


def _compile(members: list[tuple[int, Pattern]]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[pattern.expression.encode() for _, pattern in members],
        ids=[index for index, _ in members],
        flags=[_flags(pattern) for _, pattern in members],
    )
    return database


def _flags(pattern: Pattern) -> int:
    caseless = hyperscan.HS_FLAG_CASELESS if pattern.is_caseless else 0
    return caseless | (hyperscan.HS_FLAG_SINGLEMATCH if pattern.is_once else 0)


class _Found(list[tuple[int, int]]):
    """What was reported.

    Attributes:
        most: after which the scan ends.
    """

    __slots__ = ("most",)

    most: int


def _collect(index: int, _start: int, end: int, _flags: int, found: _Found) -> bool:
    """Keep a match; True ends the scan."""
    found.append((index, end))
    return len(found) > found.most
