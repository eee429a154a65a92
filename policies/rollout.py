"""How an edit of the organisation comes into force: tried first, then watched, and taken back when denials rise."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    LoginThrottledError,
    NotPermittedError,
    RateLimitedError,
)
from policies.settings import OrganisationSettings
from policies.staging import Tally, carried_over

Phase = Literal["settled", "shadow", "watch", "rolled_back"]
"""`settled`: nothing is under way. `shadow`: new rules are tried. `watch`: they are in force, and denials are watched.
`rolled_back`: they were taken back, and the rules before them are in force."""

BUCKET_S: Final = 10.0
"""How exactly the time before an edit is known, in seconds."""

MAX_BUCKETS: Final = 8_640
"""The longest time before an edit that is looked at: a day."""


class Denials(msgspec.Struct):
    """How many requests there were, and how many policy denied."""

    requests: int = 0
    denied: int = 0

    @property
    def share(self) -> float:
        """Return the part that was denied, 0 to 1."""
        return self.denied / self.requests if self.requests else 0.0

    def note(self, *, is_denied: bool) -> None:
        """Count a request."""
        self.requests += 1
        self.denied += is_denied


class Step(msgspec.Struct, frozen=True):
    """What an edit changes at once.

    Attributes:
        wanted: what the file says.
        in_force: what holds from now on.
        tried: what is only tried, None for nothing.
        is_new: whether the rules change, now or after the trial.
    """

    wanted: OrganisationSettings
    in_force: OrganisationSettings
    tried: OrganisationSettings | None
    is_new: bool


class Rollout:
    """Knows which rules are in force. Each process has its own; one that starts serves its file at once.

    Args:
        in_force: what the process starts with.
        clock: seconds, never going back.

    Attributes:
        in_force: the organisation whose rules hold.
        tried: the one that is tried, None where none is.
        phase: where the last edit stands.
        complaint: why the file's rules are not in force, empty when they are or will be.
        rolled_back: how often rules were taken back.
        tally: whom the tried rules would deny.
        before, after: denials before the rules came into force, and since.
    """

    def __init__(self, in_force: OrganisationSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_force = in_force
        self.tried: OrganisationSettings | None = None
        self.phase: Phase = "settled"
        self.complaint = ""
        self.rolled_back = 0
        self.tally = Tally()
        self.before, self.after = Denials(), Denials()
        self._clock = clock
        self._previous = in_force
        self._rejected: OrganisationSettings | None = None
        self._until = 0.0
        self._bucket = -1
        self._latest = Denials()
        self._past: deque[tuple[int, Denials]] = deque(maxlen=MAX_BUCKETS)

    @property
    def ends_in_s(self) -> float | None:
        """Return the seconds until the phase ends by itself, None where it does not."""
        return max(0.0, self._until - self._clock()) if self.phase in ("shadow", "watch") else None

    def plan(self, wanted: OrganisationSettings) -> Step:
        """Return what an edit would change at once; nothing changes yet, as building what it needs may fail."""
        held = carried_over(self.in_force, wanted)
        is_new = held != wanted
        if not is_new or (wanted.staging.shadow_s <= 0 and wanted != self._rejected):
            return Step(wanted, wanted, None, is_new)
        return Step(wanted, held, None if wanted == self._rejected else wanted, is_new)

    def begin(self, step: Step) -> None:
        """Take a planned step. An edit of other sections than the organisation leaves the phase as it is."""
        if step.wanted in (self._rejected, self.tried):
            self.in_force = step.in_force
            return
        self._rejected, self.complaint = None, ""
        if not step.is_new:
            if self.phase != "watch":
                self.phase, self.tried = "settled", None
            self.in_force = step.in_force
            return
        self.tried = step.tried
        if step.tried is None:
            self._enforce(step.in_force)
            return
        self.in_force = step.in_force
        self.phase = "shadow"
        self.tally.clear()
        self._until = self._clock() + step.tried.staging.shadow_s

    def note(self, *, is_denied: bool) -> None:
        """Count a request that policies had a word on; in about 0.3 us."""
        bucket = int(self._clock() / BUCKET_S)
        if bucket != self._bucket:
            self._bucket, self._latest = bucket, Denials()
            self._past.append((bucket, self._latest))
        self._latest.note(is_denied=is_denied)
        if self.phase == "watch":
            self.after.note(is_denied=is_denied)

    def tick(self) -> bool:
        """Go on where it is time; to be called about once a second.

        Returns:
            Whether other rules are in force now.
        """
        if self.phase == "shadow" and self._clock() >= self._until and self.tried is not None:
            self._enforce(self.tried)
            return True
        if self.phase == "watch":
            if self._is_worse():
                self._roll_back()
                return True
            if self._clock() >= self._until:
                self.phase = "settled"
        return False

    def _enforce(self, wanted: OrganisationSettings) -> None:
        self._previous, self.in_force, self.tried = self.in_force, wanted, None
        self.phase = "settled"
        if wanted.staging.max_denial_rise is not None:
            self.phase = "watch"
            self.before, self.after = self._recent(wanted.staging.watch_s), Denials()
            self._until = self._clock() + wanted.staging.watch_s

    def _roll_back(self) -> None:
        rejected = self.in_force
        self._rejected = rejected
        self.in_force = carried_over(self._previous, rejected)
        self.phase = "rolled_back"
        self.rolled_back += 1
        self.complaint = (
            f"organisation: taken back, as it denied {self.after.share:.0%} of {self.after.requests} requests after "
            f"{self.before.share:.0%} of {self.before.requests} before; the rules before it are in force until it is "
            "edited"
        )

    def _is_worse(self) -> bool:
        staging = self.in_force.staging
        if staging.max_denial_rise is None or min(self.before.requests, self.after.requests) < staging.min_count:
            return False
        return self.after.share - self.before.share > staging.max_denial_rise

    def _recent(self, seconds: float) -> Denials:
        first = int((self._clock() - seconds) / BUCKET_S)
        found = [one for bucket, one in self._past if bucket > first]
        return Denials(sum(one.requests for one in found), sum(one.denied for one in found))


def is_denial(error: GatewayError | None) -> bool:
    """Tell whether a request was denied by policy, rather than by a wrong key, an upstream or its own faults."""
    return isinstance(error, RateLimitedError | BudgetExhaustedError | NotPermittedError) and not isinstance(
        error, LoginThrottledError
    )
