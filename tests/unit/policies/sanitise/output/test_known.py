from __future__ import annotations

from policies.sanitise.output.known import KnownSecrets

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
