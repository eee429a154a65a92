from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.usage import Usage
from gateway.rehearsal.rehearsal import Question, Rehearsal
from policies.governor import Governor
from policies.settings import LevelSettings, Limits
from policies.stores.holds.memory import MemoryHoldStore
from tests.support.policy import settings_of


def rehearsal(**organisation: Any) -> Rehearsal:
    return Rehearsal(settings_of(**organisation))


async def test_a_request_that_nothing_stops_is_allowed() -> None:
    outcome = await rehearsal().ask(Question(key="search/ci", model="big", text="Hello"))

    assert outcome.allowed
    assert (outcome.status, outcome.code, outcome.tier, outcome.model) == (200, "", "complex", "big")


async def test_auto_goes_where_the_router_sends_it() -> None:
    outcome = await rehearsal().ask(Question(key="search/ci"))

    assert (outcome.tier, outcome.model) == ("simple", "small")


async def test_the_ceiling_is_what_is_held() -> None:
    outcome = await rehearsal(budgets=[{"usd": 10}]).ask(
        Question(key="search/ci", model="big", text="x" * 1000, max_output_tokens=100)
    )

    # 10 and 20 dollars a million: at least a token for each byte of the text, and all of the answer.
    assert outcome.ceiling_microusd >= 1000 * 10 + 100 * 20
    assert outcome.ceiling_microusd < 1300 * 10 + 100 * 20
    assert outcome.limits == ("10.00 USD a month of organisation 'default'",)


async def test_a_model_that_the_key_may_not_use_is_refused() -> None:
    outcome = await rehearsal(models=["small"]).ask(Question(key="search/ci", model="big"))

    assert not outcome.allowed
    assert (outcome.status, outcome.code) == (403, "model_not_allowed")
    assert "'big'" in outcome.message


async def test_a_tier_that_the_key_may_not_use_is_refused() -> None:
    outcome = await rehearsal(tiers=["simple"]).ask(Question(key="search/ci", model="big"))

    assert outcome.code == "model_not_allowed"


async def test_an_unknown_model_is_refused() -> None:
    outcome = await rehearsal().ask(Question(key="search/ci", model="nobody"))

    assert (outcome.status, outcome.code) == (404, "model_not_found")


async def test_a_budget_that_is_too_small_is_named() -> None:
    outcome = await rehearsal(budgets=[{"usd": 0.0001}]).ask(Question(key="search/ci", model="big", text="Hello"))

    assert (outcome.status, outcome.code) == (429, "insufficient_quota")
    assert outcome.refused_by == "0.000100 USD a month of organisation 'default'"


async def test_every_request_meets_empty_counters() -> None:
    tried = rehearsal(limits={"requests_per_day": 1})

    outcomes = [await tried.ask(Question(key="search/ci")) for _ in range(3)]

    assert [outcome.allowed for outcome in outcomes] == [True, True, True]


async def test_counters_that_are_handed_in_go_on_counting() -> None:
    counters = Governor(MemoryHoldStore(lambda: 1000.0))
    tried = Rehearsal(settings_of(limits={"requests_per_day": 1}), counters)

    outcomes = [await tried.ask(Question(key="search/ci")) for _ in range(2)]

    assert [outcome.allowed for outcome in outcomes] == [True, False]
    assert outcomes[1].refused_by == "1 requests a day of organisation 'default'"


async def test_usage_is_charged_at_the_prices_of_the_file() -> None:
    question = Question(key="search/ci", model="big", usage=Usage(input_tokens=1000, output_tokens=100))

    outcome = await rehearsal().ask(question)

    assert outcome.cost_microusd == 1000 * 10 + 100 * 20


async def test_an_answer_that_policy_shortens_is_told() -> None:
    outcome = await rehearsal(max_output_tokens=50).ask(Question(key="search/ci", max_output_tokens=100))

    assert outcome.output_limit == 50


async def test_a_missing_end_user_is_refused_and_a_named_one_is_not() -> None:
    tried = rehearsal(users={"required": True})

    without = await tried.ask(Question(key="search/ci"))
    named = await tried.ask(Question(key="search/ci", user="ann"))

    assert (without.allowed, without.status) == (False, 400)
    assert named.allowed


async def test_a_prompt_that_the_guard_refuses_is_refused() -> None:
    settings = settings_of({"guard": {"limits": {"characters": 10}}})

    outcome = await Rehearsal(settings).ask(Question(key="search/ci", text="x" * 11))

    assert outcome.code == "prompt_too_large"


@pytest.mark.parametrize("key", ["search/unknown", "unknown/unknown"])
async def test_a_key_that_stands_nowhere_follows_its_team_or_the_organisation(key: str) -> None:
    outcome = await rehearsal(models=["small"]).ask(Question(key=key, model="big"))

    assert outcome.code == "model_not_allowed"


async def test_rules_of_stored_keys_hold() -> None:
    stored = {("search", "stored"): LevelSettings(limits=Limits(concurrency=7))}

    outcome = await Rehearsal(settings_of(), stored=stored).ask(Question(key="search/stored"))

    assert outcome.limits == ("7 requests at once of key 'search/stored'",)


async def test_no_upstream_is_called() -> None:
    settings = settings_of(
        {
            "upstreams": {"far": {"kind": "openai", "base_url": "http://192.0.2.1:1/v1"}},
            "models": {"m": {"upstream": "far"}},
            "router": {},
        }
    )

    outcome = await Rehearsal(settings).ask(Question(key="search/ci", model="m"))

    assert outcome.allowed
