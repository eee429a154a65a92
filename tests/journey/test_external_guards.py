"""Guards that others run, in front of a whole gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.edge import KEY
from tests.support.guards import GuardService
from tests.support.live import LiveGateway, relay_settings, wait_until, write_settings
from tests.support.moment import PATIENCE_S
from tests.support.scripted_api import Answer as Said
from tests.support.scripted_upstream import ScriptedUpstream, chunk, completion, events, plain, stream
from tests.support.sink import Sink
from tests.support.wire import Answer, WireClient, chat

PATIENT = {"timeout_ms": PATIENCE_S * 1000}


@pytest.fixture
def service() -> Iterator[GuardService]:
    with GuardService() as started:
        yield started


Start = Callable[..., LiveGateway]


@pytest.fixture
def guarded(start_gateway: StartGateway, upstream: ScriptedUpstream) -> Start:
    """Start a gateway before the scripted upstream, with guards."""

    def start(*guards: dict[str, Any], **guard: Any) -> LiveGateway:
        return start_gateway(settings_of(upstream, *guards, **guard))

    return start


def settings_of(upstream: ScriptedUpstream, *guards: dict[str, Any], **guard: Any) -> dict[str, Any]:
    organisation = {"teams": {"t": {"keys": [{"name": "k", "secret": KEY}]}}}
    return relay_settings(upstream.url, guard={"external": list(guards), **guard}, organisation=organisation)


def hook(service: GuardService, **more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": "hook", "url": service.origin + "/judge", **PATIENT, **more}


def ask(gateway: LiveGateway, *messages: dict[str, Any], **more: Any) -> Answer:
    body = {**chat("relayed"), "messages": list(messages) or [{"role": "user", "content": "Ada lives in Rome"}], **more}
    lines = [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")]
    with WireClient(gateway.address) as wire:
        return wire.request("POST", "/v1/chat/completions", lines, json.dumps(body).encode())


def sent(upstream: ScriptedUpstream) -> Any:
    return json.loads(upstream.last.body)["messages"]


ADA = {"findings": [{"index": 0, "start": 0, "end": 3, "rule": "person"}]}


def test_guard_that_finds_nothing_lets_a_request_pass(guarded: Start, service: GuardService) -> None:
    answer = ask(guarded(hook(service)))

    assert answer.status == 200
    assert answer.headers["x-tierway-guard"].startswith("result=ok, ")
    assert service.documents[0]["texts"] == [{"role": "user", "text": "Ada lives in Rome"}]


def test_guard_may_flag(guarded: Start, service: GuardService, upstream: ScriptedUpstream) -> None:
    service.says = lambda _: ADA
    answer = ask(guarded(hook(service)))

    assert answer.status == 200
    assert "external.hook=flag;n=1" in answer.headers["x-tierway-guard"]
    assert sent(upstream)[0]["content"] == "Ada lives in Rome"


def test_guard_may_redact(guarded: Start, service: GuardService, upstream: ScriptedUpstream) -> None:
    service.says = lambda _: ADA
    answer = ask(guarded(hook(service, action="redact")))

    assert answer.status == 200
    assert sent(upstream)[0]["content"].startswith("[[CUSTOM_1_")
    assert sent(upstream)[0]["content"].endswith("]] lives in Rome")


def test_guard_may_block_and_nothing_is_sent(guarded: Start, service: GuardService, upstream: ScriptedUpstream) -> None:
    service.says = lambda _: ADA
    answer = ask(guarded(hook(service, action="block")))

    assert (answer.status, answer.json()["error"]["code"]) == (400, "content_policy")
    assert "external.hook" in answer.json()["error"]["message"]
    assert b"Ada" not in answer.body
    assert upstream.requests == []


def test_places_of_a_guard_and_of_our_own_checks_are_replaced_together(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream
) -> None:
    service.says = lambda _: ADA
    gateway = guarded(hook(service, action="redact"), input={"pii": "redact", "unicode": "redact"})

    ask(gateway, {"role": "user", "content": "Ada is ada@acme.com"})
    plain = sent(upstream)[0]["content"]
    ask(gateway, {"role": "user", "content": "Ada is a\u200bda@acme.com"})
    disguised = sent(upstream)[0]["content"]

    for text in (plain, disguised):
        assert text.startswith("[[CUSTOM_1_")
        assert "]] is [[EMAIL_1_" in text
        assert "acme" not in text


def test_messages_of_trusted_roles_are_shown_to_nobody(guarded: Start, service: GuardService) -> None:
    messages = [{"role": "system", "content": "ours"}, {"role": "user", "content": "theirs"}]
    service.says = lambda _: {"findings": [{"index": 0}]}

    answer = ask(guarded(hook(service, action="block")), *messages)

    assert service.documents[0]["texts"] == [{"role": "user", "text": "theirs"}]
    assert "messages[1].content" in answer.json()["error"]["message"]


def test_closed_guard_that_fails_refuses(guarded: Start, service: GuardService, upstream: ScriptedUpstream) -> None:
    service.says = lambda _: Said(b"no", status=500)
    answer = ask(guarded(hook(service)))

    assert (answer.status, answer.json()["error"]["code"]) == (503, "stage_unavailable")
    assert upstream.requests == []


def test_open_guard_that_is_late_is_said_to_be(guarded: Start, upstream: ScriptedUpstream) -> None:
    with Sink() as silent:
        url = f"http://127.0.0.1:{silent.port}/"
        gateway = guarded(
            {"kind": "webhook", "name": "hook", "url": url, "timeout_ms": 50, "on_failure": "open", "action": "block"}
        )

        answer = ask(gateway)

    assert answer.status == 200
    assert 'unheard="external.hook:late"' in answer.headers["x-tierway-guard"]
    assert gateway.metrics()['tierway_external_guard_total{guard="hook",result="late"}'] == 1


def test_requests_of_other_shapes_are_shown_too(guarded: Start, service: GuardService) -> None:
    gateway = guarded(hook(service))
    lines = [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")]
    bodies = {
        "/v1/responses": {"model": "relayed", "input": "of responses"},
        "/v1/messages": {
            "model": "relayed", "max_tokens": 5, "messages": [{"role": "user", "content": "of messages"}],
        },
        "/v1/embeddings": {"model": "relayed", "input": ["of embeddings"]},
    }  # fmt: skip
    with WireClient(gateway.address) as wire:
        for path, body in bodies.items():
            wire.request("POST", path, lines, json.dumps(body).encode())

    assert [document["texts"][0]["text"] for document in service.documents] == [
        "of responses",
        "of messages",
        "of embeddings",
    ]


def test_edit_of_the_settings_changes_who_is_asked(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream
) -> None:
    gateway = guarded()
    assert "x-tierway-guard" not in ask(gateway).headers

    write_settings(gateway.folder, settings_of(upstream, hook(service)))
    wait_until(lambda: "x-tierway-guard" in ask(gateway).headers, "the guard")

    assert service.requests


# ---------------------------------------------------------------- answers


def on_answers(service: GuardService, **more: Any) -> dict[str, Any]:
    return hook(service, direction="output", **more)


HELLO = {"findings": [{"index": 0, "start": 0, "end": 5, "rule": "greeting"}]}


def test_answers_are_shown_as_the_upstream_gave_them(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream
) -> None:
    gateway = guarded(on_answers(service), input={"pii": "redact"})

    def echo(content: str) -> str:
        ask(gateway, {"role": "user", "content": content})
        placeholder: str = sent(upstream)[0]["content"].split()[-1]
        return placeholder

    placeholder = echo("I am ada@acme.com")
    upstream.script(plain(completion(f"Hello {placeholder}")))
    answer = ask(gateway, {"role": "user", "content": "I am ada@acme.com"})

    assert service.documents[-1]["direction"] == "output"
    assert service.documents[-1]["texts"] == [{"role": "assistant", "text": f"Hello {placeholder}"}]
    assert "ada@acme.com" not in str(service.documents)
    assert answer.status == 200


def test_answer_may_be_blocked(guarded: Start, service: GuardService) -> None:
    service.says = lambda _: HELLO
    gateway = guarded(on_answers(service, action="block"))

    answer = ask(gateway)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "content_policy")
    assert "output.external.hook=block;n=1" in answer.headers["x-tierway-guard"]
    assert b"Hello" not in answer.body
    assert gateway.wait_for_log(status=400)["cost_microusd"] > 0


def test_answer_may_be_redacted_for_good(guarded: Start, service: GuardService) -> None:
    service.says = lambda _: HELLO
    answer = ask(guarded(on_answers(service, action="redact")))

    assert answer.json()["choices"][0]["message"]["content"] == "[REDACTED_CUSTOM]."


def streamed(upstream: ScriptedUpstream, *pieces: str) -> None:
    upstream.script(stream(*events(*[chunk(piece) for piece in pieces], chunk(finish="stop")), b"data: [DONE]\n\n"))


@pytest.mark.parametrize("action", ["block", "redact"])
def test_stream_is_blocked_before_a_byte_of_it_is_sent(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream, action: str
) -> None:
    service.says = lambda _: HELLO
    gateway = guarded(on_answers(service, action=action))
    streamed(upstream, "Hel", "lo!")

    answer = ask(gateway, stream=True)

    assert service.documents[-1]["texts"] == [{"role": "assistant", "text": "Hello!"}]
    assert (answer.status, answer.json()["error"]["code"]) == (400, "content_policy")


def test_stream_that_may_pass_is_sent_as_it_came(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream
) -> None:
    gateway = guarded(on_answers(service))
    streamed(upstream, "Hel", "lo!")

    answer = ask(gateway, stream=True)

    assert answer.status == 200
    assert answer.body.count(b"data: ") == 4
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_closed_guard_that_fails_refuses_an_answer(
    guarded: Start, service: GuardService, upstream: ScriptedUpstream, *, is_streamed: bool
) -> None:
    service.says = lambda _: Said(b"no", status=500)
    gateway = guarded(on_answers(service))
    if is_streamed:
        streamed(upstream, "Hello")

    answer = ask(gateway, stream=is_streamed)

    assert (answer.status, answer.json()["error"]["code"]) == (503, "stage_unavailable")


def test_open_guard_that_fails_lets_an_answer_pass_and_says_so(guarded: Start, service: GuardService) -> None:
    service.says = lambda _: Said(b"no", status=500)
    answer = ask(guarded(on_answers(service, on_failure="open")))

    assert answer.status == 200
    assert 'unheard="external.hook:failed"' in answer.headers["x-tierway-guard"]
