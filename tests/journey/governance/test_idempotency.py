"""Requests with an `Idempotency-Key`: called once, paid once, answered as often as they are sent."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.journey.governance.conftest import Govern
from tests.support.governed import BUDGET, CD, CHAT, CI, COST, ask, brief, budget, charged, costing, streamed
from tests.support.live import LiveGateway, wait_until
from tests.support.mixed import message
from tests.support.moment import Moment
from tests.support.redis_server import RedisServer
from tests.support.scripted_upstream import ScriptedUpstream, completion, error, plain
from tests.support.wire import Answer, WireClient

RULES: dict[str, Any] = {"budgets": [budget(BUDGET)]}
KEY = ("idempotency-key", "order-1")


def once(gateway: LiveGateway, document: dict[str, Any] | None = None, key: str = CI) -> Answer:
    return ask(gateway, document, KEY, key=key)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_sent_again_is_answered_again_and_paid_once(
    govern: Govern, upstream: ScriptedUpstream, *, stream: bool
) -> None:
    gateway = govern(RULES)
    upstream.script(streamed() if stream else costing(9, 3))
    document = brief(stream=True) if stream else brief()

    answers = [once(gateway, document) for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len({answer.body for answer in answers}) == 1
    assert ["idempotent-replayed" in answer.headers for answer in answers] == [False, True, True]
    assert answers[1].headers["x-tierway-cost"] == "0.000000"
    assert len(upstream.requests) == 1
    assert charged(gateway) == COST


def test_a_key_belongs_to_one_request_of_one_caller(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    once(gateway)

    other = once(gateway, brief("something else"))
    of_another = once(gateway, key=CD)

    assert (other.status, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert other.headers["x-should-retry"] == "false"
    assert of_another.status == 200
    assert "idempotent-replayed" not in of_another.headers


def test_a_failure_may_be_asked_again_and_a_refusal_of_the_body_stays(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    gateway = govern(RULES)
    upstream.script(error_answer(500), plain(completion()))
    failed, answered = once(gateway), once(gateway)
    upstream.script(error_answer(400), plain(completion()))
    refused = [ask(gateway, brief("bad"), ("idempotency-key", "order-2")) for _ in range(2)]

    assert (failed.status, answered.status) == (500, 200)
    assert [answer.status for answer in refused] == [400, 400]
    assert len(upstream.requests) == 3


def error_answer(status: int) -> Any:
    return plain(error("no"), status=status)


def test_who_sends_it_again_meanwhile_waits_for_the_first(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    may_answer = Moment()
    upstream.script(plain(completion(), before=[may_answer]))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(WireClient(gateway.address)) for _ in range(5)]
        for client in clients:
            client.send(message("POST", CHAT, brief(), KEY, key=CI))
        upstream.wait_for_request()

        may_answer.happen()
        answers = [client.answer() for client in clients]

    assert [answer.status for answer in answers] == [200] * 5
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 4
    assert len(upstream.requests) == 1
    wait_until(lambda: charged(gateway) == COST, "one answer charged")


def test_a_caller_who_lost_its_connection_gets_its_answer(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES)
    may_answer = Moment()
    upstream.script(plain(completion(), before=[may_answer]))
    with WireClient(gateway.address) as client:
        client.send(message("POST", CHAT, brief(), KEY, key=CI))
        upstream.wait_for_request()

    may_answer.happen()
    answer = once(gateway)

    assert answer.status == 200
    assert len(upstream.requests) == 1
    wait_until(lambda: charged(gateway) == COST, "one answer charged")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9"])
def test_what_is_no_key_is_refused(govern: Govern, upstream: ScriptedUpstream, key: str) -> None:
    answer = ask(govern(RULES), None, ("idempotency-key", key))

    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert not upstream.requests


def test_replicas_share_keys_on_redis_and_seal_what_they_keep(govern: Govern, upstream: ScriptedUpstream) -> None:
    with RedisServer() as redis:
        shared = {"state": redis.url, "encryption_key": "a key that every replica has, long enough"}
        one, two = govern(RULES, **shared), govern(RULES, **shared)

        first, again = once(one), once(two)
        kept = redis.command("KEYS", "*once:*")
        values = b"".join(value for key in kept for value in redis.command("HVALS", key))

    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert len(upstream.requests) == 1
    assert len(values) > len(first.body) / 4
    assert b"Hello" not in values


def test_a_call_that_outlives_its_caller_ends_with_the_process(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(RULES, server={"drain_s": 0.5})
    upstream.script(plain(completion(), before=[Moment()]))
    with WireClient(gateway.address) as client:
        client.send(message("POST", CHAT, brief(), KEY, key=CI))
        upstream.wait_for_request()

    gateway.stop()

    assert not gateway.faults()
