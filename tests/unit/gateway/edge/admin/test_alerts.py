from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
from litestar.datastructures import State

from gateway.edge.admin.alerts import list_alerts
from tests.support.alerts import Watched, record


async def listed(watched: Watched) -> Any:
    """Return what the route answers."""
    state = State({"current": SimpleNamespace(alerts=watched.watch)})
    return json.loads(msgspec.json.encode(await list_alerts.fn(state)))


async def test_every_rule_is_listed_while_nothing_is_wrong() -> None:
    answer = await listed(Watched(timeout_rate=None))

    assert [(alert["alert"], alert["state"]) for alert in answer.pop("data")] == [
        ("cost_per_workflow_usd", "inactive"),
        ("error_rate", "inactive"),
        ("p95_latency_s", "inactive"),
    ]
    assert answer == {"notifications": [], "webhook_host": None, "overlooked": 0}


async def test_what_fires_comes_first_with_who_was_told() -> None:
    watched = Watched(for_s=0)
    await watched.requests(*[record(500)] * 20)

    answer = await listed(watched)

    assert answer["data"][0] == {
        "alert": "error_rate",
        "subject": "all",
        "state": "firing",
        "since": "2027-01-15T08:00:10Z",
        "value": 1.0,
        "threshold": 0.1,
        "unit": "share",
    }
    assert [alert["state"] for alert in answer["data"]] == ["firing"] * 2 + ["inactive"] * 3
    (told,) = answer["notifications"]
    assert (told["outcome"], told["attempts"], told["answer"]) == ("unsent", 0, "")
    assert told["changes"][0].startswith("firing: error_rate of all: 100.0 %")
