"""What is charged, however a request ends: answered, failed, left by its caller or with a killed process."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journey.governance.conftest import Govern
from tests.support.governed import (
    BUDGET,
    CHAT,
    CI,
    COST,
    MESSAGES,
    ask,
    brief,
    budget,
    ceiling,
    charged,
    costing,
    left,
    streamed,
)
from tests.support.live import LiveGateway, wait_until
from tests.support.mixed import claude_stream, message, messages_request, response_stream, responses_request
from tests.support.moment import Moment
from tests.support.scripted_upstream import CLOSE, ScriptedUpstream, chunk, completion, error, events, plain, stream
from tests.support.wire import WireClient

RULES: dict[str, Any] = {"budgets": [budget(BUDGET)], "limits": {"requests_per_day": 100}}
STREAM = brief(stream=True)


def asked(client: WireClient, document: dict[str, Any], *headers: tuple[str, str], path: str = CHAT) -> None:
    """Send a request whose answer is not waited for."""
    client.send(message("POST", path, document, *headers, key=CI))


def requests_counted(gateway: LiveGateway) -> int:
    """Return how many requests are counted, the one that asks among them."""
    answer = ask(gateway, {"model": "loose", "input": "Hi"}, path="/v1/responses/input_tokens")
    return 100 - int(answer.headers["x-ratelimit-remaining-requests"])


def read_stream(client: WireClient, ending: bytes) -> None:
    """Read until the event that ends a stream has come, and not one byte more than came with it."""
    client.head()
    seen = b""
    while ending not in seen:
        piece = client.chunk()
        assert piece, seen
        seen += piece


# ---------------------------------------------------------------- answers


def test_an_answer_says_what_is_left_after_it(govern: Govern) -> None:
    gateway = govern(RULES)

    assert [left(ask(gateway)) for _ in range(3)] == [BUDGET - COST, BUDGET - 2 * COST, BUDGET - 3 * COST]
    assert charged(gateway) == 3 * COST


def test_the_head_of_a_stream_says_what_is_left_with_its_bound(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    upstream.script(streamed())

    assert left(ask(gateway, STREAM)) == BUDGET - ceiling(STREAM)
    assert charged(gateway) == COST


def test_an_answer_that_costs_more_than_was_held_is_charged_in_full(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    upstream.script(costing(5000, 100))

    ask(gateway)

    assert charged(gateway) == 5200


STREAMS = [
    pytest.param(CHAT, STREAM, streamed(), b"[DONE]", id="chat"),
    pytest.param(CHAT, brief(stream=True, stream_options={"include_usage": True}), streamed(), b"[DONE]", id="usage"),
    pytest.param(
        "/v1/responses",
        responses_request("loose", stream=True, store=False, max_output_tokens=9),
        response_stream(),
        b"event: response.completed",
        id="responses",
    ),
    pytest.param(MESSAGES, messages_request("loose", stream=True), claude_stream(), b"message_stop", id="messages"),
]


@pytest.mark.parametrize(("path", "document", "answer", "ending"), STREAMS)
def test_a_stream_is_settled_when_its_last_event_has_come(
    govern: Govern, upstream: ScriptedUpstream, path: str, document: dict[str, Any], answer: Any, ending: bytes
) -> None:
    gateway = govern(RULES)
    upstream.script(answer)
    with WireClient(gateway.address) as client:
        asked(client, document, path=path)
        read_stream(client, ending)

        gateway.kill()

    # Anthropic's stream reports four cached tokens besides the nine.
    assert charged(govern(RULES)) == (COST + 4 if path == MESSAGES else COST)


def test_a_plain_answer_is_settled_when_it_has_come(govern: Govern) -> None:
    gateway = govern(RULES)
    with WireClient(gateway.address) as client:
        asked(client, brief())
        assert client.answer().status == 200

        gateway.kill()

    assert charged(govern(RULES)) == COST


def test_many_killed_processes_lose_nothing(govern: Govern) -> None:
    for _ in range(4):
        gateway = govern(RULES)
        for _ in range(3):
            ask(gateway)
        gateway.kill()

    gateway = govern(RULES)

    assert charged(gateway) == 12 * COST
    assert requests_counted(gateway) == 12 + 2


def test_a_request_in_flight_when_its_process_is_killed_is_charged_at_its_bound(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    rules = {**RULES, "holds": {"lease_s": 1}}
    gateway = govern(rules)
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as client:
        asked(client, brief())
        upstream.wait_for_request()
        gateway.kill()
    go_on.happen()

    gateway = govern(rules)

    gateway.wait_for_message("a hold ended unsettled")
    assert charged(gateway) == ceiling()


def test_a_request_in_flight_when_its_process_is_killed_may_be_given_back(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    rules = {**RULES, "holds": {"lease_s": 1, "on_expiry": "release"}}
    gateway = govern(rules)
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as client:
        asked(client, brief())
        upstream.wait_for_request()
        gateway.kill()
    go_on.happen()

    gateway = govern(rules)

    gateway.wait_for_message("a hold ended unsettled")
    assert charged(gateway) == 0


# ---------------------------------------------------------------- errors


def test_an_error_of_the_upstream_counts_as_a_request_and_costs_nothing(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    gateway = govern(RULES)
    upstream.script(plain(error("no"), 400), plain(error("broken"), 500), plain(b"<html>", kind="text/html"))

    statuses = [ask(gateway).status for _ in range(3)]

    assert statuses == [400, 500, 502]
    gateway.wait_for_idle()
    assert charged(gateway) == 0
    assert requests_counted(gateway) == 3 + 2


def test_a_fallback_is_charged_once_and_counts_once(govern: Govern, upstream: ScriptedUpstream) -> None:
    router = {"tiers": {"complex": ["large", "mid"]}, "default_tier": "complex"}
    gateway = govern(RULES, router=router)
    upstream.script(plain(error("broken"), 500), costing(9, 3))

    answer = ask(gateway, brief(model="auto"))

    assert (answer.status, answer.headers["x-tierway-model"]) == (200, "mid")
    assert charged(gateway) == COST
    assert requests_counted(gateway) == 1 + 2


def test_a_stream_that_breaks_is_charged_for_what_came(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    upstream.script(stream(*events(chunk("x" * 400)), CLOSE))

    ask(gateway, STREAM, ("x-request-id", "broken"))

    cost = gateway.wait_for_log(request_id="broken")["cost_microusd"]
    assert cost > 0
    assert charged(gateway) == cost


# ---------------------------------------------------------------- callers who leave


def test_a_caller_who_leaves_before_the_answer_is_charged_the_prompt(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    gateway = govern(RULES)
    never = Moment()
    upstream.script(plain(completion(), before=[never]))
    with WireClient(gateway.address) as client:
        asked(client, brief(), ("x-request-id", "left"))
        upstream.wait_for_request()

    line = gateway.wait_for_log(request_id="left")
    never.happen()

    assert (line["status"], line["usage"]["provenance"]) == (499, "estimated")
    assert 0 < line["cost_microusd"] < ceiling()
    assert charged(gateway) == line["cost_microusd"]


def test_a_caller_who_leaves_in_the_middle_of_a_stream_is_charged_what_was_generated(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    gateway = govern(RULES)
    never = Moment()
    upstream.script(stream(*events(chunk("x" * 400)), never))
    with WireClient(gateway.address) as client:
        asked(client, brief(stream=True, max_tokens=1000), ("x-request-id", "left"))
        client.head()
        assert client.chunk()

    line = gateway.wait_for_log(request_id="left")
    never.happen()

    assert line["status"] == 499
    assert line["usage"]["output_tokens"] == 100
    assert charged(gateway) == line["cost_microusd"] == line["usage"]["input_tokens"] + 200


def test_a_caller_who_leaves_holds_nothing_any_more(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({**RULES, "limits": {"requests_per_day": 100, "concurrency": 1}})
    never = Moment()
    upstream.script(plain(completion(), before=[never]))
    with WireClient(gateway.address) as client:
        asked(client, brief())
        upstream.wait_for_request()
        assert ask(gateway).status == 429

    wait_until(lambda: ask(gateway).status == 200, "the end of the hold")
    never.happen()


# ---------------------------------------------------------------- holds of their own


def test_two_requests_with_the_same_id_are_held_and_charged_apart(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    go_on = Moment()
    upstream.script(*[plain(completion(), before=[go_on])] * 2)
    same = ("x-request-id", "the-same")
    with WireClient(gateway.address) as one, WireClient(gateway.address) as other:
        asked(one, brief(), same)
        asked(other, brief(), same)
        upstream.wait_for_request(2)

        held = charged(gateway)
        go_on.happen()

        assert [client.answer().headers["x-request-id"] for client in (one, other)] == ["the-same"] * 2
    assert held == 2 * ceiling()
    assert charged(gateway) == 2 * COST


def test_two_requests_with_the_same_id_one_after_the_other_are_charged_apart(govern: Govern) -> None:
    gateway = govern(RULES)

    for _ in range(2):
        ask(gateway, None, ("x-request-id", "the-same"))

    assert charged(gateway) == 2 * COST
