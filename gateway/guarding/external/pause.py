"""Leaves a guard alone that has failed again and again, so that nobody waits for it in vain."""

from __future__ import annotations

from typing import Final

FAILURES: Final = 5
"""In a row, after which it is left alone: a restart of the guard costs a few callers its timeout, not all of them."""

FIRST_S: Final = 5.0
LONGEST_S: Final = 60.0
"""Seconds it is left alone, the first time and at most; doubled each time it fails again."""


class Pause:
    """Knows no clock: every verb is given the moment in seconds.

    Attributes:
        begun: how often it began.
    """

    __slots__ = ("_failed", "_length_s", "_until", "begun")

    def __init__(self) -> None:
        self._failed = self.begun = 0
        self._until = 0.0
        self._length_s = FIRST_S

    def admits(self, now: float) -> bool:
        """Tell whether the guard may be asked. While it is left alone, one call tries each time a pause is over."""
        if self._failed < FAILURES:
            return True
        if now < self._until:
            return False
        self._until = now + self._length_s  # until this call has come back, the others do not try
        return True

    def is_on(self, now: float) -> bool:
        """Tell whether it is left alone, without trying."""
        return self._failed >= FAILURES and now < self._until

    def note_success(self) -> None:
        """Ask it again as ever."""
        self._failed, self._length_s = 0, FIRST_S

    def note_failure(self, now: float) -> None:
        """Count a failure; one too many begins a pause, a failed try another one twice as long."""
        self._failed += 1
        if self._failed < FAILURES:
            return
        if self._failed > FAILURES:
            self._length_s = min(self._length_s * 2, LONGEST_S)
        self._until = now + self._length_s
        self.begun += 1
