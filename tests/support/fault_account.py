"""What became of the requests of one scenario of faults, and whether that is as promised."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from tests.support.fault_callers import PATIENCE_S, Outcome

Bar = Literal["answered", "most", "refused"]
"""What is promised. `answered`: every request; `most`: no candidate is well all the time, so nearly every request;
`refused`: none, and each caller is told when to come back."""

MOST_RETRIES: Final = 2
"""Calls to models that a request has asked before."""

RETRY_SHARE: Final = 0.1
"""Of all requests, that may be retries."""

BURST: Final = 10
"""Retries that a gateway may make at once, on top of the share."""

_INTERNAL: Final = frozenset({"internal_error", "stage_unavailable", "limits_unavailable"})
"""Codes of errors that are the gateway's own fault."""

LEAST_ANSWERED: Final = 0.95
"""The share of requests for `most`: breakers may be open at models of which many calls fail."""

LEAST_RESTING: Final = 0.9
"""The share of requests that are refused without a call while all is dead; the others are those that find out."""


class Account(msgspec.Struct, kw_only=True):
    """What everybody says when a scenario is over.

    Attributes:
        name, bar: of the scenario.
        sent, whole, broken: requests in all, those with a whole answer, and streams that an error event ended.
        statuses: of the refused ones, with their codes.
        wrong: what callers saw that is neither.
        silent: requests that were never answered.
        unhurried: refusals with 503 that do not say when to come back.
        poisoned: requests that every model failed on, and their ends; they count nowhere else but in `sent`.
        played: how often each fault occurred; a call that was refused did not get so far.
        late: calls that the provider broke after some of a stream was sent.
        retries, most_retries, most_attempts: by the log; all of them, and of one request.
        logged, told_retries, fallbacks: lines of the log, and counts of the metrics.
        calls, again: calls that reached the provider, and those to models asked before for the same request.
        aborted, most_in_flight: calls that the gateway gave up, and calls at once at the provider.
        in_flight, held, busy: calls, holds and requests that were still open long after the last answer.
        opened: how often breakers opened.
        own_faults: what the gateway's process said of faults of its own.
        seconds: of each request that was no poison.
    """

    name: str
    bar: Bar = "answered"
    sent: int = 0
    whole: int = 0
    broken: int = 0
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    wrong: list[str] = []
    silent: int = 0
    unhurried: int = 0
    poisoned: Counter[str] = msgspec.field(default_factory=Counter)
    played: Counter[str] = msgspec.field(default_factory=Counter)
    late: int = 0
    retries: int = 0
    most_retries: int = 0
    most_attempts: int = 0
    logged: int = 0
    told_retries: int = 0
    fallbacks: int = 0
    calls: int = 0
    again: int = 0
    aborted: int = 0
    most_in_flight: int = 0
    in_flight: int = 0
    held: int = 0
    busy: int = 0
    opened: int = 0
    own_faults: list[str] = []
    seconds: list[float] = []

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what callers saw."""
        self.sent += len(outcomes)
        for one in outcomes:
            if one.status == 0:
                self.silent += 1
            if one.ask.poison:
                self.poisoned[f"{one.status} {one.code or one.end}"] += 1
                continue
            self.seconds.append(one.seconds)
            self.whole += one.end == "whole"
            self.broken += one.end == "broken"
            if one.end == "refused":
                self.statuses[f"{one.status} {one.code}"] += 1
                self.unhurried += one.status == 503 and not one.retry_after
            elif one.end == "wrong":
                self.wrong.append(f"{one.ask.id}: {one.status} after {one.seconds:.2f} s: {one.seen[-300:]!r}")

    @property
    def asked(self) -> int:
        """Requests that were no poison."""
        return self.sent - self.poisoned.total()

    def quantile_ms(self, share: float) -> float:
        """Return the milliseconds within which so many of the requests were answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0.0

    def faults(self) -> list[str]:
        """Return what should not be."""
        most = RETRY_SHARE * self.sent + BURST
        checks = {
            **self._promised(),
            f"{self.silent} requests were not answered within {PATIENCE_S:g} s": not self.silent,
            f"{len(self.wrong)} answers are wrong: {self.wrong[:3]}": not self.wrong,
            f"{self.broken} streams were broken off, {self.late} by the provider": self.broken <= self.late,
            f"one request was tried again {self.most_retries} times": self.most_retries <= MOST_RETRIES,
            f"{self.retries} retries of {self.sent} requests": self.retries <= most,
            f"{self.retries} retries in the log, {self.told_retries} in metrics": self.told_retries == self.retries,
            f"{self.logged} of {self.sent} requests are in the log": self.logged == self.sent,
            f"{self.in_flight} calls to the provider did not end": not self.in_flight,
            f"{self.held} holds are open, {self.busy} requests in flight": not (self.held or self.busy),
            f"internal errors: {self._internal()}": not self._internal(),
            f"the gateway said: {self.own_faults[:3]}": not self.own_faults,
        }
        return [what for what, holds in checks.items() if not holds]

    def _promised(self) -> dict[str, bool]:
        answered = self.whole + self.broken
        if self.bar == "answered":
            return {f"{self.asked - answered} of {self.asked} were refused: {self.statuses}": answered == self.asked}
        if self.bar == "most":
            enough = answered >= LEAST_ANSWERED * self.asked
            return {f"{answered} of {self.asked} were answered: {self.statuses}": enough}
        resting = sum(count for what, count in self.statuses.items() if what.startswith("503"))
        return {
            f"{answered} were answered by nobody": not answered,
            f"{resting} of {self.asked} got a 503: {self.statuses}": resting >= LEAST_RESTING * self.asked,
            f"{self.unhurried} were not told when to come back": not self.unhurried,
        }

    def _internal(self) -> list[str]:
        """Return answers that tell of faults of the gateway's own."""
        return [what for what in (*self.statuses, *self.poisoned) if what.partition(" ")[2] in _INTERNAL]
