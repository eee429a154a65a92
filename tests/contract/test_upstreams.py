"""Every kind of upstream answers, plain and streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.usage import NO_USAGE
from gateway.upstreams.base import PlainReply, Reply, StreamReply, Upstream
from gateway.upstreams.catalogue import UPSTREAMS, build_upstream
from gateway.upstreams.translating import ask
from tests.support import scripted_upstream as script
from tests.support.build import chat_request, model_call
from tests.support.members import UPSTREAMS as FIXTURES
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.spec import check_against_spec

CHUNKS = [script.chunk("Hel"), script.chunk("lo."), script.chunk(finish="stop")]


@pytest.fixture(params=UPSTREAMS, ids=lambda settings: settings.__name__)
async def asked(request: pytest.FixtureRequest, upstream: ScriptedUpstream) -> AsyncIterator[Upstream]:
    made = build_upstream("name", FIXTURES[request.param](upstream.url))
    yield made
    await made.close()


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}
EVENTS: list[bytes | dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]


def script_plain(asked: Upstream, upstream: ScriptedUpstream) -> None:
    if "messages" in asked.shapes:
        upstream.script(script.plain(MESSAGE))


def script_stream(asked: Upstream, upstream: ScriptedUpstream) -> None:
    if "messages" in asked.shapes:
        upstream.script(script.stream(*script.events(*EVENTS)))
        return
    usage = script.chunk(choices=[], usage=script.USAGE)
    upstream.script(script.stream(*script.events(*CHUNKS, usage, b"[DONE]")))


async def blocks(reply: Reply) -> bytes:
    assert not isinstance(reply, PlainReply)
    found = []
    while (block := await reply.block()) is not None:
        assert block.endswith(b"\n\n")
        found.append(block)
    return b"".join(found)


def documents(text: bytes) -> list[Any]:
    payloads = [event.removeprefix(b"data: ") for event in text.split(b"\n\n")[:-1]]
    assert payloads[-1] == b"[DONE]"
    return [json.loads(payload) for payload in payloads[:-1]]


async def test_it_has_the_name_it_was_given(asked: Upstream) -> None:
    assert asked.name == "name"


async def test_a_plain_request_gets_a_complete_answer(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_plain(asked, upstream)

    reply = await ask(asked, model_call())

    assert isinstance(reply, PlainReply)
    check_against_spec(json.loads(reply.body), "CreateChatCompletionResponse")
    assert reply.answered_model == json.loads(reply.body)["model"]


async def test_a_plain_answer_tells_its_usage(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_plain(asked, upstream)

    reply = await ask(asked, model_call())

    assert isinstance(reply, PlainReply)
    told = json.loads(reply.body)["usage"]
    assert reply.usage.prompt_tokens == told["prompt_tokens"]
    assert reply.usage.completion_tokens == told["completion_tokens"]
    assert reply.usage.provenance == "provider"


async def test_a_stream_is_a_series_of_chunks(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_stream(asked, upstream)

    reply = await ask(asked, model_call(chat_request("Hello", stream=True)))
    chunks = documents(await blocks(reply))
    await closing(reply)

    for chunk in chunks:
        check_against_spec(chunk, "CreateChatCompletionStreamResponse")
    assert all(chunk["choices"] for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


async def test_a_stream_tells_its_usage_to_the_gateway(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_stream(asked, upstream)

    reply = await ask(asked, model_call(chat_request("Hello", stream=True)))
    assert not isinstance(reply, PlainReply)
    await blocks(reply)
    await reply.close()

    assert reply.usage().provenance == "provider"
    assert reply.usage().prompt_tokens > 0
    assert reply.usage().completion_tokens > 0


async def test_a_stream_tells_its_usage_to_the_caller_who_asks(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_stream(asked, upstream)

    request = chat_request("Hello", stream=True, stream_options={"include_usage": True})
    reply = await ask(asked, model_call(request))
    chunks = documents(await blocks(reply))
    await closing(reply)

    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0


async def test_a_stream_that_is_left_early_tells_what_has_passed(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_stream(asked, upstream)
    reply = await ask(asked, model_call(chat_request("Hello", stream=True)))
    assert not isinstance(reply, PlainReply)
    await reply.block()

    await reply.close()

    assert reply.usage() is not NO_USAGE


async def test_calls_are_counted(asked: Upstream, upstream: ScriptedUpstream) -> None:
    script_plain(asked, upstream)
    before = asked.counters()["calls"]

    await ask(asked, model_call())

    assert asked.counters()["calls"] == before + 1
    assert set(asked.counters()) == {"calls", "sent_bytes", "received_bytes"}


async def closing(reply: Reply) -> None:
    stream: StreamReply = reply  # type: ignore[assignment]  # only streams are closed
    await stream.close()
