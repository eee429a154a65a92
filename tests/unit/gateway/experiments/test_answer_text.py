from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.request import Shape
from gateway.experiments.answer_text import answer_text, streamed_text, text_of_content
from gateway.upstreams.sse import frame, named_frame


def completion(**message: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", **message}}]}).encode()


def response(*items: Any) -> bytes:
    return json.dumps({"output": list(items)}).encode()


def output(*texts: str) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text} for text in texts]}


def stream(*events: Any) -> bytes:
    return b"".join(frame(json.dumps(event).encode()) for event in events)


def test_the_text_of_a_completion() -> None:
    assert answer_text(completion(content="Paris"), "chat") == "Paris"


def test_the_first_of_several_choices_is_taken() -> None:
    body = json.dumps({"choices": [{"message": {"content": text}} for text in ("one", "two")]}).encode()

    assert answer_text(body, "chat") == "one"


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "Par"}, {"type": "text", "text": "is"}]

    assert answer_text(completion(content=parts), "chat") == "Paris"


def test_a_refusal_is_a_text() -> None:
    assert answer_text(completion(content=None, refusal="I cannot."), "chat") == "I cannot."
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    assert answer_text(response(refused), "responses") == "No."


def test_the_text_of_a_response_leaves_out_what_is_no_message() -> None:
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}

    assert answer_text(response(thought, output("Par", "is")), "responses") == "Paris"


def test_the_text_of_a_message_leaves_out_thinking() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "text": "hm"}, {"type": "text", "text": "Paris"}]

    assert answer_text(json.dumps({"content": blocks}).encode(), "messages") == "Paris"


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (completion(content=None, tool_calls=[{"id": "1"}]), "chat"),
        (completion(content=""), "chat"),
        (response({"type": "function_call", "name": "f"}), "responses"),
        (json.dumps({"content": [{"type": "tool_use"}]}).encode(), "messages"),
        (completion(content="x"), "embeddings"),
        (completion(content="x"), "completions"),
    ],
)
def test_an_answer_without_a_text_has_none(body: bytes, shape: Shape) -> None:
    assert answer_text(body, shape) is None


@pytest.mark.parametrize("shape", ["chat", "responses", "messages"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"<html>",
        b'{"choices":7,"output":{},"content":true}',
        b'{"choices":[7],"output":[[]],"content":[null]}',
        b'{"choices":[{"message":[]}],"output":[{"type":"message","content":5}],"content":[{"type":"text","text":1}]}',
        b"[" * 100_000,
        b'{"choices":' + b"[" * 100_000,
    ],
)
def test_garbage_has_no_text_and_no_error(body: bytes, shape: Shape) -> None:
    assert answer_text(body, shape) is None
    assert streamed_text(frame(body), shape) is None


def test_half_a_surrogate_pair_costs_a_character_only() -> None:
    assert answer_text(b'{"choices":[{"message":{"content":"a\\ud83db"}}]}', "chat") == "a\ufffdb"


def test_the_text_of_a_chat_stream() -> None:
    deltas: list[Any] = [{"role": "assistant", "content": ""}, {"content": "Par"}, {"content": "is"}, {}]
    events = stream(*({"choices": [{"index": 0, "delta": delta}]} for delta in deltas), {"choices": [], "usage": {}})

    assert streamed_text(events + frame(b"[DONE]"), "chat") == "Paris"


def test_other_choices_of_a_stream_are_left_out() -> None:
    events = stream(*({"choices": [{"index": index, "delta": {"content": str(index)}}]} for index in (0, 1, 0)))

    assert streamed_text(events, "chat") == "00"


def test_the_text_of_a_stream_of_a_response() -> None:
    parts = [("response.created", None), ("response.output_text.delta", "Par"), ("response.output_text.delta", "is")]
    parts.append(("response.output_text.done", "Paris"))
    events = [named_frame(name.encode(), json.dumps({"type": name, "delta": said}).encode()) for name, said in parts]

    assert streamed_text(b"".join(events), "responses") == "Paris"


def test_the_text_of_a_stream_of_a_message() -> None:
    deltas = [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "text_delta", "text": "Par"},
        {"type": "text_delta", "text": "is"},
    ]
    events = stream({"type": "message_start"}, *({"type": "content_block_delta", "delta": delta} for delta in deltas))

    assert streamed_text(events, "messages") == "Paris"


def test_content_shows_what_has_no_text_by_its_kind() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:..."}}, 7]

    assert text_of_content(parts, "[{}]".format) == "What is this?\n[image_url]"
    assert text_of_content(None) == ""
    assert text_of_content("plain") == "plain"
