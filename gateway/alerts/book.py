"""The alerts that are not at rest: which state each is in, and what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec

from gateway.alerts.notification import Change, summary
from gateway.alerts.rules import Reading, Rule

State = Literal["inactive", "pending", "firing", "resolved"]
"""Nothing is wrong; a threshold is passed, but not yet for long; it was for long enough; it is no longer."""

KEEP_RESOLVED_S: Final = 3600.0
"""Seconds for which an alert that was resolved is still shown."""

MOST: Final = 1000
"""Alerts that are followed at once; further ones are counted."""


class Moment(msgspec.Struct, frozen=True):
    """A point in time.

    Attributes:
        tick: seconds of a clock that never goes back; durations are measured on it.
        at: seconds since the epoch, to be shown.
    """

    tick: float
    at: float


class AlertView(msgspec.Struct, frozen=True):
    """How an alert stands.

    Attributes:
        key: the same for every change of one alert.
        subject: whose: `all`, `team 'search'`, or a budget.
        since: seconds since the epoch at which it came into its state.
    """

    key: str
    alert: str
    subject: str
    state: State
    since: float
    value: float | None
    threshold: float
    unit: str


class Alert:
    """One rule for one subject. It fires and is resolved only after the rule's `for_s` seconds."""

    def __init__(self, rule: Rule, key: str, subject: str, now: Moment) -> None:
        self.rule = rule
        self.key = key
        self.subject = subject
        self.state: State = "inactive"
        self._since = now
        self._fired = now
        self._cleared: Moment | None = None
        self._reading = Reading(None, 0.0, is_breached=False, is_cleared=True)

    def take(self, reading: Reading, now: Moment) -> Change | None:
        """Take in a reading; return what operators should be told, None for nothing."""
        self._reading = reading
        if self.state == "firing":
            return self._go_on(reading, now)
        if not reading.is_breached:
            if self.state == "pending":
                self._turn("inactive", now)
            return None
        if self.state != "pending":
            self._turn("pending", now)
        if now.tick - self._since.tick < self.rule.for_s:
            return None
        self._turn("firing", now)
        self._fired, self._cleared = now, None
        return self._change("firing", now)

    def is_over(self, now: Moment) -> bool:
        """Tell whether nobody needs to see it any more."""
        if self.state == "resolved":
            return now.tick - self._since.tick >= KEEP_RESOLVED_S
        return self.state == "inactive"

    def view(self) -> AlertView:
        """Return how it stands."""
        reading, rule = self._reading, self.rule
        return AlertView(
            self.key, rule.name, self.subject, self.state, self._since.at, reading.value, reading.threshold, rule.unit
        )

    def _go_on(self, reading: Reading, now: Moment) -> Change | None:
        if not reading.is_cleared:
            self._cleared = None
            return None
        self._cleared = self._cleared or now
        if now.tick - self._cleared.tick < self.rule.for_s:
            return None
        self._turn("resolved", now)
        return self._change("resolved", now)

    def _turn(self, state: State, now: Moment) -> None:
        self.state, self._since = state, now

    def _change(self, state: Literal["firing", "resolved"], now: Moment) -> Change:
        rule, value, threshold = self.rule, self._reading.value, self._reading.threshold
        lasted_s = now.tick - self._fired.tick if state == "resolved" else None
        return Change(
            key=self.key,
            alert=rule.name,
            subject=self.subject,
            state=state,
            value=value,
            threshold=threshold,
            unit=rule.unit,
            since=self._fired.at,
            summary=summary(rule, self.subject, value, threshold, lasted_s),
        )


class AlertBook:
    """Follows alerts, at most `MOST` besides those that are always shown.

    Attributes:
        overlooked: how often an alert was not followed, as there were too many.
    """

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._shown: set[str] = set()
        self._changes: list[Change] = []
        self.overlooked = 0

    def take(
        self, rule: Rule, identity: str, subject: str, reading: Reading, now: Moment, *, is_shown: bool = False
    ) -> None:
        """Take in what a rule reads of a subject.

        Args:
            rule: which.
            identity: of the subject, unique within the rule.
            subject: as it is shown.
            reading: of now.
            now: the moment.
            is_shown: whether the alert is listed even while nothing is wrong.
        """
        key = f"{rule.name}:{identity}"
        alert = self._alerts.get(key)
        if alert is None:
            if not (reading.is_breached or is_shown) or not self._has_room(is_shown=is_shown):
                return
            alert = self._alerts[key] = Alert(rule, key, subject, now)
            if is_shown:
                self._shown.add(key)
        change = alert.take(reading, now)
        if change is not None:
            self._changes.append(change)
        if key not in self._shown and alert.is_over(now):
            del self._alerts[key]

    def end_missing(self, rules: Iterable[Rule], seen: Collection[str], now: Moment) -> None:
        """Let the alerts of some rules end whose subjects are gone.

        Args:
            rules: which.
            seen: identities of the subjects that are there.
            now: the moment.
        """
        names = {rule.name for rule in rules}
        for alert in list(self._alerts.values()):
            identity = alert.key.partition(":")[2]
            if alert.rule.name in names and identity not in seen and alert.key not in self._shown:
                gone = Reading(None, alert.view().threshold, is_breached=False, is_cleared=True)
                self.take(alert.rule, identity, alert.subject, gone, now)

    def changes(self) -> tuple[Change, ...]:
        """Return what changed since the last call, each change once."""
        changes, self._changes = tuple(self._changes), []
        return changes

    def views(self) -> list[AlertView]:
        """Return every alert that is followed."""
        return [alert.view() for alert in self._alerts.values()]

    def _has_room(self, *, is_shown: bool) -> bool:
        """Make room for one more alert where one is only shown because it was resolved lately."""
        if is_shown or len(self._alerts) - len(self._shown) < MOST:
            return True
        for key, alert in self._alerts.items():
            if alert.state == "resolved" and key not in self._shown:
                del self._alerts[key]
                return True
        self.overlooked += 1
        return False
