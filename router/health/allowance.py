"""What may be spent on extra calls: a share of the traffic, so that retries and hedges never become a storm."""

from __future__ import annotations

import math
from typing import Final

RETRY_SHARE: Final = 0.1
"""Retries a request: at most a tenth on top while an upstream is down."""

HEDGE_SHARE: Final = 0.02
"""Hedges a request. Those after the 95th percentile would be 0.05 if each slow call were hedged."""

_UNIT: Final = 1_000_000_000
"""Parts of a token: shares are added up as whole numbers, so that the bound is exact."""


class Allowance:
    """A token bucket that requests fill and extra calls empty. Time fills nothing.

    At every moment, and within every stretch of time, `taken <= share * earned + burst` (compare Finagle's RetryBudget,
    com.twitter.finagle.service). It starts full: the first request may be retried.

    Args:
        share: tokens a request earns, >= 0; what is below a billionth is cut off.
        burst: tokens it holds at most, >= 0.

    Attributes:
        earned: requests that earned.
        taken: tokens that were taken.
        denied: how often there was none.
    """

    __slots__ = ("_burst", "_share", "_tokens", "denied", "earned", "taken")

    def __init__(self, share: float, burst: int) -> None:
        self._share = math.floor(share * _UNIT)
        self._burst = self._tokens = burst * _UNIT
        self.earned = self.taken = self.denied = 0

    def earn(self) -> None:
        """Count a request, once whatever becomes of it."""
        self.earned += 1
        self._tokens = min(self._tokens + self._share, self._burst)

    def take(self) -> bool:
        """Take a token for an extra call; False where there is none, and the call must not be made."""
        if self._tokens < _UNIT:
            self.denied += 1
            return False
        self._tokens -= _UNIT
        self.taken += 1
        return True
