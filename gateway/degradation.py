"""What happens when a part is lost, as the settings have it: the table that `/readyz` shows and tests enforce."""

from __future__ import annotations

from typing import Final

from gateway.settings import Settings
from policies.settings import LostState, OnLost

_LOST: Final[dict[OnLost, str]] = {
    "deny": "requests that they count are refused with 503 limits_unavailable",
    "share": "they go on with this replica's share, cap divided by replicas",
}


def degradation(settings: Settings) -> dict[str, str]:
    """Return what happens to requests when a part is lost, by part."""
    table = {
        "upstream": "the next candidate of the tier answers, else 502 to 504",
        "telemetry": "log lines are dropped and counted; nothing waits for them",
        "process": _killed(settings),
        "keys": "the last good keys stay in force",
    }
    if settings.state.startswith("sqlite:"):
        table["disk"] = "no new holds on budgets: requests with a budget are refused with 503, others pass"
        return table
    lost = settings.organisation.lost_state or LostState()
    table["redis"] = f"budgets: {_LOST[lost.budgets]}; rates: {_LOST[lost.rates]}"
    return table


def _killed(settings: Settings) -> str:
    holds = settings.organisation.holds
    charged = "charged at their ceiling" if holds.on_expiry == "charge" else "given back"
    return f"answers that arrived whole are settled; calls in flight are {charged} after {holds.lease_s:g} s"
