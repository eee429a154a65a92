from __future__ import annotations

import pytest

from policies.sanitise.output.known import KnownScreen, KnownSecrets
from policies.sanitise.output.sighting import BlockedError
from tests.support.guarded import pieces

OWN = "sk-tw-" + "a1B2c3D4" * 4


def test_a_known_secret_is_found_each_time() -> None:
    text = "x upstream-key-123456, upstream-key-123456"

    found = KnownSecrets(["upstream-key-123456"]).find(text)

    assert [(one.start, one.end) for one in found] == [(2, 21), (23, 42)]


def test_a_callers_key_is_found_without_being_known() -> None:
    assert [one.rule for one in KnownSecrets().find(f"Take {OWN}.")] == ["own_secret"]


def test_short_values_are_not_looked_for() -> None:
    assert KnownSecrets(["key", ""]).find("The key is key.") == []


def test_secrets_are_not_shown() -> None:
    assert "upstream" not in repr(KnownSecrets(["upstream-key-123456"]))


def test_a_secret_is_taken_out_at_every_split() -> None:
    known = KnownSecrets(["upstream-key-123456", "upstream-other-7890"])
    text = f"up and upstream-key-123456 up{OWN} s upstream-oth"

    for first in range(len(text)):
        for second in (first, min(first + 3, len(text))):
            screen = KnownScreen(known, "redact", lambda *_: None)
            parts = (text[:first], text[first:second], text[second:])
            sent = "".join(map(screen.feed, parts)) + screen.flush()
            assert sent == "up and [REDACTED_SECRET] up[REDACTED_SECRET] s upstream-oth"


def test_no_more_is_held_back_than_what_may_become_a_secret() -> None:
    screen = KnownScreen(KnownSecrets(["upstream-key-123456"]), "redact", lambda *_: None)

    assert [screen.feed(piece) for piece in ("Hello up", "stream-", "key", "s", " are")] == [
        "Hello ", "", "", "upstream-key", "s are",
    ]  # fmt: skip


def test_a_secret_may_block() -> None:
    told = []
    screen = KnownScreen(KnownSecrets(), "block", lambda sighting, before: told.append(before + sighting.finding.start))
    screen.feed("First. ")

    with pytest.raises(BlockedError) as error:
        screen.feed(f"Take {OWN}.")

    assert error.value.passed == "Take "
    assert told == [12]


def test_a_long_secret_goes_whole() -> None:
    secret = "".join(map(str, range(1_000)))
    screen = KnownScreen(KnownSecrets([secret]), "redact", lambda *_: None)

    assert "".join(map(screen.feed, pieces(f"a{secret}b", 7))) + screen.flush() == "a[REDACTED_SECRET]b"
