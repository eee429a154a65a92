from __future__ import annotations

from gateway.domain.secret import Secret


def test_a_secret_is_hidden_wherever_it_is_printed() -> None:
    secret = Secret("sk-hidden")

    shown = f"{secret} {secret!r} {[secret]} %s" % (secret,)

    assert "sk-hidden" not in shown


def test_a_secret_is_revealed_on_purpose() -> None:
    assert Secret("sk-hidden").reveal() == "sk-hidden"


def test_secrets_are_equal_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
