from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.answers.again import plain_again
from gateway.answers.plain import record_plain
from gateway.answers.record import why_not
from gateway.answers.rendering.catalogue import RENDERERS
from gateway.answers.streamed import NotedStream, record_stream
from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import Shape
from gateway.domain.usage import NO_USAGE
from tests.support.kept_answers import (
    DONE,
    NEW,
    USAGE,
    Sent,
    chat_answer,
    framed,
    message_answer,
    plain,
    read_all,
    response_answer,
    response_message,
    tool_call,
)

SHAPES: list[tuple[Shape, dict[str, Any]]] = [
    ("chat", chat_answer("Hello.", "tool_calls", tool_calls=[tool_call()])),
    ("messages", message_answer()),
    ("responses", response_answer()),
]


def sent(document: dict[str, Any], shape: Shape) -> bytes:
    return b"".join(RENDERERS[shape].events(document, "natural", wants_usage=True))


def chunk(delta: Any, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]
    return {"id": "chatcmpl-1", "created": 17, "model": "m", "choices": choices}


@pytest.mark.parametrize(("shape", "document"), SHAPES)
def test_a_stream_makes_the_record_that_the_plain_answer_would(shape: Shape, document: dict[str, Any]) -> None:
    from_stream = record_stream(sent(document, shape), shape, USAGE)
    from_plain = record_plain(plain(document), shape)

    assert why_not(from_stream) is None
    assert from_stream.is_rendered
    assert from_stream.events == ()
    assert json.loads(plain_again(from_stream, USAGE, "m", NEW).body) == json.loads(
        plain_again(from_plain, USAGE, "m", NEW).body
    )


async def test_a_noted_stream_passes_unchanged() -> None:
    inner = Sent(b"data: 1\n\n", b"data: 2\n\n", dropped=("seed",))

    noted = NotedStream(inner, "chat")

    assert await read_all(noted) == [b"data: 1\n\n", b"data: 2\n\n"]
    assert (noted.headers, noted.dropped, noted.response_id, noted.final) == (inner.headers, ("seed",), "r", b"f")
    assert noted.is_ended
    assert noted.usage() == USAGE
    await noted.close()
    assert inner.is_closed


async def test_a_stream_read_to_its_end_has_a_record() -> None:
    noted = NotedStream(Sent(sent(chat_answer(), "chat"), dropped=("seed",)), "chat")
    await read_all(noted)

    record = await noted.record()

    assert record is not None
    assert why_not(record) is None
    assert record.dropped == ("seed",)


async def test_who_stops_at_done_has_read_to_the_end() -> None:
    noted = NotedStream(Sent(sent(chat_answer(), "chat"), b"never read"), "chat")
    await noted.block()

    assert await noted.record() is not None


async def test_a_long_stream_is_read_beside_the_loop() -> None:
    noted = NotedStream(Sent(sent(chat_answer("word " * 2000), "chat")), "chat")
    await read_all(noted)

    record = await noted.record()

    assert record is not None
    assert record.is_rendered


async def test_a_stream_that_was_left_has_no_record() -> None:
    noted = NotedStream(Sent(*(block + b"\n\n" for block in sent(chat_answer(), "chat").split(b"\n\n"))), "chat")
    await noted.block()
    await noted.block()

    assert await noted.record() is None


async def test_a_stream_that_broke_has_no_record() -> None:
    noted = NotedStream(Sent(b"data: {}\n\n", UpstreamGarbledError("x")), "chat")
    await noted.block()
    with pytest.raises(UpstreamGarbledError):
        await noted.block()

    assert await noted.record() is None


async def test_of_a_stream_that_is_too_long_nothing_is_kept() -> None:
    noted = NotedStream(Sent(sent(chat_answer(), "chat"), b"x", b"y"), "chat", most_bytes=50)

    assert len(await read_all(noted)) == 3
    assert await noted.record() is None
    assert noted._blocks == []


async def test_a_stream_of_the_very_length_is_kept() -> None:
    events = sent(chat_answer(), "chat")
    noted = NotedStream(Sent(events), "chat", most_bytes=len(events))
    await read_all(noted)

    assert await noted.record() is not None


@pytest.mark.parametrize(
    ("shape", "events", "reason"),
    [
        ("chat", b"", "unreadable"),
        ("chat", b"data: nonsense\n\n", "unreadable"),
        ("chat", b"data: []\n\n", "unreadable"),
        ("chat", framed([chunk({"content": "x"})], "chat"), "unfinished"),
        ("chat", framed([chunk({"content": "x"}, "length")], "chat"), "truncated"),
        ("chat", framed([chunk({"refusal": "No."}, "stop")], "chat"), "refused"),
        ("chat", framed([chunk({"content": ""}, "stop")], "chat"), "empty"),
        ("responses", framed([{"type": "response.created", "response": {}}], "responses"), "unreadable"),
        ("messages", framed([{"type": "ping"}], "messages"), "unreadable"),
        ("completions", DONE.encode(), "shape"),
    ],
)
def test_what_is_not_to_be_kept_says_why(shape: Shape, events: bytes, reason: str) -> None:
    assert why_not(record_stream(events, shape, USAGE)) == reason


def test_a_stream_that_no_whole_answer_says_serves_streams_only() -> None:
    cited = chunk({"content": "x", "annotations": [{"type": "url_citation"}]})

    record = record_stream(framed([cited, chunk({}, "stop")], "chat"), "chat", USAGE)

    assert why_not(record) is None
    assert (record.serves(stream=False), record.serves(stream=True)) == (False, True)


def test_a_stream_with_certainties_serves_both() -> None:
    events = [chunk({"content": "x"}, logprobs={"content": [{"token": "x"}], "refusal": None}), chunk({}, "stop")]

    record = record_stream(framed(events, "chat"), "chat", USAGE)

    assert (record.serves(stream=False), record.serves(stream=True)) == (True, True)
    assert record.events


def test_sealed_reasoning_serves_both_from_what_came() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    response = response_answer(reasoning, response_message())
    events = [{"type": "response.created", "response": response}, {"type": "response.completed", "response": response}]

    record = record_stream(framed(events, "responses"), "responses", NO_USAGE)

    assert (record.serves(stream=False), record.serves(stream=True), record.is_rendered) == (True, True, False)
