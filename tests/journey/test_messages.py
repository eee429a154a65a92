"""Messages: Anthropic's clients in front of every kind of upstream, and every client in front of Anthropic."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.conftest import StartGateway
from tests.support.anthropic_checks import check_message
from tests.support.live import UPSTREAM_KEY, relay_settings
from tests.support.mixed import (
    ANTHROPIC_KEY,
    PRICE,
    RED,
    Mixed,
    claude_error,
    claude_events,
    claude_message,
    claude_stream,
    message,
    messages_request,
    named_events,
    read_events,
    response,
    response_stream,
    responses_request,
)
from tests.support.moment import Moment
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
from tests.support.wire import Answer, WireClient, chat

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
VERSION = ("anthropic-version", "2023-06-01")


@pytest.fixture
def claude(mixed: Mixed) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=mixed.gateway.url, api_key=RED, max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(mixed: Mixed) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client:
        yield client


def assert_anthropic_error(answer: Answer, status: int, kind: str) -> None:
    document = answer.json()
    assert (answer.status, document["type"], document["error"]["type"]) == (status, "error", kind)
    assert document["error"]["message"]
    assert document["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


# ---------------------------------------------------------------- relayed


def test_body_and_answer_pass_as_they_are(mixed: Mixed) -> None:
    answered = json.dumps(claude_message(new=[1.0, None]), indent=1).encode()
    mixed["claude"].script(plain(answered))
    body = (
        b'{"zeta":1.0e0,"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"Hi",'
        b'"cache_control":{"type":"ephemeral"}},{"type":"unheard_of","x":null}]}],"system":"\\ud83d"}'
    )

    answer = mixed.post(MESSAGES, body)

    assert answer.body == answered
    assert mixed["claude"].last.body == body.replace(b'"claude"', b'"claude-model"')
    assert mixed["claude"].last.target == "/v1/messages"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert "x-tierway-dropped" not in answer.headers


def test_stream_passes_event_for_event(mixed: Mixed) -> None:
    sent = [*claude_events()[:3], {"type": "unheard_of", "x": [1.0]}, *claude_events()[3:]]
    mixed["claude"].script(stream(*named_events(*sent)))

    answer = mixed.post(MESSAGES, messages_request(stream=True), ("x-request-id", "claude-stream"))

    assert answer.ended_well
    assert answer.body == b"".join(named_events(*sent))
    line = mixed.gateway.wait_for_log(request_id="claude-stream")
    assert line["route"] == "messages"
    assert (line["usage"]["input_tokens"], line["usage"]["cached_tokens"], line["usage"]["output_tokens"]) == (9, 4, 3)
    assert line["cost_microusd"] == round(13 * PRICE["input"] + 3 * PRICE["output"])


def test_anthropic_client_reads_both(mixed: Mixed, claude: anthropic.Anthropic) -> None:
    mixed["claude"].script(plain(claude_message()), claude_stream())
    request: Any = messages_request()

    made = claude.messages.create(**request)
    with claude.messages.stream(**request) as read:
        streamed = read.get_final_message()

    assert [block.text for block in made.content if block.type == "text"] == ["Hello."]
    assert [block.text for block in streamed.content if block.type == "text"] == ["Hello."]
    assert streamed.usage.output_tokens == 3


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_both_ways_of_sending_a_key_work_and_neither_goes_upstream(mixed: Mixed, header: str) -> None:
    mixed["claude"].script(plain(claude_message()))
    value = RED if header == "x-api-key" else f"Bearer {RED}"

    answer = mixed.ask("POST", MESSAGES, messages_request(), (header, value), key=None)

    assert answer.status == 200
    assert mixed["claude"].last.headers["x-api-key"] == ANTHROPIC_KEY
    assert "authorization" not in mixed["claude"].last.headers
    assert RED not in mixed["claude"].last.head.decode()


def test_client_with_an_auth_token_is_known(mixed: Mixed) -> None:
    mixed["claude"].script(plain(claude_message()))
    request: Any = messages_request()

    with anthropic.Anthropic(base_url=mixed.gateway.url, auth_token=RED, max_retries=0) as client:
        assert client.messages.create(**request).id == "msg_scripted"


def test_openai_server_with_messages_is_asked_for_them(mixed: Mixed) -> None:
    mixed["both"].script(plain(claude_message()))

    answer = mixed.post(MESSAGES, messages_request("both"))

    assert answer.status == 200
    assert mixed["both"].last.target == "/v1/messages"
    assert mixed["both"].last.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


def test_base_url_that_ends_in_v1_is_understood(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    settings = {
        "upstreams": {"s": {"kind": "anthropic", "base_url": upstream.url}},
        "models": {"m": {"upstream": "s"}},
    }
    upstream.script(plain(claude_message()))
    gateway = start_gateway(settings)

    with WireClient(gateway.address) as client:
        client.send(message("POST", MESSAGES, messages_request("m"), key=None))
        assert client.answer().status == 200

    assert upstream.url.endswith("/v1")
    assert upstream.last.target == "/v1/messages"


# ---------------------------------------------------------------- translated


def chat_stream() -> Any:
    usage = chunk(choices=[], usage=USAGE)
    return stream(*events(chunk("Hel"), chunk("lo."), chunk(finish="stop"), usage, b"[DONE]"))


@pytest.mark.parametrize("model", ["chat", "only"])
def test_other_upstreams_answer_anthropics_client(mixed: Mixed, claude: anthropic.Anthropic, model: str) -> None:
    plainly, streamed = (plain(completion("Hello.")), chat_stream())
    if model == "only":
        plainly, streamed = plain(response(text="Hello.")), response_stream(text="Hello.")
    mixed[model].script(plainly, streamed)
    request: Any = messages_request(model)

    made = claude.messages.create(**request)
    with claude.messages.stream(**request) as read:
        final = read.get_final_message()

    check_message(json.loads(made.to_json(exclude_unset=True)))
    answers: list[Any] = [made, final]
    for read_message in answers:
        assert [block.text for block in read_message.content if block.type == "text"] == ["Hello."]
        assert read_message.stop_reason == "end_turn"
        assert read_message.usage.output_tokens == 3


def test_what_was_lost_is_listed(mixed: Mixed) -> None:
    answer = mixed.post(MESSAGES, messages_request("chat", top_k=5, stop_sequences=["x"], service_tier="auto"))

    assert answer.status == 200
    assert "top_k" in answer.headers["x-tierway-dropped"].split(", ")
    assert "stop_sequences" not in answer.headers["x-tierway-dropped"]


def test_nothing_lost_is_nothing_listed(mixed: Mixed) -> None:
    answer = mixed.post(MESSAGES, messages_request("chat"))

    assert "x-tierway-dropped" not in answer.headers


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", chat("claude")),
    "responses": ("/v1/responses", responses_request("claude")),
    "messages": (MESSAGES, messages_request()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_anthropic_answers_every_shape(mixed: Mixed, shape: str) -> None:
    path, document = SHAPES[shape]
    mixed["claude"].script(plain(claude_message()), claude_stream())

    plainly = mixed.post(path, document)
    streamed = mixed.post(path, {**document, "stream": True})

    assert plainly.status == streamed.status == 200
    assert "Hello." in plainly.body.decode()
    assert "Hello." in streamed.body.decode()
    assert streamed.ended_well
    assert {received.target for received in mixed["claude"].requests} == {"/v1/messages"}
    for received in mixed["claude"].requests:
        assert received.headers["x-api-key"] == ANTHROPIC_KEY
        assert received.headers["anthropic-version"] == "2023-06-01"
        assert RED not in received.head.decode()


def test_openai_client_reads_anthropic(mixed: Mixed, gpt: openai.OpenAI) -> None:
    mixed["claude"].script(plain(claude_message()), claude_stream(), plain(claude_message()), claude_stream())
    said: Any = [{"role": "user", "content": "Hi"}]

    made = gpt.chat.completions.create(model="claude", messages=said)
    chunks = list(gpt.chat.completions.create(model="claude", messages=said, stream=True))
    answered = gpt.responses.create(model="claude", input="Hi")
    with gpt.responses.stream(model="claude", input="Hi") as read:
        final = read.until_done().get_final_response()

    assert made.choices[0].message.content == "Hello."
    assert "".join(part.choices[0].delta.content or "" for part in chunks if part.choices) == "Hello."
    assert answered.output_text == final.output_text == "Hello."


@pytest.mark.parametrize(("asked", "sent"), [({}, 777), ({"max_tokens": 5}, 5), ({"max_completion_tokens": 6}, 6)])
def test_longest_answer_is_the_models_unless_asked_otherwise(mixed: Mixed, asked: dict[str, int], sent: int) -> None:
    mixed["claude"].script(plain(claude_message()))

    mixed.post("/v1/chat/completions", {**chat("claude"), **asked})

    assert mixed["claude"].last.json()["max_tokens"] == sent


def test_what_anthropic_has_no_api_for_is_refused(mixed: Mixed) -> None:
    for path, document in {
        "/v1/embeddings": {"model": "claude", "input": "x"},
        "/v1/completions": {"model": "claude", "prompt": "x"},
    }.items():
        answer = mixed.post(path, document)

        assert (answer.status, answer.json()["error"]["code"]) == (400, "unsupported_endpoint")
        assert answer.json()["error"]["param"] == "model"
    assert mixed["claude"].requests == []


# ---------------------------------------------------------------- errors

OVERLOADED = plain(claude_error("overloaded_error", "Overloaded"), 529)


def test_overloaded_is_529_for_anthropics_clients(mixed: Mixed, claude: anthropic.Anthropic) -> None:
    mixed["claude"].script(OVERLOADED, OVERLOADED)
    request: Any = messages_request()

    with pytest.raises(anthropic.InternalServerError) as raised:
        claude.messages.create(**request)

    assert raised.value.status_code == 529
    assert_anthropic_error(mixed.post(MESSAGES, messages_request()), 529, "overloaded_error")


@pytest.mark.parametrize("shape", ["chat", "responses"])
def test_overloaded_is_503_for_openais_clients(mixed: Mixed, shape: str) -> None:
    path, document = SHAPES[shape]
    mixed["claude"].script(OVERLOADED)

    answer = mixed.post(path, document)

    assert (answer.status, answer.json()["error"]["code"]) == (503, "overloaded_error")
    assert answer.json()["error"]["message"] == "Overloaded"
    assert answer.headers.get("x-should-retry") != "false"


def test_openais_client_asks_an_overloaded_server_again(mixed: Mixed, gpt: openai.OpenAI) -> None:
    mixed["claude"].script(OVERLOADED, plain(claude_message()))
    said: Any = [{"role": "user", "content": "Hi"}]

    made = gpt.with_options(max_retries=1).chat.completions.create(model="claude", messages=said)

    assert made.choices[0].message.content == "Hello."


LIMITS = [
    ("retry-after", "7"),
    ("anthropic-ratelimit-requests-limit", "50"),
    ("anthropic-ratelimit-requests-remaining", "0"),
    ("anthropic-ratelimit-tokens-reset", "2030-01-01T00:00:00Z"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_rate_limit_says_when_to_come_back(mixed: Mixed, shape: str) -> None:
    path, document = SHAPES[shape]
    mixed["claude"].script(plain(claude_error("rate_limit_error", "Slow down."), 429, LIMITS))

    answer = mixed.post(path, document)

    assert answer.status == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    for name, value in LIMITS:
        assert answer.headers[name] == value


def test_rate_limits_of_an_answer_pass(mixed: Mixed) -> None:
    mixed["claude"].script(plain(claude_message(), headers=[*LIMITS, ("set-cookie", "a=b"), ("request-id", "theirs")]))

    answer = mixed.post(MESSAGES, messages_request())

    assert answer.headers["anthropic-ratelimit-requests-limit"] == "50"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert "set-cookie" not in answer.headers


UPSTREAM_ERRORS = [
    (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (404, "not_found_error"),
    (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), UPSTREAM_ERRORS)
def test_errors_of_anthropic_keep_status_type_and_words(mixed: Mixed, status: int, kind: str) -> None:
    mixed["claude"].script(plain(claude_error(kind, f"Words {ANTHROPIC_KEY}."), status))

    answer = mixed.post(MESSAGES, messages_request())

    assert_anthropic_error(answer, status, kind)
    assert answer.json()["error"]["message"] == "Words ***."


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (404, "not_found_error"), (503, "overloaded_error")]
)
def test_errors_of_openai_take_anthropics_shape(mixed: Mixed, status: int, kind: str) -> None:
    mixed["chat"].script(plain(error("Words."), status))

    answer = mixed.post(MESSAGES, messages_request("chat"))

    assert_anthropic_error(answer, 529 if status == 503 else status, kind)
    assert answer.json()["error"]["message"] == "Words."


@pytest.mark.parametrize("shape", SHAPES)
def test_error_in_mid_stream_has_the_callers_shape(mixed: Mixed, shape: str) -> None:
    path, document = SHAPES[shape]
    broken = claude_error("overloaded_error", "Overloaded")
    mixed["claude"].script(stream(*named_events(*claude_events()[:4], broken)))

    answer = mixed.post(path, {**document, "stream": True})

    name, told = read_events(answer.body)[-1]
    assert not answer.ended_well
    assert told["error"]["message"] == "Overloaded"
    if shape == "messages":
        assert (name, told["type"], told["error"]["type"]) == ("error", "error", "overloaded_error")
    elif shape == "responses":
        assert (name, told["type"], told["message"]) == ("error", "error", "Overloaded")
    else:
        assert name == ""
        assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("ends", ["last chunk", CLOSE])
@pytest.mark.parametrize("shape", SHAPES)
def test_stream_cut_by_anthropic_is_a_failure(mixed: Mixed, shape: str, ends: str) -> None:
    path, document = SHAPES[shape]
    pieces = named_events(*claude_events()[:4])
    mixed["claude"].script(stream(*pieces) if ends != CLOSE else [*stream(*pieces, ends=False), CLOSE])

    answer = mixed.post(path, {**document, "stream": True})

    _, told = read_events(answer.body)[-1]
    assert "error" in told
    assert not answer.ended_well
    for end in (b"message_stop", b"[DONE]", b"response.completed", b'"finish_reason":"'):
        assert end not in answer.body


def test_error_before_the_first_event_is_a_status(mixed: Mixed) -> None:
    mixed["claude"].script(stream(*named_events(claude_error("overloaded_error", "Overloaded"))))

    answer = mixed.post(MESSAGES, messages_request(stream=True))

    assert_anthropic_error(answer, 529, "overloaded_error")


GATEWAY_ERRORS: dict[str, tuple[bytes | dict[str, Any], int, str]] = {
    "broken JSON": (b"{", 400, "invalid_request_error"),
    "no object": (b"[]", 400, "invalid_request_error"),
    "no max_tokens": (
        {"model": "claude", "messages": [{"role": "user", "content": "x"}]},
        400,
        "invalid_request_error",
    ),
    "no messages": ({"model": "claude", "max_tokens": 1}, 400, "invalid_request_error"),
    "unknown model": (messages_request("nobody"), 404, "not_found_error"),
    "too many messages": (
        messages_request(messages=[{"role": "user", "content": "x"}] * 501),
        400,
        "invalid_request_error",
    ),
    "untranslatable": (
        messages_request("chat", tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        400,
        "invalid_request_error",
    ),
}


@pytest.mark.parametrize(("document", "status", "kind"), GATEWAY_ERRORS.values(), ids=GATEWAY_ERRORS)
def test_refusals_have_anthropics_shape(mixed: Mixed, document: Any, status: int, kind: str) -> None:
    assert_anthropic_error(mixed.post(MESSAGES, document), status, kind)


@pytest.mark.parametrize("path", [MESSAGES, COUNT, "/messages", "/v1/messages/"])
def test_unknown_key_is_told_in_anthropics_shape(mixed: Mixed, path: str) -> None:
    wrong = mixed.ask("POST", path, messages_request(), ("x-api-key", "wrong-key-0123456789"), key=None)
    none = mixed.ask("POST", path, messages_request(), key=None)

    assert_anthropic_error(wrong, 401, "authentication_error")
    assert_anthropic_error(none, 401, "authentication_error")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method_is_told_in_anthropics_shape(mixed: Mixed, method: str) -> None:
    answer = mixed.ask(method, MESSAGES)

    assert_anthropic_error(answer, 405, "invalid_request_error")
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_wrong_content_type_is_told_in_anthropics_shape(mixed: Mixed) -> None:
    answer = mixed.post(MESSAGES, messages_request(), ("content-type", "text/plain"))

    assert_anthropic_error(answer, 415, "invalid_request_error")


def test_broken_compression_is_told_in_anthropics_shape(mixed: Mixed) -> None:
    body = zlib.compress(b"{}")

    answer = mixed.post(MESSAGES, body, ("content-type", "application/json"), ("content-encoding", "gzip"))

    assert_anthropic_error(answer, 400, "invalid_request_error")


@pytest.mark.parametrize("value", ["0", "x", "-1", "nan"])
def test_wrong_deadline_is_told(mixed: Mixed, value: str) -> None:
    answer = mixed.post(MESSAGES, messages_request(), ("x-tierway-timeout-ms", value))

    assert answer.status == 400


def test_deadline_is_told_in_anthropics_shape(mixed: Mixed) -> None:
    never = Moment()
    mixed["claude"].script(plain(claude_message(), before=[never]))

    answer = mixed.post(MESSAGES, messages_request(), ("x-tierway-timeout-ms", "200"))
    never.happen()

    assert_anthropic_error(answer, 504, "timeout_error")


def test_unreachable_upstream_is_told_in_anthropics_shape(start_gateway: StartGateway) -> None:
    gateway = start_gateway(relay_settings("http://127.0.0.1:9/v1"))

    with WireClient(gateway.address) as client:
        client.send(message("POST", MESSAGES, messages_request("relayed"), key=None))
        answer = client.answer()

    assert_anthropic_error(answer, 502, "api_error")


def test_too_large_a_body_and_a_full_gateway_are_told_in_anthropics_shape(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    limits = {"server": {"body_limit_mb": 0.01}, "organisation": {"limits": {"concurrency": 1}}}
    gateway = start_gateway(relay_settings(upstream.url, **limits))
    never = Moment()
    upstream.script(plain(completion(), before=[never]))
    with WireClient(gateway.address) as client, WireClient(gateway.address) as other:
        client.send(message("POST", MESSAGES, messages_request("relayed", "x" * 20_000), key=None))
        too_large = client.answer()
        other.send(message("POST", MESSAGES, messages_request("relayed"), key=None))
        upstream.wait_for_request()
        with WireClient(gateway.address) as third:
            third.send(message("POST", MESSAGES, messages_request("relayed"), key=None))
            full = third.answer()
        never.happen()
        other.answer()

    assert_anthropic_error(too_large, 413, "request_too_large")
    assert_anthropic_error(full, 429, "rate_limit_error")
    assert int(full.headers["retry-after"]) > 0


# ---------------------------------------------------------------- headers that travel


def test_version_and_betas_of_the_caller_travel(mixed: Mixed) -> None:
    mixed["claude"].script(plain(claude_message()))

    mixed.post(MESSAGES, messages_request(), ("anthropic-version", "2024-99-99"), ("anthropic-beta", "a-1,b-2"))

    assert mixed["claude"].last.headers["anthropic-version"] == "2024-99-99"
    assert mixed["claude"].last.headers["anthropic-beta"] == "a-1,b-2"
    names = [name for name, _ in mixed["claude"].last.header_lines]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("model", "query", "target"),
    [
        ("claude", "beta=true", "/v1/messages?beta=true"),
        ("claude", "a=%20b&c", "/v1/messages?a=%20b&c"),
        ("claude", "", "/v1/messages"),
        ("both", "beta=true", "/v1/messages"),
        ("chat", "beta=true", "/v1/chat/completions"),
    ],
)
def test_query_travels_to_anthropic_only(mixed: Mixed, model: str, query: str, target: str) -> None:
    mixed[model].script(plain(completion() if model == "chat" else claude_message()))

    answer = mixed.post(f"{MESSAGES}?{query}" if query else MESSAGES, messages_request(model=model))

    assert answer.status == 200
    assert mixed[model].last.target == target


@pytest.mark.parametrize("repeated", [("anthropic-beta", "a-1"), ("tracestate", "x=1")])
def test_every_line_of_a_header_travels(mixed: Mixed, repeated: tuple[str, str]) -> None:
    mixed["claude"].script(plain(claude_message()))
    name, value = repeated

    mixed.post(MESSAGES, messages_request(), repeated, (name, "later"))

    assert mixed["claude"].last.headers[name] == f"{value}, later"


# ---------------------------------------------------------------- counting tokens


def test_count_is_relayed_where_it_is_known(mixed: Mixed, claude: anthropic.Anthropic) -> None:
    mixed["claude"].script(plain({"input_tokens": 42}))

    said: Any = [{"role": "user", "content": "Hi"}]
    counted = claude.messages.count_tokens(model="claude", messages=said)

    assert counted.input_tokens == 42
    assert mixed["claude"].last.target == "/v1/messages/count_tokens"
    assert mixed["claude"].last.json()["model"] == "claude-model"
    line = mixed.gateway.wait_for_log(route="count_tokens")
    assert "usage" not in line
    assert not line.get("cost_microusd")


@pytest.mark.parametrize("model", ["chat", "only", "both"])
def test_count_is_estimated_elsewhere(mixed: Mixed, claude: anthropic.Anthropic, model: str) -> None:
    short: Any = [{"role": "user", "content": "Hi"}]
    long: Any = [{"role": "user", "content": "Hi there. " * 400}]

    few = claude.messages.count_tokens(model=model, messages=short).input_tokens
    many = claude.messages.count_tokens(model=model, messages=long).input_tokens

    assert 1 <= few < many
    assert mixed[model].requests == []


def test_count_is_estimated_where_it_turns_out_to_be_unknown(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    settings = {"upstreams": {"s": {"kind": "anthropic", "base_url": upstream.url}}, "models": {"m": {"upstream": "s"}}}
    upstream.script(plain({"detail": "Not Found"}, 404), plain(claude_message()))
    gateway = start_gateway(settings)

    with WireClient(gateway.address) as client:
        for _ in range(2):
            client.send(message("POST", COUNT, messages_request("m"), key=None))
            assert client.answer().json()["input_tokens"] > 0
        client.send(message("POST", MESSAGES, messages_request("m"), key=None))
        assert client.answer().status == 200

    assert [received.target for received in upstream.requests] == ["/v1/messages/count_tokens", "/v1/messages"]


# ---------------------------------------------------------------- models


def test_models_have_anthropics_shape_for_its_clients(mixed: Mixed, claude: anthropic.Anthropic) -> None:
    page = claude.models.list(limit=2)
    every = [model.id for model in claude.models.list(limit=2)]
    one = claude.models.retrieve("claude")

    assert len(page.data) == 2
    assert page.has_more
    assert {"one", "two", "chat", "only", "both", "claude", "auto"} <= set(every)
    assert len(every) == len(set(every))
    assert (one.id, one.type, one.display_name) == ("claude", "model", "claude")


def test_models_are_paged_both_ways(mixed: Mixed) -> None:
    every = [model["id"] for model in mixed.ask("GET", "/v1/models?limit=1000", None, VERSION).json()["data"]]

    after = mixed.ask("GET", f"/v1/models?limit=2&after_id={every[2]}", None, VERSION).json()
    before = mixed.ask("GET", f"/v1/models?limit=2&before_id={every[3]}", None, VERSION).json()
    first = mixed.ask("GET", f"/v1/models?limit=2&before_id={every[1]}", None, VERSION).json()

    assert [model["id"] for model in after["data"]] == every[3:5]
    assert (after["first_id"], after["last_id"]) == (every[3], every[4])
    assert [model["id"] for model in before["data"]] == every[1:3]
    assert before["has_more"] is True
    assert [model["id"] for model in first["data"]] == every[:1]
    assert first["has_more"] is False


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "", "%C2%B2", "9" * 5000])
def test_wrong_limit_of_models_is_told_in_anthropics_shape(mixed: Mixed, limit: str) -> None:
    answer = mixed.ask("GET", f"/v1/models?limit={limit}&x", None, VERSION)

    if limit:
        assert_anthropic_error(answer, 400, "invalid_request_error")
    else:
        assert answer.status == 200


def test_unknown_model_is_told_in_anthropics_shape(mixed: Mixed, claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("nobody")

    assert_anthropic_error(mixed.ask("GET", "/v1/models/nobody", None, VERSION), 404, "not_found_error")
    assert_anthropic_error(mixed.ask("GET", "/v1/models", None, VERSION, key=None), 401, "authentication_error")
    assert mixed.ask("GET", "/v1/models", None, VERSION).headers["request-id"]


def test_models_keep_openais_shape_for_its_clients(mixed: Mixed, gpt: openai.OpenAI) -> None:
    assert {"claude", "one"} <= {model.id for model in gpt.models.list()}
    assert mixed.ask("GET", "/v1/models/nobody").json()["error"]["code"] == "model_not_found"


# ---------------------------------------------------------------- hostile documents


NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "0x1", "01", "-", "1.", "-0.0"]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("model", ["claude", "chat", "only"])
@pytest.mark.parametrize("shape", SHAPES)
def test_odd_numbers_never_break_the_gateway(mixed: Mixed, number: str, model: str, shape: str) -> None:
    path, document = SHAPES[shape]
    body = json.dumps({**document, "model": model, "temperature": 0.5, "x": 0.5}).replace("0.5", number)

    answer = mixed.post(path, body.encode())

    assert answer.status != 500
    assert answer.status == 400 or number not in ("NaN", "Infinity", "-Infinity", "0x1", "01", "-", "1.")


@pytest.mark.parametrize("digits", [20, 400, 4000])
@pytest.mark.parametrize("model", ["claude", "chat", "only"])
@pytest.mark.parametrize("member", ["max_tokens", "temperature", "top_k", "top_p", "unheard_of"])
def test_huge_integers_never_break_the_gateway(mixed: Mixed, digits: int, model: str, member: str) -> None:
    rest = b"" if member == "max_tokens" else b'"max_tokens":9,'
    body = b'{"model":"%b",%b"messages":[{"role":"user","content":"Hi"}],"%b":1%b}' % (
        model.encode(),
        rest,
        member.encode(),
        b"0" * digits,
    )

    for path in (MESSAGES, COUNT):
        assert mixed.post(path, body).status != 500


@pytest.mark.parametrize("depth", [150, 195, 201, 600, 900, 980, 5000])
@pytest.mark.parametrize("model", ["claude", "chat", "only"])
@pytest.mark.parametrize("half", [b"", b'"x":"\\ud83d",'])
def test_deep_nesting_never_breaks_the_gateway(mixed: Mixed, depth: int, model: str, half: bytes) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    body = (
        b'{"model":"%b",%b"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t",'
        b'"name":"f","input":%b}]},{"role":"user","content":"Hi"}]}' % (model.encode(), half, nested)
    )

    answer = mixed.post(MESSAGES, body)

    assert answer.status != 500
    assert answer.status == 400 or depth < 200
