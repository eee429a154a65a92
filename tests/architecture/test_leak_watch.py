"""The watch over what the suite logs: one that sees nothing would let everything pass."""

from __future__ import annotations

import logging

import pytest

from tests.support.confidential import WELL_KNOWN, LeakWatch, places_of, secrets_of

SECRET = WELL_KNOWN[0]


def emitted(record: logging.LogRecord) -> list[str]:
    watch = LeakWatch()
    watch.handle(record)
    return watch.take()


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("tierway", logging.ERROR, "f", 1, message, arguments, None)
    vars(made).update(extra)
    return made


@pytest.mark.parametrize(
    "leaking", [record(f"key {SECRET}"), record("key %s", SECRET), record("key", request_id=SECRET)]
)
def test_secret_that_is_logged_is_seen(leaking: logging.LogRecord) -> None:
    assert len(emitted(leaking)) == 1


def test_secret_in_a_traceback_is_seen() -> None:
    try:
        raise ValueError(SECRET)  # noqa: TRY301  a traceback is wanted
    except ValueError as error:
        leaking = logging.LogRecord("tierway", logging.ERROR, "f", 1, "failed", (), (ValueError, error, None))

    assert len(emitted(leaking)) == 1


def test_other_words_are_not_seen() -> None:
    assert emitted(record("key %s", "of nobody")) == []


def test_secrets_of_settings_are_known() -> None:
    settings = {
        "server": {"admin_key": "admin-key-0123456789"},
        "upstreams": {"one": {"api_key": "${NAME}"}, "two": {"api_key": "short"}},
        "teams": [{"secret": "caller-key-0123456789"}],
    }

    assert list(secrets_of(settings)) == ["admin-key-0123456789", "caller-key-0123456789"]


def test_what_is_reported_is_no_secret_itself() -> None:
    assert places_of([SECRET], f"a {SECRET}") == ["upst...cdef"]
