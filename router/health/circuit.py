"""Closed, open or half-open: whether somebody may call, and who tries whether it works again."""

from __future__ import annotations

from typing import Final, Literal

from router.health.settings import BreakerSettings

CircuitState = Literal["closed", "open", "half_open"]
"""`half_open`: the time to be left alone is over, and one call at a time tries."""

PROBE_S: Final = 30.0
"""Seconds after which a probe that has not come back no longer keeps others from trying: one slow call must not lock
everybody out, and most models have answered by then."""

EARLY: Final = 0.1
"""The part of its time after which an open circuit is tried where nobody else is left to answer."""

_POLL_S: Final = 1.0
"""Seconds after which to ask again while a probe is under way, whose end nobody knows."""


class Circuit:
    """The state of one breaker for everybody or for one caller. Knows no clock: every verb is given the moment.

    Attributes:
        is_closed: calls pass freely.
        until: moment at which it becomes half-open.
        openings: how often it opened; tells a probe of an earlier opening from one of this.
        failed_in_a_row: openings since it was last closed.
    """

    __slots__ = ("_early_at", "_probe", "_probe_lapses_at", "failed_in_a_row", "is_closed", "openings", "until")

    def __init__(self) -> None:
        self.is_closed = True
        self.until = self._early_at = self._probe_lapses_at = 0.0
        self.openings = self.failed_in_a_row = 0
        self._probe: object = None

    def state(self, now: float) -> CircuitState:
        """Return the state for metrics."""
        if self.is_closed:
            return "closed"
        return "open" if now < self.until else "half_open"

    def admits(self, now: float) -> bool:
        """Tell whether a call may be made, be it as a probe."""
        return self.is_closed or (now >= self.until and (self._probe is None or now >= self._probe_lapses_at))

    def retry_in_s(self, now: float) -> float:
        """Return after how many seconds to ask again, 0 where a call may be made."""
        if self.admits(now):
            return 0.0
        return self.until - now if now < self.until else min(_POLL_S, self._probe_lapses_at - now)

    def hasten(self, now: float) -> None:
        """Become half-open early, unless too little of the time is over or the upstream asked for it."""
        if self._early_at <= now < self.until:
            self.until = now

    def take(self, probe: object, now: float) -> None:
        """Let a call be the probe; only where `admits` said that it may be made."""
        self._probe, self._probe_lapses_at = probe, now + PROBE_S

    def free(self, probe: object) -> None:
        """Let another call be the probe. Nothing happens if another one is already."""
        if self._probe is probe:
            self._probe = None

    def open(self, now: float, settings: BreakerSettings, spread: float, not_before: float) -> None:
        """Open, for twice as long as the last time unless it was closed since.

        Args:
            now: the moment.
            settings: for how long.
            spread: 0 to 1, so that replicas do not probe together.
            not_before: moment before which the upstream asked not to be called.
        """
        open_s = min(settings.open_s * 2.0 ** min(self.failed_in_a_row, 30), settings.max_open_s)
        self.until = max(now + open_s * (0.9 + 0.2 * spread), not_before)
        self._early_at = max(now + open_s * EARLY, not_before)
        self.is_closed, self._probe = False, None
        self.openings += 1
        self.failed_in_a_row += 1

    def postpone(self, not_before: float) -> None:
        """Stay open until the upstream may be called again."""
        self.until, self._early_at = max(self.until, not_before), max(self._early_at, not_before)

    def close(self) -> None:
        """Let calls pass freely."""
        self.is_closed, self._probe, self.failed_in_a_row = True, None, 0
