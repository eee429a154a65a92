"""Every answer, chunk, model list and error fits the published description of OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.live import LiveGateway
from tests.support.scripted_upstream import (
    CLOSE,
    USAGE,
    ScriptedUpstream,
    chunk,
    completion,
    error,
    events,
    plain,
    stream,
)
from tests.support.spec import check_against_spec
from tests.support.wire import WireClient, chat

FUNCTION = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
OTHER_FUNCTION = {"type": "function", "function": {"name": "get_time"}}
CUSTOM = {"type": "custom", "custom": {"name": "run_code", "description": "Runs code."}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}
PARTS = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]

REQUESTS: dict[str, dict[str, Any]] = {
    "text": chat("auto"),
    "parts": {"model": "auto", "messages": [{"role": "user", "content": PARTS}]},
    "several choices": chat("auto", n=3),
    "log probabilities": chat("auto", logprobs=True, top_logprobs=2),
    "length": chat("auto", "a long text of many words, repeated", max_tokens=2),
    "completion length": chat("auto", "a long text of many words, repeated", max_completion_tokens=1),
    "stop": chat("auto", "one two three", stop=["two"]),
    "tool": chat("auto", "Use get_weather.", tools=[FUNCTION]),
    "tools in parallel": chat("auto", "Use get_weather and get_time.", tools=[FUNCTION, OTHER_FUNCTION]),
    "required tool": chat("auto", tools=[FUNCTION], tool_choice="required"),
    "no tool": chat("auto", "get_weather", tools=[FUNCTION], tool_choice="none"),
    "named tool": chat("auto", tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "get_weather"}}),
    "custom tool": chat("auto", "run_code now", tools=[CUSTOM]),
    "JSON schema": chat("auto", response_format=SCHEMA),
    "JSON object": chat("auto", "Give me JSON", response_format={"type": "json_object"}),
    "pinned": chat("echo-complex"),
    "everything else": chat(
        "auto", temperature=0.1, top_p=1, seed=7, user="u", metadata={"a": "1"}, service_tier="auto", store=False
    ),
}


@pytest.fixture
def offline(echo: LiveGateway) -> Iterator[WireClient]:
    with WireClient(echo.address) as client:
        yield client


@pytest.mark.parametrize("request_body", REQUESTS.values(), ids=REQUESTS)
def test_plain_answer_fits(offline: WireClient, request_body: dict[str, Any]) -> None:
    answer = offline.post_chat(request_body)

    assert answer.status == 200
    check_against_spec(answer.json(), "CreateChatCompletionResponse")


@pytest.mark.parametrize("include_usage", [False, True], ids=["no usage", "usage"])
@pytest.mark.parametrize("request_body", REQUESTS.values(), ids=REQUESTS)
def test_every_chunk_fits(offline: WireClient, request_body: dict[str, Any], *, include_usage: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if include_usage else {}

    answer = offline.post_chat({**request_body, "stream": True, **options})

    *chunks, done = answer.payloads()
    assert done == b"[DONE]"
    for payload in chunks:
        check_against_spec(json.loads(payload), "CreateChatCompletionStreamResponse")
    assert ("usage" in json.loads(chunks[-1])) is include_usage


def test_explained_answer_fits(offline: WireClient) -> None:
    explain = ("x-tierway-explain", "full")

    whole = offline.post_chat(chat("auto"), explain)
    streamed = offline.post_chat(chat("auto", stream=True), explain)

    assert "tierway" in whole.json()
    check_against_spec(whole.json(), "CreateChatCompletionResponse")
    *chunks, _ = streamed.payloads()
    assert "tierway" in json.loads(chunks[-1])
    for payload in chunks:
        check_against_spec(json.loads(payload), "CreateChatCompletionStreamResponse")


def test_relayed_answers_fit(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(
        plain(completion()),
        stream(*events(chunk("Hi"), chunk(finish="stop"), {**chunk(), "choices": [], "usage": USAGE}, b"[DONE]")),
    )

    check_against_spec(wire.post_chat(chat()).json(), "CreateChatCompletionResponse")
    for payload in wire.post_chat(chat(stream=True)).payloads()[:-1]:
        check_against_spec(json.loads(payload), "CreateChatCompletionStreamResponse")


def test_model_list_and_models_fit(offline: WireClient) -> None:
    listed = offline.request("GET", "/v1/models").json()

    check_against_spec(listed, "ListModelsResponse")
    assert len(listed["data"]) >= 3
    for model in listed["data"]:
        check_against_spec(model, "Model")
        assert offline.request("GET", f"/v1/models/{model['id']}").json() == model


ERRORS: dict[str, tuple[str, str, bytes | None]] = {
    "broken JSON": ("POST", "/v1/chat/completions", b"{"),
    "missing model": ("POST", "/v1/chat/completions", b"{}"),
    "wrong type": ("POST", "/v1/chat/completions", b'{"model":5,"messages":[]}'),
    "unknown model": ("POST", "/v1/chat/completions", json.dumps(chat("none")).encode()),
    "unknown model in the list": ("GET", "/v1/models/none", None),
    "unknown address": ("GET", "/v1/none", None),
    "wrong method": ("DELETE", "/v1/chat/completions", None),
    "wrong method on the list": ("POST", "/v1/models", b"{}"),
}


@pytest.mark.parametrize(("method", "path", "body"), ERRORS.values(), ids=ERRORS)
def test_error_fits(offline: WireClient, method: str, path: str, body: bytes | None) -> None:
    kind = [] if body is None else [("content-type", "application/json")]

    answer = offline.request(method, path, kind, body)

    assert 400 <= answer.status < 500
    check_against_spec(answer.json(), "ErrorResponse")


PROVIDER_ERRORS: dict[str, Any] = {
    "OpenAI": plain(error("No.", "bad", "invalid_request_error", "messages"), 400),
    "number as code": plain({"error": {"message": "No.", "code": 400, "status": "INVALID_ARGUMENT"}}, 400),
    "list": plain([{"error": {"message": "No.", "code": 400}}], 400),
    "string": plain({"error": "No.", "type": "x"}, 400),
    "detail": plain({"detail": "Not Found"}, 404),
    "list of details": plain({"detail": [{"loc": ["body"], "msg": "field required"}]}, 422),
    "flat": plain({"object": "error", "message": "No.", "type": "BadRequestError", "param": None, "code": 400}, 400),
    "no message": plain({"error": {}}, 500),
    "null": plain({"error": None}, 500),
    "odd types": plain({"error": {"message": 5, "type": [], "code": {}, "param": 7}}, 400),
    "HTML": plain(b"<html></html>", 500, kind="text/html"),
    "empty": plain(b"", 429),
    "nothing": [CLOSE],
}


@pytest.mark.parametrize("answer_steps", PROVIDER_ERRORS.values(), ids=PROVIDER_ERRORS)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_error_of_a_provider_fits(
    wire: WireClient, scripted: ScriptedUpstream, answer_steps: Any, *, streamed: bool
) -> None:
    scripted.otherwise = answer_steps

    answer = wire.post_chat(chat(stream=streamed))

    assert answer.status >= 400
    check_against_spec(answer.json(), "ErrorResponse")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code", "source"}


@pytest.mark.parametrize(
    "last",
    [{"error": {"message": "No.", "code": 429}}, {"error": "No."}, {"error": {"message": None}}, b"<html>"],
    ids=["object", "string", "no message", "HTML"],
)
def test_error_inside_a_stream_fits(wire: WireClient, scripted: ScriptedUpstream, last: Any) -> None:
    scripted.script(stream(*events(chunk("Hi"), last)))

    answer = wire.post_chat(chat(stream=True))

    check_against_spec(json.loads(answer.payloads()[-1]), "ErrorResponse")


def test_description_refuses_what_does_not_fit() -> None:
    broken = completion()
    del broken["choices"][0]["finish_reason"]

    with pytest.raises(AssertionError, match="finish_reason"):
        check_against_spec(broken, "CreateChatCompletionResponse")
