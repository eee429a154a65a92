"""What operators are told: changes of alerts, in words and as JSON that Slack and programs understand."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

import msgspec

from gateway.alerts.rules import Rule, Unit

_MAX_SUBJECT_CHARACTERS: Final = 120
"""Subjects may hold what callers call themselves."""

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""Slack's three control characters, by which a text would mention people or link elsewhere
(docs.slack.dev, "Formatting message text", 2026-11)."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that fired or was resolved.

    Attributes:
        key: the same for every change of one alert, so that a receiver can put them together.
        since: seconds since the epoch at which it fired.
        summary: all of it in one line.
    """

    key: str
    alert: str
    subject: str
    state: Literal["firing", "resolved"]
    value: float | None
    threshold: float
    unit: Unit
    since: float
    summary: str


class Notification(msgspec.Struct, frozen=True):
    """What is sent at once.

    Attributes:
        id: unique, so that a receiver can drop what arrived twice.
        at: seconds since the epoch.
    """

    id: str
    at: float
    changes: tuple[Change, ...]

    def body(self) -> bytes:
        """Return the JSON that is posted: `text` for Slack and its like, `tierway` for programs."""
        lines = [f"*{change.state.upper()}* {change.summary}".translate(_ESCAPES) for change in self.changes]
        own = {"version": 1, "id": self.id, "at": _iso(self.at), "changes": [_shown(one) for one in self.changes]}
        return msgspec.json.encode({"text": "\n".join(lines), "tierway": own})


def summary(rule: Rule, subject: str, value: float | None, threshold: float, lasted_s: float | None = None) -> str:
    """Return a line that says what an alert is about.

    Args:
        rule: which.
        subject: whose.
        value: what was measured, None for nothing.
        threshold: what it is compared with.
        lasted_s: for how many seconds it fired, where it is over.
    """
    measured = "nothing to measure now" if value is None else rule.words.format(written(value, rule.unit))
    over = "" if lasted_s is None else f", after {written(lasted_s, 's')}"
    subject = _printable(subject)
    return f"{rule.name} of {subject}: {measured} (threshold {written(threshold, rule.unit)}){over}"


def written(value: float, unit: Unit) -> str:
    """Return a value as people write it: `7.5 %`, `0.55 USD`, `3 h 10 min`, `16.4 s`."""
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "usd":
        return f"{value:.2f} USD" if value >= 1 else f"{value:.4g} USD"
    if value < 60:
        return f"{value:.1f} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _shown(change: Change) -> dict[str, object]:
    return {**msgspec.structs.asdict(change), "since": _iso(change.since)}


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_SUBJECT_CHARACTERS])


def _iso(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
