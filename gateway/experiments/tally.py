"""Counts of what became of requests, by experiment and arm."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Final

from gateway.experiments.intervals import NOTHING, Interval, Moments, Z

MOST_ARMS: Final = 1000
"""Arms that are counted; requests of further ones are not."""

MOST_SUBJECTS: Final = 1000
"""Subjects that are counted one by one in an arm: enough to say that there are enough."""

_BOUNDS_US: Final = tuple(round(1000 * 1.1**step) for step in range(145))
"""Bounds of times, 1 ms to 15 minutes. Each is a tenth above the last: no percentile is off by more."""


class Times:
    """How many times are within each bound, from which percentiles are read."""

    __slots__ = ("bins", "count")

    def __init__(self) -> None:
        self.bins = [0] * (len(_BOUNDS_US) + 1)
        self.count = 0

    def add(self, seconds: float) -> None:
        """Take a time in, 0 or more."""
        self.bins[bisect_left(_BOUNDS_US, seconds * 1_000_000)] += 1
        self.count += 1

    def percentile_s(self, share: float) -> Interval:
        """Return the seconds that a share of the times stay within.

        Its bounds are those of ranks: the number of times below the true percentile is binomial, so that the interval
        assumes nothing of how times are spread (Conover, Practical Nonparametric Statistics, 3rd edition, 3.2).
        """
        if not self.count:
            return NOTHING
        reach = Z * sqrt(self.count * share * (1 - share))
        rank = self.count * share
        is_inside = rank - reach >= 1 and rank + reach <= self.count
        low, high = (self._at(rank - reach), self._at(rank + reach)) if is_inside else (None, None)
        return Interval(self._at(rank), low, high)

    def _at(self, rank: float) -> float:
        passed, low = 0, 0
        for count, high in zip(self.bins, (*_BOUNDS_US, 2 * _BOUNDS_US[-1]), strict=True):
            if count and passed + count >= rank:
                return (low + (high - low) * max(rank - passed, 0.0) / count) / 1_000_000
            passed, low = passed + count, high
        return low / 1_000_000


class ArmTally:
    """What is counted of the requests of one arm.

    Attributes:
        requests: how many ended.
        errors: how many of them the model did not answer.
        costs: micro-dollars, of those with a known price.
        first_bytes: from the request's head to the first byte of its answer.
        feedback: scores of callers, 0 to 1.
        subjects: hashes of who was assigned, up to `MOST_SUBJECTS`.
    """

    __slots__ = ("costs", "errors", "feedback", "first_bytes", "requests", "subjects")

    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.costs, self.feedback = Moments(), Moments()
        self.first_bytes = Times()
        self.subjects: set[int] = set()


class Tally:
    """Counts the requests of experiments since it was made; bounded by arms, not by requests.

    Args:
        experiments: the arms of each experiment, by its name; shown from the start, with zeros. Others are counted too
            once they have requests: those that were under way when the settings changed.

    Attributes:
        overlooked: requests that were not counted, as there are too many arms.
    """

    def __init__(self, experiments: Mapping[str, Iterable[str]] = {}) -> None:
        self.overlooked = 0
        self._arms: dict[tuple[str, str], ArmTally] = {}
        self.follow(experiments)

    def follow(self, experiments: Mapping[str, Iterable[str]]) -> None:
        """Count for other experiments from now on; what arms that are in both have counted stays."""
        names = [(experiment, arm) for experiment, arms in experiments.items() for arm in arms]
        self._arms = {name: self._arms.get(name) or ArmTally() for name in names[:MOST_ARMS]}

    def add(
        self,
        experiment: str,
        arm: str,
        subject: str,
        *,
        failed: bool,
        cost_microusd: int | None,
        first_byte_s: float,
    ) -> None:
        """Count one request that has ended; 0.5 us (measured, CPython 3.11).

        Args:
            experiment: the alias.
            arm: what it stood for.
            subject: who keeps the arm.
            failed: whether the model failed. A request that was refused, or whose caller left, is not counted at all.
            cost_microusd: what it cost, None where that is not known.
            first_byte_s: seconds to the first byte of an answer; not looked at where there was none.
        """
        tally = self._arms.get((experiment, arm)) or self._of(experiment, arm)
        if tally is None:
            return
        tally.requests += 1
        if len(tally.subjects) < MOST_SUBJECTS:
            tally.subjects.add(hash(subject))
        if failed:
            tally.errors += 1
            return
        tally.first_bytes.add(first_byte_s)
        if cost_microusd is not None:
            tally.costs.add(cost_microusd)

    def hear(self, experiment: str, arm: str, score: float, replaced: float | None = None) -> None:
        """Count what a caller said of an answer, 0 to 1, in place of what they said of it before."""
        tally = self._arms.get((experiment, arm)) or self._of(experiment, arm)
        if tally is None:
            return
        if replaced is not None and tally.feedback.count:
            tally.feedback.remove(replaced)
        tally.feedback.add(score)

    def experiments(self) -> Mapping[str, Sequence[tuple[str, ArmTally]]]:
        """Return the arms of each experiment."""
        found: dict[str, list[tuple[str, ArmTally]]] = {}
        for (experiment, arm), tally in self._arms.items():
            found.setdefault(experiment, []).append((arm, tally))
        return found

    def _of(self, experiment: str, arm: str) -> ArmTally | None:
        if len(self._arms) >= MOST_ARMS:
            self.overlooked += 1
            return None
        return self._arms.setdefault((experiment, arm), ArmTally())
