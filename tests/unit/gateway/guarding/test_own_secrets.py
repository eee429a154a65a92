from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.secret import Secret
from gateway.guarding.own_secrets import secrets_of


class Section(msgspec.Struct, frozen=True):
    name: str = "x"
    key: Secret | None = None
    more: Any = None


def test_every_secret_within_settings_is_found() -> None:
    inner = {"a": Section(key=Secret("one")), "b": (Section(key=Secret("two")), [Secret("three")])}

    assert list(secrets_of(Section(name="no secret", more=inner))) == ["one", "two", "three"]


def test_settings_without_secrets_have_none() -> None:
    assert list(secrets_of(Section(more=[1, None, {"a": "b"}]))) == []
