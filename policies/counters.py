"""How much of a meter is used: a running total over buckets that leave one by one."""

from __future__ import annotations

from collections import deque
from typing import Final

from policies.meters import Unit
from policies.windows import TotalWindow, Window

STEP_BACK_MS: Final = 3_600_000
"""How far a clock may jump back while the newest bucket stays the newest, at most; see `Counter`."""

_NEVER_MS: Final = 1 << 62


class Bucket:
    """What was counted in one stretch of a window.

    Attributes:
        id: as the window names it.
        amount: what counts, >= 0.
        is_live: False once it has left the window; what is done to it then changes nothing.
    """

    __slots__ = ("amount", "id", "is_live")

    def __init__(self, bucket_id: int, amount: int = 0) -> None:
        self.id, self.amount, self.is_live = bucket_id, amount, True


class Counter:
    """What is used of one meter. Look at it only after `advance`, which is due outside `since_ms <= now < until_ms`.

    When the clock steps back by no more than the window's length and `STEP_BACK_MS`, time stands still here until it
    has caught up. After a longer step all buckets are moved back together: they stay as old as they were, and none of
    them counts for longer than its window from then on.

    Attributes:
        total: what is used, >= 0.
        buckets: those that count, oldest first; ids ascend.
        newest: the bucket under way, None while nothing was counted in it.
        is_dropped: True once its store has forgotten it: it must be looked up again.
        since_ms, until_ms: the stretch of the bucket under way.
    """

    __slots__ = (
        "_current",
        "_leaves_at",
        "buckets",
        "is_dropped",
        "key",
        "newest",
        "since_ms",
        "total",
        "unit",
        "until_ms",
        "window",
    )

    def __init__(self, key: str, unit: Unit, window: Window | None) -> None:
        self.key, self.unit = key, unit
        self.window = window
        self.total = 0
        self.buckets: deque[Bucket] = deque()
        self.newest: Bucket | None = None
        self.is_dropped = False
        self._current, self._leaves_at = 0, 0.0
        # A window that never moves is under way for ever; any other has not begun, so that the first look advances it.
        is_still = window is None or isinstance(window, TotalWindow)
        self.since_ms, self.until_ms = -_NEVER_MS, _NEVER_MS if is_still else -_NEVER_MS

    def advance(self, at_ms: int) -> None:
        """Let go of what has left the window at a moment."""
        window = self.window
        if window is None or isinstance(window, TotalWindow):
            return
        if at_ms < self.since_ms:
            if self.since_ms - at_ms <= min(window.span_ms, STEP_BACK_MS):
                return
            self._move_back(window.bucket(at_ms))
        buckets = self.buckets
        while buckets and window.expires_ms(buckets[0].id) <= at_ms:
            gone = buckets.popleft()
            gone.is_live = False
            self.total -= gone.amount
        self._begin(window.bucket(at_ms))

    def open(self) -> Bucket:
        """Return the bucket under way, making it if nothing was counted in it."""
        if self.newest is None:
            self.newest = Bucket(self._current)
            self.buckets.append(self.newest)
        return self.newest

    def put_back(self, buckets: list[tuple[int, int]]) -> dict[int, Bucket]:
        """Take over the ids and amounts of another counter's buckets, oldest first; return them by id."""
        self.buckets.extend(Bucket(bucket_id, amount) for bucket_id, amount in buckets)
        self.total = sum(bucket.amount for bucket in self.buckets)
        if self.buckets:
            self._begin(self.buckets[-1].id)
        return {bucket.id: bucket for bucket in self.buckets}

    def resets_at(self, now: float) -> float | None:
        """Return when all that counts now has left, seconds since the epoch; see `Standing`."""
        window = self.window
        if window is None or isinstance(window, TotalWindow):
            return None
        if self.newest is not None:
            return self._leaves_at
        return window.expires_ms(self.buckets[-1].id) / 1000.0 if self.total else now

    def wait_s(self, amount: int, cap: int, now: float) -> float | None:
        """Return the seconds until an amount that does not fit would, None where waiting does not help.

        Concurrency is not asked: nobody knows when a call ends.
        """
        window = self.window
        if amount > cap or window is None or isinstance(window, TotalWindow):
            return None
        excess = self.total + amount - cap
        for bucket in self.buckets:
            excess -= bucket.amount
            if excess <= 0:
                return max(0.0, window.expires_ms(bucket.id) / 1000.0 - now)
        return 0.0

    def _move_back(self, current: int) -> None:
        # A calendar window has one bucket, which takes the new period's id; the others keep their distances.
        by = self._current - current
        for bucket in self.buckets:
            bucket.id -= by

    def _begin(self, current: int) -> None:
        window = self.window
        self._current = current
        self.newest = self.buckets[-1] if self.buckets and self.buckets[-1].id == current else None
        if window is not None and not isinstance(window, TotalWindow):
            self.since_ms, self.until_ms = window.starts_ms(current), window.ends_ms(current)
            self._leaves_at = window.expires_ms(current) / 1000.0
