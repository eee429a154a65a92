from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.request import Shape
from gateway.outputs.answers import decode_json, encode_text, read_texts


def texts(body: Any, shape: Shape) -> list[tuple[int, str]]:
    return [(text.index, text.text) for text in read_texts(json.dumps(body).encode(), shape)[1]]


def chat(*choices: dict[str, Any]) -> dict[str, Any]:
    return {"choices": list(choices)}


def said(content: Any, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"finish_reason": finish, "message": {"role": "assistant", "content": content, **more}}


def output_text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text, "annotations": []}], **more}


def message(*blocks: dict[str, Any], stop: str | None = "end_turn") -> dict[str, Any]:
    return {"content": list(blocks), "stop_reason": stop}


def test_each_choice_of_a_completion_is_looked_at() -> None:
    assert texts(chat(said("a"), said("b", None)), "chat") == [(0, "a"), (1, "b")]


def test_a_completion_in_parts_is_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]

    assert texts(chat(said(parts)), "chat") == [(0, "ab")]


@pytest.mark.parametrize(
    "choice",
    [
        said("a", "length"),
        said("a", "content_filter"),
        said("a", "tool_calls"),
        said("a", tool_calls=[{"id": "1"}]),
        said("a", function_call={"name": "f"}),
        said("a", refusal="No."),
        said(None),
    ],
)
def test_a_choice_that_is_no_whole_answer_is_passed_over(choice: dict[str, Any]) -> None:
    assert texts(chat(choice, said("b", tool_calls=None, refusal=None, function_call=None)), "chat") == [(1, "b")]


def test_each_message_of_a_response_is_looked_at() -> None:
    body = {"status": "completed", "output": [{"type": "reasoning", "summary": []}, output_text("a"), output_text("b")]}

    assert texts(body, "responses") == [(1, "a"), (2, "b")]


def test_the_commentary_of_a_response_is_no_answer() -> None:
    body = {"output": [output_text("a", phase="commentary"), output_text("b", phase="final_answer")]}

    assert texts(body, "responses") == [(1, "b")]


@pytest.mark.parametrize(
    "body",
    [
        {"status": "incomplete", "output": [output_text("a")]},
        {"status": "queued", "output": []},
        {"status": "completed", "output": [output_text("a"), {"type": "function_call", "name": "f"}]},
        {"status": "completed", "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
    ],
)
def test_a_response_that_is_no_whole_answer_is_passed_over(body: dict[str, Any]) -> None:
    assert texts(body, "responses") == []


def test_the_text_blocks_of_a_message_are_one_text() -> None:
    blocks = {"type": "thinking", "thinking": "x"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}

    assert texts(message(*blocks), "messages") == [(0, "ab")]


@pytest.mark.parametrize("stop", ["max_tokens", "tool_use", "refusal", "pause_turn", "stop_sequence"])
def test_a_message_that_is_no_whole_answer_is_passed_over(stop: str) -> None:
    assert texts(message({"type": "text", "text": "a"}, stop=stop), "messages") == []


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b"", "chat"),
        (b"null", "responses"),
        (b'{"choices": 5}', "chat"),
        (b'{"choices": []}', "chat"),
        (b'{"choices": [{"finish_reason": "stop"}]}', "chat"),
        (b'{"content": []}', "messages"),
        (b"[" * 5000, "messages"),
        (b'{"choices": [{"message": {"content": "a"}}]}', "embeddings"),
    ],
)
def test_what_is_no_answer_of_its_shape_holds_no_texts(body: bytes, shape: Shape) -> None:
    assert list(read_texts(body, shape)[1]) == []


def test_the_place_of_a_text_is_known() -> None:
    body = rb'{"choices": [{"message": {"content": "{\"a\": \u00e9}"}}]}'

    (text,) = read_texts(body, "chat")[1]

    assert text.text == '{"a": é}'
    assert text.literal == rb'"{\"a\": \u00e9}"'


def test_half_a_surrogate_pair_in_an_answer_is_read_as_a_replacement() -> None:
    body, (text,) = read_texts(rb'{"choices": [{"message": {"content": "a\ud83d"}}]}', "chat")

    assert text.text == "a\ufffd"
    assert text.literal in body


def test_half_a_surrogate_pair_within_the_json_is_read_as_a_replacement() -> None:
    assert decode_json(r'{"a": "\ud83d"}') == {"a": "\ufffd"}


@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "message", "content", "output", "type", "text"]), below, max_size=4
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
    shape=st.sampled_from(["chat", "responses", "messages"]),
)
def test_any_bytes_are_read_without_an_error(body: bytes, shape: Shape) -> None:
    assert isinstance(read_texts(body, shape)[1], list | tuple)


@given(st.text())
def test_a_text_is_written_as_it_is_read(text: str) -> None:
    assert json.loads(encode_text(text)) == text
