from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.experiments.settings import ShadowSettings, Split


def split(**fields: Any) -> str | Split:
    """Return a value of `aliases` as the settings file is read."""
    return msgspec.convert(fields, str | Split)


def test_a_split_names_its_arms_and_who_keeps_them() -> None:
    assert split(split={"gpt-4o": 0.95, "gpt-5": 0.05}, sticky="user") == Split(
        split={"gpt-4o": 0.95, "gpt-5": 0.05}, sticky="user"
    )


def test_an_alias_may_still_be_a_plain_name() -> None:
    assert msgspec.convert("auto", str | Split) == "auto"


def test_a_key_keeps_its_arm_unless_said_otherwise() -> None:
    assert Split(split={"a": 1}).sticky == "key"


@pytest.mark.parametrize(
    "fields",
    [
        {"split": {}},
        {"split": {"a": 0}},
        {"split": {"a": -1}},
        {"split": {"a": float("inf")}},
        {"split": {"a": float("nan")}},
        {"split": {"a": 1e308, "b": 1e308}},
        {"split": {"a": 1}, "sticky": "address"},
        {"split": {"a": 1}, "stiky": "key"},
        {},
    ],
)
def test_a_split_that_assigns_nobody_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        split(**fields)


@pytest.mark.parametrize(
    "fields", [{"share": 0}, {"share": 1.1}, {"usd_per_day": 0}, {"usd_per_day": float("inf")}, {"keep": 0}]
)
def test_a_shadow_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": "gpt-5", **fields}, ShadowSettings)
