from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.alerts.settings import AlertSettings
from gateway.domain.secret import Secret


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.com/T1",
        "ftp://hooks.example.com/T1",
        "https://",
        "https://user:word@hooks.example.com/T1",
        "https://hooks.example.com/T 1",
        "https://hooks.example.com:port/T1",
        "https://hooks.example.com/T1\nx: y",
    ],
)
def test_a_webhook_that_is_no_address_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="'webhook' must be") as refused:
        AlertSettings(webhook=Secret(url))

    assert url not in str(refused.value)


def test_the_webhook_is_hidden() -> None:
    settings = AlertSettings(webhook=Secret("https://hooks.example.com/T1/secret"))

    assert "secret" not in repr(settings)


@pytest.mark.parametrize("document", [{"timeout_rate": 5}, {"error_rate": 0}, {"window_s": 5}, {"min_count": 0}])
def test_absurd_thresholds_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, AlertSettings)


def test_a_threshold_can_be_turned_off() -> None:
    assert msgspec.convert({"timeout_rate": None}, AlertSettings).timeout_rate is None
