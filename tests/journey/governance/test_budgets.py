"""Budgets: what is refused, what refusals say, what degrades, and what costs nothing."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.journey.governance.conftest import Govern
from tests.support.governed import (
    BUDGET,
    CD,
    CI,
    COST,
    MESSAGES,
    OTHER,
    TIER_OF,
    TOO_LITTLE,
    ask,
    brief,
    budget,
    ceiling,
    charged,
    costing,
    left,
)
from tests.support.live import LiveGateway
from tests.support.mixed import claude_message, messages_request
from tests.support.moment import Moment
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain
from tests.support.wire import Answer, WireClient, chat_bytes

# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("level", "name", "others"),
    [
        ("org", "organisation 'acme'", {CD: 429, OTHER: 429}),
        ("team", "team 'search'", {CD: 429, OTHER: 200}),
        ("key", "key 'search/ci'", {CD: 200, OTHER: 200}),
    ],
)
def test_a_request_that_may_cost_more_than_is_left_is_refused(
    govern: Govern, upstream: ScriptedUpstream, level: str, name: str, others: dict[str, int]
) -> None:
    rules = {"budgets": [budget(ceiling() + 2 * COST)]}
    gateway = govern(rules if level == "org" else {level: rules})

    answers = [ask(gateway) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [left(answer) for answer in answers] == [ceiling() + (2 - spent) * COST for spent in (1, 2, 3, 3)]
    assert len(upstream.requests) == 3
    refused = answers[-1]
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert name in error["message"]
    assert f"0.0000{3 * COST} USD are counted" in error["message"]
    assert error["message"].endswith("It does not reset by itself.")
    assert {key: ask(gateway, key=key).status for key in others} == others


@pytest.mark.parametrize("status", [402, 403, 429])
def test_the_status_of_a_refusal_can_be_chosen_and_its_code_cannot(govern: Govern, status: int) -> None:
    gateway = govern({"budgets": [budget(TOO_LITTLE, "month")], "budget_status": status})

    answer = ask(gateway)

    assert (answer.status, answer.json()["error"]["code"]) == (status, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"


def test_a_budget_of_the_calendar_says_when_it_begins_again(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(ceiling(), "month", zone="Asia/Kolkata")]})
    ask(gateway)

    answer = ask(gateway)

    message = answer.json()["error"]["message"]
    assert "a month (Asia/Kolkata) of organisation 'acme'" in message
    resets = answer.headers["x-tierway-budget"].partition("resets=")[2]
    assert resets.endswith("T18:30:00Z")
    assert message.endswith(f"It resets at {resets}.")


def test_a_budget_that_is_smaller_than_the_request_promises_nothing(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(TOO_LITTLE, "month")]})

    message = ask(gateway).json()["error"]["message"]

    assert "0.00 USD are counted" in message
    assert "resets" not in message


def test_the_tightest_of_nested_budgets_is_told_and_refuses(govern: Govern) -> None:
    gateway = govern(
        {
            "budgets": [budget(BUDGET)],
            "team": {"budgets": [budget(ceiling())]},
            "key": {"budgets": [budget(BUDGET, "day")]},
        }
    )

    assert ask(gateway).headers["x-tierway-budget"].startswith("team 'search';total;")
    assert "team 'search'" in ask(gateway).json()["error"]["message"]
    assert ask(gateway, key=OTHER).headers["x-tierway-budget"].startswith("organisation 'acme';total;")


def test_anthropics_clients_are_refused_in_their_own_shape(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(TOO_LITTLE)], "budget_status": 402})

    answer = ask(gateway, messages_request("loose"), path=MESSAGES)

    document = answer.json()
    assert (answer.status, document["type"], document["error"]["type"]) == (402, "error", "billing_error")
    assert answer.headers["x-should-retry"] == "false"


def test_openais_own_client_does_not_come_back_for_an_empty_budget(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(TOO_LITTLE)]})

    with (
        openai.OpenAI(base_url=gateway.api, api_key=CI, max_retries=2) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.chat.completions.create(model="loose", messages=[{"role": "user", "content": "Hi"}])

    assert caught.value.code == "insufficient_quota"
    gateway.wait_for_log(status=429)
    assert len(gateway.log) == 1


def test_a_budget_that_calls_in_flight_hold_is_worth_another_try(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(ceiling() + COST)]})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as first:
        first.send(chat_bytes(brief(), ("authorization", f"Bearer {CI}")))
        upstream.wait_for_request()

        refused = ask(gateway)
        go_on.happen()

        assert first.answer().status == 200
    assert (refused.status, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert (refused.headers["x-should-retry"], refused.headers["retry-after"]) == ("true", "1")
    assert "are held for requests in flight" in refused.json()["error"]["message"]
    assert ask(gateway).status == 200
    assert ask(gateway).headers["x-should-retry"] == "false"


def test_each_end_user_has_a_budget_of_its_own(govern: Govern) -> None:
    anna = brief(user="anna")
    gateway = govern({"users": {"budgets": [budget(ceiling(anna))]}})

    statuses = [ask(gateway, document).status for document in (anna, anna, brief(user="ben"), brief())]

    assert statuses == [200, 429, 200, 200]


# ---------------------------------------------------------------- prices


def test_a_model_without_a_price_is_refused(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(BUDGET)]})

    answer = ask(gateway, brief(model="unpriced"))

    assert (answer.status, answer.json()["error"]["code"]) == (403, "model_unpriced")
    assert "models.unpriced.price" in answer.json()["error"]["message"]
    assert upstream.requests == []


def test_a_model_without_a_price_may_be_held_and_charged_at_the_dearest(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(BUDGET)], "unpriced": "worst_case"})

    assert ask(gateway, brief(model="unpriced")).status == 200

    assert charged(gateway) == COST


def test_a_model_without_a_price_is_served_where_no_budget_counts_it(govern: Govern) -> None:
    gateway = govern({"team": {"budgets": [budget(BUDGET)]}})

    assert ask(gateway, brief(model="unpriced"), key=OTHER).status == 200


# ---------------------------------------------------------------- degraded


def degrading(**fields: Any) -> dict[str, Any]:
    """Return a budget of 2000 micro-dollars that degrades from 500 on, and to `simple` from 1250 on."""
    return {"budgets": [budget(2000, soft=0.25, on_soft="degrade", **fields)]}


LONG = "x" * 300
"""A prompt whose bound is somewhat above the 300 tokens that it turns out to have."""


def answered(answer: Answer) -> tuple[int, str, str | None]:
    name = answer.headers.get("x-tierway-model", "")
    return answer.status, TIER_OF.get(name, name), answer.headers.get("x-tierway-degraded")


def test_past_the_soft_threshold_lower_tiers_answer_and_at_the_end_none(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    upstream.otherwise = costing(300)
    gateway = govern(degrading())

    answers = [answered(ask(gateway, brief(LONG, "auto"))) for _ in range(7)]

    medium, simple = "tier=medium;budget", "tier=simple;budget"
    assert answers == [
        (200, "complex", None),
        (200, "complex", None),
        (200, "medium", medium),
        (200, "medium", medium),
        (200, "medium", medium),
        (200, "simple", simple),
        (429, "", None),
    ]
    assert [received.json()["model"] for received in upstream.requests] == ["large"] * 2 + ["mid"] * 3 + ["small"]


@pytest.mark.parametrize(
    ("model", "tier"), [("large", "medium"), ("auto/complex", "medium"), ("mid", "medium"), ("small", "simple")]
)
def test_models_and_tiers_that_are_asked_for_by_name_degrade_too(
    govern: Govern, upstream: ScriptedUpstream, model: str, tier: str
) -> None:
    upstream.script(costing(600))
    gateway = govern(degrading())
    ask(gateway, brief())

    status, answering, told = answered(ask(gateway, brief(model=model)))

    assert (status, answering) == (200, tier)
    is_lower = model in ("large", "auto/complex")
    assert told == (f"tier={tier};budget" if is_lower else None)


def test_a_model_of_no_tier_is_not_degraded(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.script(costing(1500))
    gateway = govern(degrading())
    ask(gateway, brief())

    assert answered(ask(gateway, brief())) == (200, "loose", None)


def test_a_threshold_that_only_warns_leaves_the_tier(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.script(costing(1500))
    gateway = govern({"budgets": [budget(2000, soft=0.25)]})
    ask(gateway, brief())

    assert answered(ask(gateway, brief(model="auto"))) == (200, "complex", None)


# ---------------------------------------------------------------- cached answers


def cached(gateway: LiveGateway, key: str = CI) -> Answer:
    """Ask and wait until the answer can be found again."""
    request_id = f"cached-{len(gateway.log)}"
    answer = ask(gateway, None, ("x-request-id", request_id), key=key)
    gateway.wait_for_log(request_id=request_id)
    return answer


EXACT = {"exact": True}


def test_an_empty_budget_leaves_the_answers_that_are_there_where_policy_says_so(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    rules = {"budgets": [budget(ceiling())], "limits": {"requests_per_minute": 9}, "cached_answers": True}
    gateway = govern(rules, cache=EXACT)
    cached(gateway)

    hit = ask(gateway)
    miss = ask(gateway, brief("Say hello to me, please, and no less"))

    assert hit.status == 200
    assert hit.headers["x-tierway-cache"].startswith("exact;1.00;age=")
    assert hit.headers["x-tierway-cost"] == "0.000000"
    assert hit.headers["x-ratelimit-remaining-requests"] == "7"
    assert (miss.status, miss.json()["error"]["code"]) == (429, "insufficient_quota")
    assert len(upstream.requests) == 1
    assert ask(gateway).headers["x-ratelimit-remaining-requests"] == "6"


def test_an_empty_budget_leaves_nothing_by_itself(govern: Govern) -> None:
    gateway = govern({"budgets": [budget(ceiling())]}, cache=EXACT)
    cached(gateway)

    assert ask(gateway).json()["error"]["code"] == "insufficient_quota"


def test_a_hit_counts_as_a_request_and_costs_nothing(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(BUDGET)], "limits": {"requests_per_minute": 2}}, cache=EXACT)
    cached(gateway)

    hit = ask(gateway)
    refused = ask(gateway)

    assert (hit.status, left(hit)) == (200, BUDGET - COST)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert len(upstream.requests) == 1


# ---------------------------------------------------------------- what is only passed on


RELAYING: dict[str, Any] = {"endpoints": ["*"], "budgets": [budget(BUDGET)]}


def test_what_is_passed_on_without_a_price_is_refused(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RELAYING, relay={"upstream": "scripted"})

    answer = ask(gateway, {"prompt": "x"}, path="/v1/images/generations")

    assert (answer.status, answer.json()["error"]["code"]) == (403, "endpoint_unpriced")
    assert "relay.prices.images" in answer.json()["error"]["message"]
    assert upstream.requests == []


def test_what_is_passed_on_is_charged_at_its_price(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RELAYING, relay={"upstream": "scripted", "prices": {"images": 0.17}})
    upstream.script(plain({"data": []}), plain({"error": {}}, 400), plain({"data": []}))

    made = ask(gateway, {"prompt": "x"}, path="/v1/images/generations")
    refused = ask(gateway, {"prompt": "x"}, path="/v1/images/generations")
    listed = ask(gateway, path="/v1/images", method="GET")

    assert (made.status, refused.status, listed.status) == (200, 400, 200)
    gateway.wait_for_idle()
    assert charged(gateway) == 170_000


def test_what_is_passed_on_is_refused_by_a_budget_that_is_used_up(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RELAYING, relay={"upstream": "scripted", "prices": {"images": 1.01}})

    answer = ask(gateway, {"prompt": "x"}, path="/v1/images/generations")

    assert (answer.status, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert upstream.requests == []


def test_uploads_and_files_cost_nothing(govern: Govern) -> None:
    gateway = govern(RELAYING, relay={"upstream": "scripted"})

    assert ask(gateway, {}, path="/v1/files").status == 200
    gateway.wait_for_idle()
    assert charged(gateway) == 0


def test_messages_are_charged_like_chat(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(BUDGET)]})
    upstream.script(plain(claude_message()))

    assert ask(gateway, messages_request("loose"), path=MESSAGES).status == 200

    # 9 new and 4 cached prompt tokens, 3 generated ones.
    assert charged(gateway) == 9 + 4 + 2 * 3
