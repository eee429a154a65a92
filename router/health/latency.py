"""How fast a deployment answers: a mean that jumps to peaks, and the quantiles of its last answers."""

from __future__ import annotations

import math
from typing import Final

DECAY_S: Final = 10.0
"""Seconds after which a peak has faded to 1/e: Finagle's default for its balancers (com.twitter.finagle.loadbalancer,
PeakEwma)."""

MEMORY: Final = 256
"""First bytes that quantiles are taken of."""

FRESH: Final = 32
"""New ones after which quantiles are computed again: sorting 256 numbers takes about 15 us."""

FEWEST: Final = 20
"""First bytes before there is a quantile: with fewer, the 95th percentile is the slowest one."""


class PeakEwma:
    """An exponentially weighted mean of seconds that a slower answer replaces at once, while faster ones pull slowly.

    Peak-sensitive, so that a deployment that stalls loses its traffic with its first slow answer, and fading with time
    alone, so that it is tried again (Finagle's PeakEwma).
    """

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._at = self._seconds = 0.0

    def observe(self, seconds: float, now: float) -> None:
        """Take in one answer."""
        if seconds >= self._seconds:
            self._seconds = seconds
        else:
            weight = math.exp((self._at - now) / DECAY_S) if now > self._at else 1.0
            self._seconds = self._seconds * weight + seconds * (1.0 - weight)
        self._at = now

    def read(self, now: float) -> float:
        """Return the mean, faded since the last answer; 0 before the first one."""
        return self._seconds * math.exp((self._at - now) / DECAY_S) if now > self._at else self._seconds


class FirstBytes:
    """The seconds to the first byte of the last `MEMORY` answers."""

    __slots__ = ("_fresh", "_next", "_seconds", "_sorted")

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._sorted: list[float] = []
        self._next = self._fresh = 0

    def add(self, seconds: float) -> None:
        """Take in one answer."""
        self._fresh += 1
        if len(self._seconds) < MEMORY:
            self._seconds.append(seconds)
            return
        self._seconds[self._next] = seconds
        self._next = (self._next + 1) % MEMORY

    def quantile(self, q: float) -> float | None:
        """Return the seconds within which a share of the answers began; None while fewer than `FEWEST` are known.

        Up to `FRESH` of the latest answers may not count yet.

        Args:
            q: the share, above 0 and up to 1; the nearest rank counts.
        """
        if len(self._seconds) < FEWEST:
            return None
        if self._fresh >= FRESH or not self._sorted:
            self._sorted, self._fresh = sorted(self._seconds), 0
        return self._sorted[max(0, math.ceil(q * len(self._sorted)) - 1)]
