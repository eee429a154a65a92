from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.answers.again import plain_again, stream_again
from gateway.answers.plain import record_plain
from gateway.answers.record import Record
from gateway.answers.streamed import record_stream
from gateway.domain.request import Shape
from tests.support.kept_answers import (
    DONE,
    NEW,
    NONCE,
    USAGE,
    chat_answer,
    events_in,
    framed,
    message_answer,
    plain,
    read_all,
    response_answer,
    response_message,
    tool_call,
)

SHAPES: list[tuple[Shape, dict[str, Any]]] = [
    ("chat", chat_answer("Hello, my world.", "tool_calls", tool_calls=[tool_call()])),
    ("messages", message_answer()),
    ("responses", response_answer()),
]
TOLD = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def certain(told: dict[str, Any] | None = None) -> Record:
    """Return the record of a stream that can be given again only as it came."""
    named = {"id": "chatcmpl-old", "object": "chat.completion.chunk", "created": 17, "model": "m"}
    certainty = {"content": [{"token": "x"}], "refusal": None}
    choices = [{"index": 0, "delta": {"content": "x"}, "logprobs": certainty, "finish_reason": None}]
    end = [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    events = [{**named, "choices": choices}, {**named, "choices": end}]
    if told is not None:
        events.append({**named, "choices": [], "usage": told})
    return record_stream(framed(events, "chat"), "chat", USAGE)


async def events_of(record: Record, how: Any = "natural", *, wants_usage: bool = False) -> list[dict[str, Any]]:
    return events_in(b"".join(await read_all(stream_again(record, USAGE, NEW, how, wants_usage=wants_usage))))


@pytest.mark.parametrize("how", ["natural", "at_once"])
@pytest.mark.parametrize(("shape", "document"), SHAPES)
async def test_a_stream_says_what_the_plain_answer_does(shape: Shape, document: dict[str, Any], how: Any) -> None:
    record = record_plain(plain(document), shape)
    blocks = await read_all(stream_again(record, USAGE, NEW, how, wants_usage=True))

    heard = record_stream(b"".join(blocks), shape, USAGE)

    assert json.loads(plain_again(heard, USAGE, "m", NEW).body) == json.loads(plain_again(record, USAGE, "m", NEW).body)


@pytest.mark.parametrize(("shape", "document"), SHAPES)
async def test_at_once_is_one_block(shape: Shape, document: dict[str, Any]) -> None:
    record = record_plain(plain(document), shape)

    assert len(await read_all(stream_again(record, USAGE, NEW, "at_once", wants_usage=True))) == 1


async def test_a_long_answer_comes_in_blocks() -> None:
    record = record_plain(plain(chat_answer("word " * 1000)), "chat")

    blocks = await read_all(stream_again(record, USAGE, NEW, "natural", wants_usage=False))

    assert 50 < len(blocks) < 100
    assert all(block.endswith(b"\n\n") for block in blocks)


async def test_a_stream_is_complete_from_the_start() -> None:
    stream = stream_again(record_plain(plain(response_answer()), "responses"), USAGE, NEW, "natural", wants_usage=False)

    assert stream.is_ended
    assert stream.usage() == USAGE
    assert stream.response_id == "resp_" + NONCE.decode()


async def test_a_closed_stream_gives_nothing_more() -> None:
    stream = stream_again(
        record_plain(plain(chat_answer("word " * 1000)), "chat"), USAGE, NEW, "natural", wants_usage=False
    )
    await stream.block()

    await stream.close()

    assert await stream.block() is None


async def test_the_ids_of_a_stream_are_new() -> None:
    document = chat_answer(None, "tool_calls", tool_calls=[tool_call()])
    record = record_plain(plain(document), "chat")

    found = await events_of(record)

    calls = [call for chunk in found for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert {chunk["id"] for chunk in found} == {"chatcmpl-" + NONCE.decode()}
    assert {chunk["created"] for chunk in found} == {NEW.created}
    assert calls[0]["id"] != tool_call()["id"]


@pytest.mark.parametrize("how", ["natural", "at_once"])
@pytest.mark.parametrize("told", [None, TOLD])
@pytest.mark.parametrize("wants_usage", [True, False])
async def test_events_that_came_are_given_with_or_without_usage(how: Any, told: Any, *, wants_usage: bool) -> None:
    record = certain(told)

    sent = b"".join(await read_all(stream_again(record, USAGE, NEW, how, wants_usage=wants_usage)))

    chunks = events_in(sent)
    assert sent.decode().endswith(DONE)
    assert [bool(chunk["choices"]) for chunk in chunks] == [True, True] + [False] * wants_usage
    if wants_usage:
        assert {name: chunks[-1]["usage"][name] for name in TOLD} == TOLD
    assert {(chunk["id"], chunk["created"]) for chunk in chunks} == {("chatcmpl-" + NONCE.decode(), NEW.created)}


async def test_items_of_events_that_came_get_new_ids_that_agree() -> None:
    reasoning = {
        "type": "reasoning",
        "id": "rs_67ccd2bf17f0819081ff3bb2cf6508e6",
        "summary": [],
        "encrypted_content": "s",
    }
    message = response_message()
    response = response_answer(reasoning, message)
    events = [
        {"type": "response.created", "response": {**response, "output": []}},
        {"type": "response.output_text.delta", "item_id": message["id"], "delta": "Hello"},
        {"type": "response.completed", "response": response},
    ]
    record = record_stream(framed(events, "responses"), "responses", USAGE)

    found = await events_of(record)

    assert [event["type"] for event in found] == [event["type"] for event in events]
    assert found[0]["response"]["id"] == found[2]["response"]["id"] == "resp_" + NONCE.decode()
    assert found[2]["response"]["created_at"] == NEW.created
    assert found[1]["item_id"] == found[2]["response"]["output"][1]["id"] != message["id"]
    assert found[2]["response"]["output"][0] == reasoning
