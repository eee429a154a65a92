from __future__ import annotations

import json

import pytest

from gateway.alerts.notification import Change, Notification, summary, written
from gateway.alerts.rules import Rule

RULE = Rule("error_rate", "share", "{} of requests failed", 60.0)


def change(subject: str = "all") -> Change:
    return Change(
        key="error_rate:all",
        alert="error_rate",
        subject=subject,
        state="firing",
        value=0.25,
        threshold=0.1,
        unit="share",
        since=0.0,
        summary=summary(RULE, subject, 0.25, 0.1),
    )


def test_a_notification_speaks_to_slack_and_to_programs() -> None:
    body = json.loads(Notification("n-1", 60.0, (change(), change("team 'a'"))).body())

    assert body["text"].splitlines() == [
        "*FIRING* error_rate of all: 25.0 % of requests failed (threshold 10.0 %)",
        "*FIRING* error_rate of team 'a': 25.0 % of requests failed (threshold 10.0 %)",
    ]
    assert body["tierway"]["id"] == "n-1"
    assert body["tierway"]["at"] == "1970-01-01T00:01:00+00:00"
    assert body["tierway"]["changes"][0] == {
        "key": "error_rate:all",
        "alert": "error_rate",
        "subject": "all",
        "state": "firing",
        "value": 0.25,
        "threshold": 0.1,
        "unit": "share",
        "since": "1970-01-01T00:00:00+00:00",
        "summary": "error_rate of all: 25.0 % of requests failed (threshold 10.0 %)",
    }


def test_a_subject_that_callers_name_cannot_mention_or_link() -> None:
    body = json.loads(Notification("n-1", 0.0, (change("user '<!channel> & <https://evil|x>\n*FIRING*'"),)).body())

    assert "<" not in body["text"]
    assert "&lt;!channel&gt; &amp;" in body["text"]
    assert "\n" not in body["text"]


def test_a_long_subject_is_cut() -> None:
    assert len(summary(RULE, "x" * 10_000, 0.25, 0.1)) < 250


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.05, "share", "5.0 %"),
        (1.5, "usd", "1.50 USD"),
        (0.5512, "usd", "0.5512 USD"),
        (0.0, "usd", "0 USD"),
        (15.04, "s", "15.0 s"),
        (125.0, "s", "2 min"),
        (10_800.0, "s", "3 h 0 min"),
    ],
)
def test_values_are_written_as_people_do(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text  # type: ignore[arg-type]  # parametrised
