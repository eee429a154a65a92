from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from litestar.datastructures import State

from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.edge.admin.policy import list_budgets, show_bounds, show_drift, show_effective, show_staging
from gateway.settings import Settings
from policies.authenticate import make_key
from policies.base import Reservation
from policies.effective import PolicyBook
from policies.governor import Governor
from policies.meters import Demand
from policies.rollout import Rollout
from policies.settings import Budget, LevelSettings
from policies.staging import StagedPolicies
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.keys.memory import MemoryKeyStore
from policies.stores.ledgers.memory import MemoryLedger
from tests.support.policy import settings_of
from tests.support.usage import usage_record

NOW = 1_800_000_000.0
RULES: dict[str, Any] = {
    "limits": {"requests_per_minute": 10},
    "budgets": [{"usd": 10}],
    "teams": {
        "search": {
            "budgets": [{"usd": 5}],
            "keys": [{"name": "ci", "secret": "sk-tw-0123456789abcdef", "budgets": [{"usd": 1}]}],
            "users": {"limits": {"requests_per_day": 3}},
        },
        "ops": {"budgets": [{"usd": 2}]},
    },
}


class Telling(Governor):
    """A governor that says what is held."""

    def held_microusd(self) -> dict[str, int]:
        return {"team:search|microusd|month@UTC": 250_000}


class Running:
    """A gateway as far as these routes see it."""

    def __init__(self, settings: Settings, governor: type[Governor] = Governor, unpriced: tuple[str, ...] = ()) -> None:
        self.governor = governor(MemoryHoldStore(lambda: NOW))
        self.keys = MemoryKeyStore()
        self.policies = PolicyBook(settings.organisation)
        self.rollout = Rollout(settings.organisation)
        self.pipeline = SimpleNamespace(
            policies=self.policies, admission=SimpleNamespace(rollout=self.rollout), unpriced=unpriced
        )
        version = SimpleNamespace(settings=settings, pipeline=self.pipeline)
        self.ledger: MemoryLedger | None = None
        self.version = version

    async def ask(self, route: Any, /, **parameters: str) -> Any:
        """Return what a route answers."""
        sent = SimpleNamespace(query_params=parameters)
        known = {name: value for name, value in parameters.items() if name != "unknown"}
        current = SimpleNamespace(version=self.version, governor=self.governor, keys=self.keys, ledger=self.ledger)
        return json.loads(msgspec.json.encode(await route.fn(sent, State({"current": current}), **known)))

    async def hold(self, key: str, microusd: int, user: str | None = None) -> None:
        team, _, name = key.partition("/")
        policy = self.policies.of_key(team, name)
        meters = self.policies.meters(policy, user)
        demand = Demand(1, microusd=microusd)
        await self.governor.reserve(Reservation(f"{key}-{user}", policy, meters, (demand,), (None,), 0.0))

    def store_key(self, team: str, name: str, **rules: Any) -> None:
        self.keys.add(make_key(team, name, now=NOW, rules=LevelSettings(**rules))[1])


@pytest.fixture
def running() -> Running:
    return Running(settings_of(**RULES))


async def test_a_key_is_explained_with_how_its_limits_stand(running: Running) -> None:
    await running.hold("search/ci", 400_000)

    found = await running.ask(show_effective, key="search/ci")

    assert [(limit["level"], limit["used"], limit["remaining"]) for limit in found["limits"]] == [
        ("organisation 'default'", 1, 9),
        ("organisation 'default'", 400_000, 9_600_000),
        ("team 'search'", 400_000, 4_600_000),
        ("key 'search/ci'", 400_000, 600_000),
    ]
    assert {"name": "models", "value": "*", "level": "default"} in found["rules"]
    assert [limit["level"] for limit in found["user_limits"]] == ["each end user of team 'search'"]


async def test_an_end_users_limits_are_shown_as_they_stand(running: Running) -> None:
    await running.hold("search/ci", 1, user="ann")

    found = await running.ask(show_effective, key="search/ci", user="ann")

    assert [(limit["level"], limit["used"]) for limit in found["user_limits"]] == [("one end user of team 'search'", 1)]


async def test_the_rules_of_a_stored_key_are_its_own(running: Running) -> None:
    running.store_key("search", "stored", max_output_tokens=7)

    found = await running.ask(show_effective, key="search/stored")

    assert found["has_own_word"]
    assert {"name": "max_output_tokens", "value": "7", "level": "key 'search/stored'"} in found["rules"]


async def test_limits_that_are_only_tried_are_not_shown(running: Running) -> None:
    tried = PolicyBook(settings_of(limits={"concurrency": 1}).organisation)
    running.pipeline.policies = StagedPolicies(running.policies.organisation, tried)

    found = await running.ask(show_effective, key="ops/x")

    assert [limit["unit"] for limit in found["limits"]] == ["requests", "microusd", "microusd"]


@pytest.mark.parametrize("key", ["", "ci", "/ci", "search/"])
async def test_a_key_must_be_named_with_its_team(running: Running, key: str) -> None:
    with pytest.raises(InvalidRequestError, match="team/key"):
        await running.ask(show_effective, key=key)


async def test_budgets_of_every_level_are_listed(running: Running) -> None:
    running.store_key("ops", "stored", budgets=(Budget(usd=0.5),))
    await running.hold("search/ci", 400_000)

    found = await running.ask(list_budgets)

    assert [(one["level"], one["cap_usd"], one["used_usd"]) for one in found["data"]] == [
        ("organisation 'default'", 10.0, 0.4), ("team 'search'", 5.0, 0.4), ("key 'search/ci'", 1.0, 0.4),
        ("team 'ops'", 2.0, 0.0), ("key 'ops/stored'", 0.5, 0.0),
    ]  # fmt: skip
    assert found["next"] is None


async def test_budgets_are_listed_by_team_and_page_by_page(running: Running) -> None:
    first = await running.ask(list_budgets, team="search", limit="1")
    second = await running.ask(list_budgets, team="search", limit="1", after=first["next"])

    assert [one["level"] for one in first["data"] + second["data"]] == ["team 'search'", "key 'search/ci'"]
    assert second["next"] is None


@pytest.mark.parametrize("wrong", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"unknown": "1"}])
@pytest.mark.parametrize("route", [list_budgets, show_bounds])
async def test_parameters_that_mean_nothing_are_refused(running: Running, route: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError):
        await running.ask(route, **wrong)


async def test_bounds_tell_what_is_used_held_and_at_stake() -> None:
    running = Running(settings_of(**RULES), Telling)
    await running.hold("search/ci", 400_000)

    found = await running.ask(show_bounds, team="search")

    team = found["data"][0]
    assert (team["level"], team["used_usd"], team["held_usd"]) == ("team 'search'", 0.4, 0.25)
    assert team["worst_overshoot_usd"] == 0
    assert team["why"]
    assert found["assumes"]
    assert (found["under_reserved"], found["under_reserved_usd"]) == (0, 0.0)


async def test_a_budget_that_replicas_share_when_redis_is_lost_is_at_stake_once_more() -> None:
    settings = settings_of({"state": "redis://127.0.0.1:1"}, budgets=[{"usd": 10}], lost_state={"budgets": "share"})

    found = await Running(settings).ask(show_bounds)

    assert found["data"][0]["worst_overshoot_usd"] == 10


async def test_models_without_a_price_leave_a_budget_without_a_bound() -> None:
    settings = settings_of(budgets=[{"usd": 10}], unpriced="worst_case")

    found = await Running(settings, unpriced=("mystery",)).ask(show_bounds)

    assert found["data"][0]["worst_overshoot_usd"] is None
    assert "mystery" in found["data"][0]["why"][0]


async def test_staging_tells_whom_new_rules_would_deny_most_often_first(running: Running) -> None:
    wanted = settings_of(limits={"concurrency": 1}, staging={"shadow_s": 60}).organisation
    running.rollout.begin(running.rollout.plan(wanted))
    for key, limit in (("a/x", "models"), ("b/y", "tiers"), ("b/y", "tiers")):
        running.rollout.tally.note(key, [(limit, limit)])
    running.rollout.tally.note("c/z", [])

    found = await running.ask(show_staging)

    assert (found["phase"], found["tried"], found["would_be_denied"], found["complaint"]) == ("shadow", 4, 3, "")
    assert 0 < found["ends_in_s"] <= 60
    assert found["would_deny"] == [
        {"key": "b/y", "limit": "tiers", "count": 2},
        {"key": "a/x", "limit": "models", "count": 1},
    ]


async def test_what_the_ledger_says_is_told_where_counters_say_otherwise(running: Running) -> None:
    running.ledger = MemoryLedger()
    await running.ledger.append(usage_record(team="search", key="ci", at=time.time(), cost_microusd=250_000))

    found = await running.ask(show_drift)

    told = sorted((one["level"], one["derived_usd"], one["counted_usd"]) for one in found["data"])
    assert told == [("key 'search/ci'", 0.25, 0.0), ("organisation 'default'", 0.25, 0.0), ("team 'search'", 0.25, 0.0)]


async def test_without_a_ledger_nothing_is_derived(running: Running) -> None:
    with pytest.raises(NotFoundError, match=r"telemetry\.ledger"):
        await running.ask(show_drift)
