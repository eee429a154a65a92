"""The gateway killed under load; `make soak-kill` does it fifty times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.budget_race import state_of
from tests.soak.kill import OnExpiry, kill_under_load

KILLS = 3


@pytest.mark.parametrize(
    ("store", "on_expiry"), [("sqlite", "charge"), ("sqlite", "release"), ("redis", "charge"), ("redis", "release")]
)
async def test_what_was_answered_is_settled_and_what_was_not_is_charged_once(
    store: str, on_expiry: OnExpiry, tmp_path: Path
) -> None:
    with state_of(store) as state:
        account = await kill_under_load(tmp_path, state, kills=KILLS, on_expiry=on_expiry)

    assert account.faults() == []
