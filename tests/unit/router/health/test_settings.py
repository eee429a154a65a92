from __future__ import annotations

import msgspec
import pytest

from router.health.settings import BreakerSettings


def test_nothing_has_to_be_set() -> None:
    assert msgspec.convert({}, BreakerSettings) == BreakerSettings()


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"window_s": 0}, {"open_s": 0}, {"max_open_s": -1}, {"opne_s": 1}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, BreakerSettings)
