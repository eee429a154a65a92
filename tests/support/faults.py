"""What is seen of a gateway that has lost a part: in answers, on /readyz and in metrics."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final

from tests.support.governed import BUDGET, OTHER, ask, budget
from tests.support.live import LiveGateway, wait_until
from tests.support.redis_server import RedisServer
from tests.support.wire import Answer

RULES: Final[dict[str, Any]] = {
    "limits": {"requests_per_minute": 1000},
    "team": {"budgets": [budget(BUDGET)]},
}
"""Every request is counted, those of the team `search` by a budget too."""


def ready(gateway: LiveGateway) -> dict[str, Any]:
    """Return what `/readyz` says."""
    found: dict[str, Any] = json.loads(gateway.get("/readyz"))
    return found


def degraded(gateway: LiveGateway) -> set[str]:
    """Return the parts that do not work, by `/readyz`, which must be those that the metric names."""
    names = set(ready(gateway)["degraded"])
    prefix = 'tierway_degraded{part="'
    metrics = gateway.metrics()
    assert {name.removeprefix(prefix).rstrip('"}') for name in metrics if name.startswith(prefix)} == names
    return names


def with_budget(gateway: LiveGateway) -> Answer:
    """Ask with a key that a budget counts."""
    return ask(gateway)


def without_budget(gateway: LiveGateway) -> Answer:
    """Ask with a key that limits count, and no budget."""
    return ask(gateway, key=OTHER)


def wait_until_replicas_are_known(redis: RedisServer, count: int = 1) -> None:
    """Wait until so many processes have been heard three times: from then on each knows how many there are."""
    heard: defaultdict[bytes, set[bytes]] = defaultdict(set)

    def are_known() -> bool:
        found = redis.command("ZRANGE", "tierway:{acme}:replicas", 0, -1, "WITHSCORES")
        for name, moment in zip(found[::2], found[1::2], strict=True):
            heard[name].add(moment)
        return len(heard) >= count and all(len(moments) > 2 for moments in heard.values())

    wait_until(are_known, "a third heartbeat of each")


def assert_all_is_well(gateway: LiveGateway) -> None:
    """Wait until nothing is lost any more, and check that requests with and without a budget pass."""
    wait_until(lambda: not ready(gateway)["degraded"], "an end of what /readyz says")
    counted, other = with_budget(gateway), without_budget(gateway)
    assert (counted.status, other.status) == (200, 200)
    assert not {"x-tierway-degraded"} & (counted.headers.keys() | other.headers.keys())
    assert degraded(gateway) == set()


def assert_budgets_deny_and_rates_go_on(gateway: LiveGateway) -> None:
    """Check what the table of degradation promises for a lost Redis."""
    wait_until(lambda: with_budget(gateway).status == 503, "a refusal")
    refused, passed = with_budget(gateway), without_budget(gateway)
    assert (refused.status, refused.json()["error"]["code"]) == (503, "limits_unavailable")
    assert "retry-after" in refused.headers
    assert (passed.status, passed.headers["x-tierway-degraded"]) == (200, "limits")
    found = ready(gateway)
    assert "limits" in degraded(gateway)
    assert found["status"] == "ready"
    assert found["limits"]["counted"] == "local"
    assert "budgets: requests that they count are refused with 503 limits_unavailable" in found["when_lost"]["redis"]
