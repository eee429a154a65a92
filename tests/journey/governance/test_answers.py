"""What policy leaves of a request: its model, its tier and the length of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journey.governance.conftest import Govern
from tests.support.governed import BUDGET, CD, CHAT, MESSAGES, OTHER, ask, brief, budget
from tests.support.mixed import claude_message, message, messages_request, response, responses_request
from tests.support.scripted_upstream import Answer as Scripted
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain
from tests.support.wire import WireClient, chat

RESPONSES = "/v1/responses"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

TEXT = {
    "id": "cmpl-scripted",
    "object": "text_completion",
    "created": 1_700_000_000,
    "model": "scripted-1",
    "choices": [{"index": 0, "text": "Hello.", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
VECTOR = {
    "object": "list",
    "model": "scripted-1",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0]}],
    "usage": {"prompt_tokens": 9, "total_tokens": 9},
}

SHAPES: list[tuple[str, dict[str, Any], str, Scripted]] = [
    (CHAT, chat("loose"), "max_completion_tokens", plain(completion())),
    (CHAT, chat("loose", max_tokens=500), "max_tokens", plain(completion())),
    (CHAT, chat("loose", max_completion_tokens=500), "max_completion_tokens", plain(completion())),
    (RESPONSES, responses_request("loose", store=False), "max_output_tokens", plain(response())),
    (RESPONSES, responses_request("loose", store=False, max_output_tokens=500), "max_output_tokens", plain(response())),
    (MESSAGES, messages_request("loose", max_tokens=500), "max_tokens", plain(claude_message())),
    (COMPLETIONS, {"model": "loose", "prompt": "Hi"}, "max_tokens", plain(TEXT)),
]


def lengths(document: dict[str, Any]) -> dict[str, int]:
    """Return the members of a request that bound its answer."""
    return {name: value for name, value in document.items() if name.startswith("max_")}


# ---------------------------------------------------------------- length


@pytest.mark.parametrize(("path", "document", "name", "answer"), SHAPES)
def test_the_upstream_is_sent_the_longest_answer_that_policy_allows(
    govern: Govern, upstream: ScriptedUpstream, path: str, document: dict[str, Any], name: str, answer: Scripted
) -> None:
    gateway = govern({"team": {"max_output_tokens": 20}})
    upstream.script(answer)

    answered = ask(gateway, document, path=path)

    assert answered.status == 200
    assert answered.headers["x-tierway-clamped"] == "max_output_tokens=20"
    assert lengths(upstream.last.json()) == {name: 20}


@pytest.mark.parametrize("fields", [{"max_tokens": 20}, {"max_completion_tokens": 1}])
def test_a_request_within_policy_is_sent_as_it_is(
    govern: Govern, upstream: ScriptedUpstream, fields: dict[str, Any]
) -> None:
    gateway = govern({"max_output_tokens": 20, "budgets": [budget(BUDGET)]})

    answer = ask(gateway, chat("loose", **fields))

    assert "x-tierway-clamped" not in answer.headers
    assert lengths(upstream.last.json()) == fields


def test_without_a_policy_nothing_is_added(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"requests_per_minute": 9}})

    answer = ask(gateway, chat("loose"))

    assert "x-tierway-clamped" not in answer.headers
    assert lengths(upstream.last.json()) == {}


def test_a_budget_needs_a_bound_and_says_so(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(BUDGET)]})

    answer = ask(gateway, chat("loose"))

    assert answer.headers["x-tierway-clamped"] == "max_output_tokens=8192"
    assert lengths(upstream.last.json()) == {"max_completion_tokens": 8192}


def test_embeddings_have_no_length(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"budgets": [budget(BUDGET)], "max_output_tokens": 20})
    upstream.script(plain(VECTOR))

    answer = ask(gateway, {"model": "loose", "input": "Hi"}, path=EMBEDDINGS)

    assert (answer.status, "x-tierway-clamped" in answer.headers) == (200, False)
    assert lengths(upstream.last.json()) == {}


def test_a_shortened_stream_says_so_too(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"max_output_tokens": 20})

    with WireClient(gateway.address) as client:
        client.send(message("POST", CHAT, chat("loose", stream=True), key=OTHER))
        head = client.head()

    assert head.headers["x-tierway-clamped"] == "max_output_tokens=20"
    assert lengths(upstream.wait_for_request().json()) == {"max_completion_tokens": 20}


@pytest.mark.parametrize(
    ("path", "document", "name"), [(path, document, name) for path, document, name, _ in SHAPES[:1] + SHAPES[3:]]
)
def test_a_request_without_a_bound_can_be_refused(
    govern: Govern, upstream: ScriptedUpstream, path: str, document: dict[str, Any], name: str
) -> None:
    gateway = govern({"max_output_tokens": 20, "unbounded_output": "refuse"})

    answer = ask(gateway, document, path=path)

    assert answer.status == 400
    error = answer.json()["error"]
    assert f"'{name}', at most 20 tokens" in error["message"]
    if path != MESSAGES:
        assert (error["code"], error["param"]) == ("output_limit_needed", name)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (RESPONSES, responses_request("loose", store=False, max_output_tokens=9, n="odd", best_of=["odd"])),
        (MESSAGES, messages_request("loose", n={}, best_of=True)),
        (CHAT, brief(best_of="odd")),
        (CHAT, brief(tools=[{"type": ["odd"]}])),
        (CHAT, brief(tools=["odd"])),
    ],
)
def test_members_that_nobody_judges_are_no_fault_of_the_gateway(
    govern: Govern, upstream: ScriptedUpstream, path: str, document: dict[str, Any]
) -> None:
    gateway = govern({"budgets": [budget(100 * BUDGET)]})
    upstream.script(plain({"error": {"message": "what is that", "type": "invalid_request_error"}}, 400))

    answer = ask(gateway, document, path=path)

    assert answer.status == 400
    assert len(upstream.requests) == 1


# ---------------------------------------------------------------- models and tiers


@pytest.mark.parametrize("level", ["org", "team", "key"])
def test_a_model_that_a_level_does_not_admit_is_refused(govern: Govern, upstream: ScriptedUpstream, level: str) -> None:
    rules = {"models": ["small", "auto"]}
    gateway = govern(rules if level == "org" else {level: rules})

    refused = ask(gateway, brief(model="large"))

    assert (refused.status, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert refused.headers["x-should-retry"] == "false"
    assert upstream.requests == []
    assert ask(gateway, brief(model="small")).status == 200
    others = {CD: 200 if level == "key" else 403, OTHER: 403 if level == "org" else 200}
    assert {key: ask(gateway, brief(model="large"), key=key).status for key in others} == others


def test_a_refused_model_counts_as_no_request(govern: Govern) -> None:
    gateway = govern({"models": ["small"], "limits": {"requests_per_minute": 2}})
    ask(gateway, brief(model="large"))

    assert ask(gateway, brief(model="small")).headers["x-ratelimit-remaining-requests"] == "1"


@pytest.mark.parametrize("model", ["large", "auto/complex"])
def test_a_tier_that_policy_does_not_leave_is_refused_by_name(govern: Govern, model: str) -> None:
    gateway = govern({"team": {"tiers": ["simple", "medium"]}})

    refused = ask(gateway, brief(model=model))

    assert (refused.status, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert ask(gateway, brief(model=model), key=OTHER).status == 200


def test_auto_is_answered_by_the_best_tier_that_policy_leaves(govern: Govern) -> None:
    gateway = govern({"team": {"tiers": ["simple", "medium"]}})

    answer = ask(gateway, brief(model="auto"))

    assert (answer.status, answer.headers["x-tierway-model"]) == (200, "mid")
    assert answer.headers["x-tierway-tier"].startswith("medium;")


def test_a_team_may_be_granted_more_than_the_organisation_has(govern: Govern) -> None:
    rules = {"tiers": ["simple"], "models": ["small"]}
    wider = {"tiers": ["simple", "complex"], "models": ["*a*"]}

    gateway = govern({**rules, "grants": ["tiers", "models"], "team": wider})

    assert ask(gateway, brief(model="large")).status == 200
    assert ask(gateway, brief(model="large"), key=OTHER).status == 403


def test_a_level_that_was_granted_nothing_cannot_widen(govern: Govern) -> None:
    gateway = govern({"max_output_tokens": 20, "team": {"max_output_tokens": 500}})

    assert ask(gateway, chat("loose")).headers["x-tierway-clamped"] == "max_output_tokens=20"
