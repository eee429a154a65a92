"""Matches the patterns with RE2, for machines that Hyperscan does not run on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types

from policies.sanitise.passes.pattern import CrowdedError, Pattern

_SET_MEMORY_BYTES = 256 << 20
"""For the automaton of all patterns; with RE2's own 8 MB it falls back to a slow engine within a few kilobytes."""


class Re2Pass:
    """See `MultiPattern`. One walk tells which patterns occur, one more walk for each of those tells where.

    Args:
        patterns: compiled at once.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = _SET_MEMORY_BYTES
        self._set = re2.Set.SearchSet(options)
        sources = [_source(pattern) for pattern in patterns]
        for source in sources:
            self._set.Add(source)
        self._set.Compile()
        self._once = frozenset(index for index, pattern in enumerate(patterns) if pattern.is_once)
        single = re2.Options()
        single.encoding = re2.Options.Encoding.LATIN1
        self._patterns: list[Any] = [re2.compile(source, single) for source in sources]

    def hits(self, encoded: bytes, most: int) -> list[tuple[int, int]]:
        """See `MultiPattern.hits`."""
        found: list[tuple[int, int]] = []
        for index in self._set.Match(encoded) or ():
            matches = self._patterns[index].finditer(encoded)
            left = 1 if index in self._once else most + 1 - len(found)
            found += [(index, match.end()) for match in islice(matches, left)]
            if len(found) > most:
                raise CrowdedError
        return found


def _source(pattern: Pattern) -> bytes:
    return (f"(?i){pattern.expression}" if pattern.is_caseless else pattern.expression).encode()
