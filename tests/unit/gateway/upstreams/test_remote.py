from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.errors import UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.anthropic import anthropic
from gateway.upstreams.base import Headers, ModelCall, PlainReply, RelayCall
from gateway.upstreams.openai_compatible import openai_compatible
from gateway.upstreams.remote import Remote
from gateway.upstreams.settings import AnthropicUpstream, OpenAIUpstream, Timeouts
from gateway.upstreams.translating import ask
from gateway.upstreams.transport import Request, Transport, Upload
from tests.support.build import chat_request, patience
from tests.support.mixed import claude_error, claude_events, claude_message, named_events, response, response_events
from tests.support.scripted_upstream import completion

KEY = "sk-ours-0123456789"
MESSAGE = read_messages(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}')
RESPONSE = read_responses(b'{"model":"m","input":"x"}')


class Answered:
    """An answer of an engine."""

    def __init__(self, status: int, headers: Headers, pieces: list[bytes]) -> None:
        self.status, self.headers = status, headers
        self._pieces = list(pieces)
        self.is_closed = False

    async def chunk(self) -> bytes | None:
        return self._pieces.pop(0) if self._pieces else None

    async def close(self) -> None:
        self.is_closed = True


class Engine:
    """An engine that gives one answer."""

    def __init__(
        self, *pieces: bytes, status: int = 200, headers: Headers = (), kind: bytes = b"application/json"
    ) -> None:
        self.answered = Answered(status, [(b"content-type", kind), *headers], list(pieces))
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answered:
        if isinstance(request.body, Upload):
            body = b"".join([piece async for piece in request.body.chunks])
            request = Request(request.target, request.headers, body, request.method)
        self.sent.append(request)
        return self.answered

    async def close(self) -> None:
        pass

    @property
    def lines(self) -> dict[bytes, bytes]:
        names = [name for name, _ in self.sent[-1].headers]
        assert len(names) == len(set(names))
        return dict(self.sent[-1].headers)


def openai(engine: Engine, **settings: Any) -> Remote:
    found = OpenAIUpstream(**{"base_url": "http://h/v1", "api_key": Secret(KEY), **settings})
    return openai_compatible("name", found, Transport(engine, Timeouts()))


def claude(engine: Engine, **settings: Any) -> Remote:
    found = AnthropicUpstream(**{"base_url": "http://h", "api_key": Secret(KEY), **settings})
    return anthropic("name", found, Transport(engine, Timeouts()))


def call(request: ModelRequest, *headers: tuple[bytes, bytes], model: str = "m") -> ModelCall:
    return ModelCall(request=request, model=model, patience=patience(), headers=headers)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


# ---------------------------------------------------------------- addresses

TARGETS = [
    ("http://h", b"/v1/messages"),
    ("http://h/", b"/v1/messages"),
    ("http://h/v1", b"/v1/messages"),
    ("http://h/v1/", b"/v1/messages"),
    ("http://h/claude", b"/claude/v1/messages"),
    ("http://h/a/v1", b"/a/v1/messages"),
    ("http://h/v1?a=b", b"/v1/messages?a=b"),
]


@pytest.mark.parametrize(("base_url", "target"), TARGETS)
async def test_the_version_stands_in_the_path_once(base_url: str, target: bytes) -> None:
    engine = Engine(encoded(claude_message()))

    await claude(engine, base_url=base_url).answer(call(MESSAGE))

    assert engine.sent[0].target == target


async def test_an_openai_server_is_asked_for_messages_where_they_are() -> None:
    engine = Engine(encoded(claude_message()))

    await openai(engine, features=("chat", "messages")).answer(call(MESSAGE))

    assert engine.sent[0].target == b"/v1/messages"


def test_features_say_what_is_spoken() -> None:
    assert openai(Engine()).shapes == {"chat", "responses", "input_tokens", "compact", "embeddings", "completions"}
    assert openai(Engine(), features=("chat",)).shapes == {"chat"}
    assert claude(Engine()).shapes == {"messages", "count_tokens"}


# ---------------------------------------------------------------- headers


async def test_only_defaults_give_way_to_the_callers() -> None:
    engine = Engine(encoded(claude_message()))
    sent = (
        (b"anthropic-version", b"theirs"),
        (b"anthropic-beta", b"b"),
        (b"x-api-key", b"theirs"),
        (b"user-agent", b"theirs"),
        (b"openai-beta", b"x"),
    )

    await claude(engine).answer(call(MESSAGE, *sent))

    assert engine.lines[b"anthropic-version"] == b"theirs"
    assert engine.lines[b"anthropic-beta"] == b"b"
    assert engine.lines[b"x-api-key"] == KEY.encode()
    assert engine.lines[b"user-agent"] == b"tierway"
    assert b"openai-beta" not in engine.lines


async def test_headers_of_the_settings_win() -> None:
    engine = Engine(encoded(claude_message()))

    await claude(engine, headers={"Anthropic-Beta": "ours"}).answer(call(MESSAGE, (b"anthropic-beta", b"theirs")))

    assert engine.lines[b"anthropic-beta"] == b"ours"


async def test_headers_of_the_answer_are_chosen() -> None:
    limits = [(b"anthropic-ratelimit-requests-limit", b"1"), (b"set-cookie", b"a"), (b"request-id", b"r")]

    reply = await claude(Engine(encoded(claude_message()), headers=limits)).answer(call(MESSAGE))

    assert reply.headers == limits[:1]


# ---------------------------------------------------------------- answers


async def test_a_plain_answer_is_passed_on_with_what_it_says() -> None:
    body = encoded(response("resp_7"))

    reply = await openai(Engine(body)).answer(call(RESPONSE))

    assert isinstance(reply, PlainReply)
    assert (reply.body, reply.response_id, reply.answered_model, reply.dropped) == (body, "resp_7", "one-model", None)
    assert reply.usage == Usage(input_tokens=5, cached_tokens=4, output_tokens=2, reasoning_tokens=1)


async def test_a_model_is_renamed_in_the_body() -> None:
    engine = Engine(encoded(response()))

    await openai(engine).answer(call(RESPONSE, model="theirs"))

    assert engine.sent[0].body == b'{"model":"theirs","input":"x"}'


async def test_an_answer_without_usage_is_estimated() -> None:
    reply = await openai(Engine(encoded(response(usage=None)))).answer(call(RESPONSE))

    assert isinstance(reply, PlainReply)
    assert reply.usage.provenance == "estimated"


async def test_prompts_kept_elsewhere_teach_nothing_about_tokens() -> None:
    continued = read_responses(b'{"model":"m","input":"x","previous_response_id":"resp_1"}')
    usage = {"input_tokens": 100_000, "output_tokens": 1}
    upstream = openai(Engine())
    before = upstream.estimate_tokens(RESPONSE, "m")

    for _ in range(50):
        engine = Engine(encoded(response(usage=usage)))
        upstream._transport = Transport(engine, Timeouts())
        await upstream.answer(call(continued))

    assert upstream.estimate_tokens(RESPONSE, "m") == before


async def test_a_stream_ends_with_its_last_event() -> None:
    pieces = named_events(*response_events())
    engine = Engine(*pieces, b"data: [DONE]\n\n", kind=b"text/event-stream")
    request = read_responses(b'{"model":"m","input":"x","stream":true}')

    stream: Any = await openai(engine).answer(call(request))
    blocks = []
    while (block := await stream.block()) is not None:
        blocks.append(block)
    await stream.close()

    assert blocks == pieces
    assert stream.response_id == "resp_1"
    assert engine.lines[b"accept"] == b"text/event-stream"
    assert engine.answered.is_closed


@pytest.mark.parametrize("end", [[], [b"data: [DONE]\n\n"]], ids=["cut", "done without an end"])
async def test_a_stream_without_its_last_event_is_garbled(end: list[bytes]) -> None:
    pieces = named_events(*claude_events()[:4])
    request = read_messages(b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}')

    stream: Any = await claude(Engine(*pieces, *end, kind=b"text/event-stream")).answer(call(request))
    passed = [await stream.block() for _ in pieces]
    with pytest.raises(UpstreamGarbledError):
        await stream.block()
    await stream.close()

    assert passed == pieces
    assert stream.usage().input_tokens == 9


@pytest.mark.parametrize("kind", [b"application/json", b"text/html"])
async def test_a_stream_that_is_none_is_garbled(kind: bytes) -> None:
    engine = Engine(encoded(completion()), kind=kind)

    with pytest.raises(UpstreamGarbledError):
        await openai(engine).answer(call(chat_request("x", stream=True)))

    assert engine.answered.is_closed


ERRORS = [
    ("not_found_error", "model: nobody", 404, "model_not_found"),
    ("not_found_error", "Not found", 404, "not_found"),
    ("invalid_request_error", "prompt is too long: 9 tokens", 400, "context_length_exceeded"),
    ("invalid_request_error", "x", 400, "invalid_request_error"),
    ("authentication_error", "x", 401, "invalid_api_key"),
    ("billing_error", "x", 402, "insufficient_quota"),
    ("rate_limit_error", "x", 429, "rate_limit_exceeded"),
    ("overloaded_error", "x", 529, "overloaded_error"),
]


@pytest.mark.parametrize(("kind", "words", "status", "code"), ERRORS)
async def test_errors_of_anthropic_have_codes_that_openais_clients_know(
    kind: str, words: str, status: int, code: str
) -> None:
    with pytest.raises(UpstreamRefusedError) as caught:
        await claude(Engine(encoded(claude_error(kind, words)), status=status)).answer(call(MESSAGE))

    error = caught.value
    assert (error.status, error.code, error.type, error.message) == (status, code, kind, words)
    assert error.retryable == (status in (429, 529))


@pytest.mark.parametrize("status", [404, 405, 501, 302])
async def test_an_error_without_words_keeps_its_status_for_the_gateway(status: int) -> None:
    with pytest.raises(UpstreamGarbledError) as caught:
        await openai(Engine(b"<html>", status=status)).answer(call(RESPONSE))

    assert (caught.value.answered_status, caught.value.status) == (status, 502)


# ---------------------------------------------------------------- relayed


def relayed(
    body: bytes | Upload = b"", *headers: tuple[bytes, bytes], query: bytes = b"", method: str = "POST"
) -> RelayCall:
    return RelayCall(method=method, path="/files/a%20b", query=query, headers=headers, body=body, patience=patience())


async def test_a_relayed_request_is_the_callers_but_for_the_credential() -> None:
    engine = Engine(b"ok", headers=[(b"x-a", b"1"), (b"connection", b"close"), (b"transfer-encoding", b"chunked")])
    upstream = openai(engine, query={"api-version": "1"})
    sent = [(b"content-type", b"multipart/form-data; boundary=x"), (b"authorization", b"Bearer theirs")]

    reply = await upstream.relay(relayed(b"abc", *sent, query=b"a=%20", method="DELETE"))
    body = b"".join([chunk async for chunk in reply.chunks()])
    await reply.close()

    message = engine.sent[0]
    assert (message.method, message.target, message.body) == (b"DELETE", b"/v1/files/a%20b?api-version=1&a=%20", b"abc")
    assert engine.lines[b"content-type"] == b"multipart/form-data; boundary=x"
    assert engine.lines[b"authorization"] == f"Bearer {KEY}".encode()
    assert b"accept-encoding" not in engine.lines
    assert (reply.status, body) == (200, b"ok")
    assert [name for name, _ in reply.headers] == [b"content-type", b"x-a"]
    assert engine.answered.is_closed


async def test_a_relayed_error_is_an_answer() -> None:
    reply = await openai(Engine(b"no", status=500)).relay(relayed())

    assert [reply.status, *[chunk async for chunk in reply.chunks()]] == [500, b"no"]


async def test_an_upload_is_passed_on_and_counted() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    engine = Engine(b"ok")
    upstream = openai(engine)

    await upstream.relay(relayed(Upload(chunks(), 6)))

    assert engine.sent[0].body == b"abcdef"
    assert upstream.counters()["sent_bytes"] == 6


def test_nothing_known_is_a_token_at_least() -> None:
    assert openai(Engine()).estimate_tokens(RESPONSE, "m") >= 1
    assert NO_USAGE.prompt_tokens == 0


# ---------------------------------------------------------------- breakpoints of a prompt cache


def marked(engine: Engine) -> bytes:
    body = engine.sent[0].body
    assert isinstance(body, bytes)
    return body.partition(b'"messages":')[2]


MARKED = b'[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]'


async def test_prompts_are_marked_where_the_settings_say_so() -> None:
    engine = Engine(encoded(claude_message()))

    await claude(engine, cache_prompts=True).answer(call(MESSAGE))

    assert marked(engine).startswith(MARKED)


async def test_prompts_are_sent_as_they_came_by_default() -> None:
    engine = Engine(encoded(claude_message()))

    await claude(engine).answer(call(MESSAGE))

    assert engine.sent[0].body == MESSAGE.body


async def test_prompts_of_translated_requests_are_marked() -> None:
    engine = Engine(encoded(claude_message()))
    request = chat_request(model="m", messages=[{"role": "user", "content": "x"}])

    await ask(claude(engine, cache_prompts=True), call(request))

    assert marked(engine).startswith(MARKED)
