"""Limits on requests: who is refused, what refusals and answers say, and what real clients make of it."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from tests.journey.governance.conftest import Govern
from tests.support.governed import CD, CI, MESSAGES, OTHER, ask, brief, governed
from tests.support.live import LiveGateway, tierway, wait_until, write_settings
from tests.support.mixed import claude_message, messages_request
from tests.support.moment import PATIENCE_S, Moment
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain
from tests.support.wire import Answer, WireClient, chat, chat_bytes

BUCKET_S = 1
"""Seconds of a bucket of a minute: what was counted in one leaves 60 whole buckets after its end."""


def at_level(level: str, limits: dict[str, int]) -> dict[str, Any]:
    return {"limits": limits} if level == "org" else {level: {"limits": limits}}


def requests_lines(answer: Answer) -> tuple[str, str]:
    return answer.headers["x-ratelimit-limit-requests"], answer.headers["x-ratelimit-remaining-requests"]


@pytest.mark.parametrize(
    ("level", "name", "others"),
    [
        ("org", "organisation 'acme'", {CD: 429, OTHER: 429}),
        ("team", "team 'search'", {CD: 429, OTHER: 200}),
        ("key", "key 'search/ci'", {CD: 200, OTHER: 200}),
    ],
)
def test_one_request_more_than_a_minute_allows_is_refused(
    govern: Govern, upstream: ScriptedUpstream, level: str, name: str, others: dict[str, int]
) -> None:
    gateway = govern(at_level(level, {"requests_per_minute": 3}))

    answers = [ask(gateway) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [requests_lines(answer) for answer in answers] == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]
    assert len(upstream.requests) == 3
    error = answers[-1].json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert f"3 requests a minute of {name}" in error["message"]
    assert {key: ask(gateway, key=key).status for key in others} == others


def test_a_refusal_says_exactly_when_to_come_back(govern: Govern) -> None:
    gateway = govern({"limits": {"requests_per_minute": 1}})
    began = time.time()
    ask(gateway)
    counted = time.time()

    asked = time.time()
    answer = ask(gateway)
    answered = time.time()

    leaves = [(math.floor(at / BUCKET_S) + 61) * BUCKET_S for at in (began, counted)]
    wait_ms = int(answer.headers["retry-after-ms"])
    assert (leaves[0] - answered) * 1000 - 1 <= wait_ms <= (leaves[1] - asked) * 1000 + 1
    assert int(answer.headers["retry-after"]) == math.ceil(wait_ms / 1000)
    assert answer.headers["x-ratelimit-reset-requests"] in ("1m0s", "1m1s")
    assert "x-should-retry" not in answer.headers


def test_the_tightest_of_several_limits_is_the_one_that_is_told(govern: Govern) -> None:
    gateway = govern({"limits": {"requests_per_minute": 50}, "key": {"limits": {"requests_per_day": 20}}})

    assert requests_lines(ask(gateway)) == ("20", "19")
    assert requests_lines(ask(gateway, key=CD)) == ("50", "48")


def test_limits_on_tokens_are_told_and_settled(govern: Govern) -> None:
    gateway = govern({"limits": {"input_tokens_per_minute": 1000, "output_tokens_per_minute": 2000}})

    answer = ask(gateway)

    assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "991"
    assert "x-tierway-budget" not in answer.headers


def test_a_request_that_never_fits_is_not_to_be_sent_again(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"input_tokens_per_minute": 10}})

    answer = ask(gateway, brief("x" * 500))

    assert (answer.status, answer.headers["x-should-retry"]) == (429, "false")
    assert "less than this request alone may need" in answer.json()["error"]["message"]
    assert upstream.requests == []


def test_more_requests_at_once_than_allowed_are_refused_until_one_ends(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    gateway = govern({"limits": {"concurrency": 1}})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as first:
        first.send(chat_bytes(brief(), ("authorization", f"Bearer {CI}")))
        upstream.wait_for_request()

        refused = ask(gateway)
        go_on.happen()

        assert first.answer().status == 200
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert "1 requests at once" in refused.json()["error"]["message"]
    assert ask(gateway).status == 200


def test_anthropics_clients_are_told_in_their_own_words(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.otherwise = plain(claude_message())
    gateway = govern({"limits": {"requests_per_minute": 1}})

    answered, refused = (ask(gateway, messages_request("loose"), path=MESSAGES) for _ in range(2))

    for answer in (answered, refused):
        assert answer.headers["anthropic-ratelimit-requests-limit"] == "1"
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert answer.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert not [name for name in answer.headers if name.startswith("x-ratelimit")]
    assert (answered.status, refused.status) == (200, 429)
    assert int(refused.headers["retry-after"]) in (60, 61)
    document = refused.json()
    assert (document["type"], document["error"]["type"]) == ("error", "rate_limit_error")
    assert "1 requests a minute" in document["error"]["message"]


def test_anthropics_own_client_raises_its_own_error(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.otherwise = plain(claude_message())
    gateway = govern({"limits": {"requests_per_minute": 1}})

    with anthropic.Anthropic(base_url=gateway.url, api_key=CI, max_retries=0) as client:
        client.messages.create(model="loose", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(anthropic.RateLimitError, match="1 requests a minute"):
            client.messages.create(model="loose", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])


def test_openais_own_client_raises_its_own_error(govern: Govern) -> None:
    gateway = govern({"limits": {"requests_per_minute": 1}})

    with openai.OpenAI(base_url=gateway.api, api_key=CI, max_retries=0) as client:
        client.chat.completions.create(model="loose", messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="loose", messages=[{"role": "user", "content": "Hi"}])

    assert caught.value.code == "rate_limit_exceeded"


def test_openais_own_client_comes_back_when_told_to(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"concurrency": 1}})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with (
        WireClient(gateway.address) as first,
        openai.OpenAI(base_url=gateway.api, api_key=CI, max_retries=1) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first.send(chat_bytes(brief(), ("authorization", f"Bearer {CI}")))
        upstream.wait_for_request()
        second = pool.submit(
            lambda: client.chat.completions.create(model="loose", messages=[{"role": "user", "content": "Hi"}])
        )
        gateway.wait_for_log(status=429)
        go_on.happen()

        assert first.answer().status == 200
        assert second.result(PATIENCE_S).choices[0].message.content == "Hello."


def test_openais_own_client_does_not_come_back_in_vain(govern: Govern) -> None:
    gateway = govern({"limits": {"input_tokens_per_minute": 10}})

    with (
        openai.OpenAI(base_url=gateway.api, api_key=CI, max_retries=2) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(model="loose", messages=[{"role": "user", "content": "x" * 500}])

    assert gateway.wait_for_log(status=429)["code"] == "rate_limit_exceeded"
    assert len(gateway.log) == 1


# ---------------------------------------------------------------- end users


FOR_USERS = {"users": {"limits": {"requests_per_minute": 1}}}


def test_each_end_user_is_limited_alone(govern: Govern) -> None:
    gateway = govern(FOR_USERS)

    statuses = [ask(gateway, brief(user=user)).status for user in ("anna", "anna", "ben")]

    assert statuses == [200, 429, 200]
    assert ask(gateway).status == 200


def test_an_end_user_is_the_same_by_header_and_by_name(govern: Govern) -> None:
    gateway = govern(FOR_USERS)
    ask(gateway, brief(user="anna"))

    by_header = ask(gateway, brief(user="ben"), ("x-tierway-user", "anna"))

    assert by_header.status == 429
    assert "one end user of organisation 'acme'" in by_header.json()["error"]["message"]
    assert ask(gateway, brief(user="ben")).status == 200


def test_the_name_of_an_end_user_is_nowhere_in_the_counters(govern: Govern) -> None:
    gateway = govern({"users": {"limits": {"requests_per_minute": 1}, "budgets": [{"usd": 1}]}})
    ask(gateway, brief(user="anna@example.org"))
    refused = ask(gateway, brief(user="anna@example.org"))

    assert b"anna" not in refused.body
    kept = b"".join(path.read_bytes() for path in gateway.folder.rglob("*.holds/*"))
    assert b"user:org:" in kept
    assert b"anna" not in kept


def test_requests_may_have_to_name_their_end_user(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"users": {"required": True}})

    refused = ask(gateway)

    assert (refused.status, refused.json()["error"]["param"]) == (400, "user")
    assert upstream.requests == []
    assert ask(gateway, brief(user="anna")).status == 200
    assert ask(gateway, None, ("x-tierway-user", "anna")).status == 200


# ---------------------------------------------------------------- what stays


def reload(gateway: LiveGateway, settings: dict[str, Any]) -> None:
    """Have other settings served."""
    before = gateway.get("/readyz")
    write_settings(gateway.folder, settings)
    wait_until(lambda: gateway.get("/readyz") != before, "the new settings")


def test_other_limits_keep_what_was_counted(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"requests_per_minute": 3}})
    for _ in range(3):
        ask(gateway)

    reload(gateway, governed(upstream.url, {"limits": {"requests_per_minute": 5}}))

    assert [requests_lines(ask(gateway)) for _ in range(3)] == [("5", "1"), ("5", "0"), ("5", "0")]


def test_what_was_counted_outlives_a_killed_process(govern: Govern) -> None:
    rules = {"limits": {"requests_per_minute": 3}}
    gateway = govern(rules)
    for _ in range(2):
        ask(gateway)

    gateway.kill()
    gateway = govern(rules)

    assert [ask(gateway).status for _ in range(2)] == [200, 429]


def test_a_second_process_does_not_count_on_the_same_state(govern: Govern) -> None:
    gateway = govern({"limits": {"requests_per_minute": 3}})

    second = tierway("serve", "--port", "0", "--config", str(gateway.path), folder=gateway.folder)

    assert second.returncode != 0
    assert "state: another process" in second.stderr
    assert "Traceback" not in second.stderr
    assert ask(gateway, chat("loose")).status == 200
