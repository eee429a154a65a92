"""When a budget will be empty at the rate it is being spent."""

from __future__ import annotations

import math
from typing import Final

from policies.meters import Standing
from policies.windows import CalendarWindow

SMOOTHING_S: Final = 900.0
"""The time constant of the average rate: an hour of another rate makes up 98 % of it, a burst of a minute 6 %."""

MIN_HISTORY_S: Final = 300.0
"""Seconds for which a budget must have been seen before its rate says anything."""


class SpendingRate:
    """How fast one budget is being spent: an average of its changes, the older the less they weigh.

    Calls in flight count at their ceilings and less once they have ended, so changes go both ways. In a sliding window
    what is spent stops counting after its length: what is followed there is by how much spending outruns that.
    """

    __slots__ = ("_changed", "_first", "_resets_at", "_seen", "_used", "_weight")

    def __init__(self, standing: Standing, tick: float) -> None:
        self._first = self._seen = tick
        self._used = standing.used
        self._resets_at = standing.resets_at
        self._changed = self._weight = 0.0

    def note(self, standing: Standing, tick: float) -> None:
        """Take in how the budget stands.

        Args:
            standing: of now.
            tick: seconds of a clock that never goes back.
        """
        passed_s, change = tick - self._seen, standing.used - self._used
        begins_anew = (
            isinstance(standing.meter.window, CalendarWindow) and change < 0 and standing.resets_at != self._resets_at
        )
        if passed_s > 0 and not begins_anew:
            kept = math.exp(-passed_s / SMOOTHING_S)
            self._changed = kept * self._changed + (1 - kept) * change / passed_s
            self._weight = kept * self._weight + (1 - kept)
        self._seen, self._used, self._resets_at = tick, standing.used, standing.resets_at

    def seconds_left(self, standing: Standing, now: float) -> float | None:
        """Return in how many seconds the budget will be empty.

        None while it is not being spent, has not been seen for long enough, or would not be empty before what is
        counted has left its window.

        Args:
            standing: the one last noted.
            now: seconds since the epoch.
        """
        if not standing.remaining:
            return 0.0
        if self._seen - self._first < MIN_HISTORY_S or self._changed <= 0:
            return None
        seconds = standing.remaining * self._weight / self._changed
        if standing.resets_at is not None and now + seconds >= standing.resets_at:
            return None
        return seconds
