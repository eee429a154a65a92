"""Finds what an operator's own expressions describe, on an engine whose time is linear in the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final

import msgspec
import re2  # type: ignore[import-untyped]  # ships no types

from policies.sanitise.finding import BY_PLACE, Finding

_LONGEST_EXPRESSION: Final = 1_000
"""Characters. Longer ones are lists of words, for which this is the wrong place."""

_MEMORY_BYTES: Final = 1 << 20
"""For the automaton of one expression; one that needs more, as `(a{500}){500}` does, is refused when it is read."""

_MOST_FINDINGS: Final = 1_024
_BUDGET_S: Final = 0.005
"""For one expression and one text: what the loop may be held up at most."""

_STRIKES: Final = 3


class CustomPattern(msgspec.Struct, frozen=True):
    """An operator's expression.

    Attributes:
        name: what findings carry as their rule.
        expression: in RE2's syntax, without references back and looks around.
    """

    name: str
    expression: str


class InvalidPatternError(ValueError):
    """An expression cannot be used; says which and why."""


class CustomPatterns:
    """Looks for an operator's expressions. One that is slow three times is put out of use, and `disabled` tells of it.

    Attributes:
        disabled: names of the expressions that are out of use.

    Args:
        patterns: compiled at once.
        most_characters: of a text that are looked at; what lies beyond is reported as one finding of rule `unread`.
        clock: seconds, of any origin.

    Raises:
        InvalidPatternError: an expression is too long, no RE2, needs too much memory, or matches an empty text.
    """

    name = "custom"

    def __init__(
        self,
        patterns: Sequence[CustomPattern],
        most_characters: int = 262_144,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._patterns: dict[str, Any] = {pattern.name: _compile(pattern) for pattern in patterns}
        self._strikes = dict.fromkeys(self._patterns, 0)
        self._most_characters = most_characters
        self._clock = clock
        self.disabled: set[str] = set()

    def scan(self, text: str) -> list[Finding]:
        """Return what the expressions find, by start."""
        looked_at = text[: self._most_characters]
        found = [
            finding for name in self._patterns if name not in self.disabled for finding in self._find(name, looked_at)
        ]
        if len(looked_at) < len(text) and self._patterns:
            found.append(Finding(self.name, "unread", len(looked_at), len(text), 0.0))
        return sorted(found, key=BY_PLACE)

    def _find(self, name: str, text: str) -> list[Finding]:
        began = self._clock()
        found = []
        for match in self._patterns[name].finditer(text):
            if match.end() > match.start():
                found.append(Finding(self.name, name, match.start(), match.end(), 1.0))
            if len(found) == _MOST_FINDINGS:
                break
        if self._clock() - began > _BUDGET_S:
            self._strikes[name] += 1
            if self._strikes[name] == _STRIKES:
                self.disabled.add(name)
        return found


def _compile(pattern: CustomPattern) -> Any:
    if len(pattern.expression) > _LONGEST_EXPRESSION:
        raise InvalidPatternError(f"{pattern.name}: longer than {_LONGEST_EXPRESSION} characters")
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(pattern.expression, options)
    except re2.error as error:
        raise InvalidPatternError(f"{pattern.name}: {_reason(error)}") from error
    if compiled.fullmatch("") is not None:
        raise InvalidPatternError(f"{pattern.name}: matches an empty text")
    return compiled


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "cannot be read"
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
