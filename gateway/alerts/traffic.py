"""Counts of the requests of the last minutes, for all callers together and for each team."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from operator import add, sub
from typing import Final

from gateway.telemetry import Record

_UNWATCHED: Final = frozenset({"admin", "feedback", "health", "metrics", "models", "other", "schema"})
"""Routes on which no model is asked."""

_CALLER_LEFT: Final = 499

_UPSTREAM_FAULTS: Final = frozenset({401, 403, 408, 429})
"""Refusals of an upstream that its caller did not cause: our account there, or what the upstream can take."""

_TIMEOUTS: Final = frozenset({"upstream_timeout", "upstream_connect_timeout", "deadline_exceeded"})
_TIMED_OUT: Final = 504

_GRID_S: Final = tuple(round(0.1 * 1.25**step, 3) for step in range(40))
"""Bounds of durations, 0.1 to 600 seconds. Each is a quarter above the last: no percentile is off by more."""


def duration_bounds(*exact_s: float) -> tuple[int, ...]:
    """Return the bounds of duration bins in microseconds, ascending.

    Args:
        exact_s: seconds that must be bounds: what is judged at a bound is judged exactly.
    """
    return tuple(sorted({round(bound * 1_000_000) for bound in (*_GRID_S, *exact_s)}))


class Tally:
    """What is counted of some requests.

    Attributes:
        requests: how many ended.
        errors, timeouts: how many of them failed, and how many of those by taking too long.
        priced: how many were answered at a known price.
        cost_microusd: what those cost.
        durations: how many lasted up to each bound, and longer than the last.
    """

    __slots__ = ("cost_microusd", "durations", "errors", "priced", "requests", "timeouts")

    def __init__(self, bins: int) -> None:
        self.requests = self.errors = self.timeouts = self.priced = self.cost_microusd = 0
        self.durations = [0] * bins

    def add(self, other: Tally) -> None:
        """Count another's requests too."""
        self.requests += other.requests
        self.errors += other.errors
        self.timeouts += other.timeouts
        self.priced += other.priced
        self.cost_microusd += other.cost_microusd
        self.durations = list(map(add, self.durations, other.durations))

    def remove(self, other: Tally) -> None:
        """No longer count another's requests."""
        self.requests -= other.requests
        self.errors -= other.errors
        self.timeouts -= other.timeouts
        self.priced -= other.priced
        self.cost_microusd -= other.cost_microusd
        self.durations = list(map(sub, self.durations, other.durations))

    def percentile_s(self, share: float, bounds: Sequence[int]) -> float:
        """Return the seconds that a share of the requests stay within, 0 without any.

        The rank's bin is exact, its place within the bin is interpolated.
        """
        wanted = -(-self.requests * share // 1)
        passed, low = 0, 0
        for count, high in zip(self.durations, (*bounds, 2 * bounds[-1]), strict=True):
            if count and passed + count >= wanted:
                return (low + (high - low) * (wanted - passed) / count) / 1_000_000
            passed, low = passed + count, high
        return 0.0


_Bucket = dict[str | None, Tally]
"""Team to its tally; None for teams beyond those that are watched, and for requests of no team."""


class TrafficWindow:
    """The requests of the last `window_s` seconds, in buckets that `turn` closes.

    Memory is bounded by teams and buckets, not by requests. `observe` reads no clock: a request belongs to the bucket
    that is open, and a bucket counts until `window_s` seconds after it was closed.

    Args:
        window_s: seconds, > 0.
        bounds: of durations, in microseconds.
        teams: how many are watched apart from the rest; one that sent nothing in the window makes room for another.
    """

    def __init__(self, window_s: float, bounds: Sequence[int], teams: int) -> None:
        self._window_s = window_s
        self._bounds = bounds
        self._most_teams = teams
        self._open: _Bucket = {}
        self._closed: deque[tuple[float, _Bucket]] = deque()
        self.overall = Tally(len(bounds) + 1)
        self._totals: _Bucket = {}
        self._watched: set[str] = set()

    def observe(self, record: Record) -> None:
        """Count one request that has ended; 0.3 us, 0.7 us for teams that are not watched (measured, CPython 3.11)."""
        status = record.status
        is_upstreams = record.source == "provider" and status in _UPSTREAM_FAULTS
        if record.route in _UNWATCHED or (400 <= status < _CALLER_LEFT and not is_upstreams):
            return
        tally = self._open.get(record.team) or self._tally_of(record.team)
        tally.requests += 1
        # An answer whose head was out before it failed has a status of success and the code of its error.
        if is_upstreams or status >= 500 or (record.code and status != _CALLER_LEFT):
            tally.errors += 1
            if status == _TIMED_OUT or record.code in _TIMEOUTS:
                tally.timeouts += 1
        elif record.cost_microusd is not None:
            tally.priced += 1
            tally.cost_microusd += record.cost_microusd
        tally.durations[bisect_left(self._bounds, record.duration_us)] += 1

    def turn(self, now: float) -> None:
        """Close the open bucket and forget those that are too old.

        Args:
            now: seconds of a clock that never goes back.
        """
        bucket, self._open = self._open, {}
        for team, tally in bucket.items():
            self.overall.add(tally)
            self._total_of(team).add(tally)
        self._closed.append((now, bucket))
        while self._closed[0][0] <= now - self._window_s:
            for team, tally in self._closed.popleft()[1].items():
                self.overall.remove(tally)
                self._total_of(team).remove(tally)
        self._totals = {team: total for team, total in self._totals.items() if total.requests}
        self._watched = {team for team in self._totals if team}

    def teams(self) -> Mapping[str, Tally]:
        """Return the watched teams that sent requests in the window."""
        return {team: total for team, total in self._totals.items() if team}

    def tallies(self) -> int:
        """Return how many tallies are kept."""
        return 1 + len(self._totals) + len(self._open) + sum(len(bucket) for _, bucket in self._closed)

    def _total_of(self, team: str | None) -> Tally:
        total = self._totals.get(team)
        if total is None:
            total = self._totals[team] = Tally(len(self._bounds) + 1)
        return total

    def _tally_of(self, team: str) -> Tally:
        """Return the open tally of a team that has none of its own yet, or may not have one."""
        kept: str | None = None
        if team and (team in self._watched or len(self._watched) < self._most_teams):
            self._watched.add(team)
            kept = team
        tally = self._open.get(kept)
        if tally is None:
            tally = self._open[kept] = Tally(len(self._bounds) + 1)
        return tally
