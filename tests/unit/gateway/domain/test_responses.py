from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.domain.responses import read_compact, read_input_tokens, read_responses


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "Hi", **fields}).encode()


def refused(text: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        read_responses(text)
    return caught.value


def said(**fields: Any) -> list[dict[str, Any]]:
    return read_responses(body(**fields)).messages


def test_what_is_judged_is_read() -> None:
    request = read_responses(
        body(stream=True, max_output_tokens=5, previous_response_id="resp_1", conversation="conv_1")
    )

    assert (request.model, request.stream, request.max_output_tokens) == ("m", True, 5)
    assert (request.previous_response_id, request.conversation_id) == ("resp_1", "conv_1")


@pytest.mark.parametrize(
    ("fields", "stored"), [({}, True), ({"store": None}, True), ({"store": True}, True), ({"store": False}, False)]
)
def test_a_response_is_stored_unless_the_caller_says_no(fields: dict[str, Any], *, stored: bool) -> None:
    assert read_responses(body(**fields)).is_stored is stored


def test_the_id_of_a_conversation_may_stand_in_an_object() -> None:
    assert read_responses(body(conversation={"id": "conv_1"})).conversation_id == "conv_1"
    assert read_responses(body(conversation=None)).conversation_id is None


SHARED = {
    "stored": ({}, False),
    "not stored": ({"store": False}, True),
    "continued": ({"store": False, "previous_response_id": "resp_1"}, False),
    "of a conversation": ({"store": False, "conversation": "conv_1"}, False),
}


@pytest.mark.parametrize(("fields", "shared"), SHARED.values(), ids=SHARED)
def test_only_a_request_of_which_nothing_is_kept_may_share_an_answer(fields: dict[str, Any], *, shared: bool) -> None:
    assert read_responses(body(**fields)).may_be_shared is shared


@pytest.mark.parametrize(
    ("fields", "whole"), [({}, True), ({"previous_response_id": "r"}, False), ({"conversation": "c"}, False)]
)
def test_a_request_that_continues_another_is_not_all_of_the_prompt(fields: dict[str, Any], *, whole: bool) -> None:
    assert read_responses(body(**fields)).is_whole is whole


def test_what_is_said_is_shown_as_chat_messages() -> None:
    items = [
        {"role": "user", "content": "a"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"},
        {"type": "function_call_output", "call_id": "c", "output": "c"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "d"}]},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot"}},
        {"type": "reasoning", "summary": []},
    ]

    messages = said(input=items, instructions="Be brief.")

    assert [message["role"] for message in messages] == [
        "system", "user", "assistant", "assistant", "assistant", "tool", "tool", "tool", "reasoning",
    ]  # fmt: skip
    assert messages[3]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert messages[4]["tool_calls"][0]["function"]["arguments"] == "x"
    assert [message.get("content") for message in messages[5:8]] == ["c", [{"type": "input_text", "text": "d"}], None]


@pytest.mark.parametrize("given", [None, [], ""])
def test_nothing_said_is_no_message(given: Any) -> None:
    assert said(input=given) in ([], [{"role": "user", "content": ""}])


def test_instructions_may_be_items() -> None:
    assert said(instructions=[{"role": "developer", "content": "x"}])[0] == {"role": "developer", "content": "x"}


WRONG = {
    "model": ({"model": 1}, "model"),
    "input": ({"input": 1}, "input"),
    "an item": ({"input": ["x"]}, "input[0]"),
    "type of an item": ({"input": [{"type": 1}]}, "input[0].type"),
    "role of an item": ({"input": [{"role": [1]}]}, "input[0].role"),
    "content of an item": ({"input": [{"content": 1}]}, "input[0].content"),
    "a part": ({"input": [{"content": ["x"]}]}, "input[0].content[0]"),
    "text of a part": ({"input": [{"content": [{"text": 1}]}]}, "input[0].content[0].text"),
    "type of a part": ({"input": [{"content": [{"type": None}]}]}, "input[0].content[0].type"),
    "output of an item": ({"input": [{"output": 1}]}, "input[0].output"),
    "part of an output": ({"input": [{"output": [1]}]}, "input[0].output[0]"),
    "an item of instructions": ({"instructions": [1]}, "instructions[0]"),
    "a count": ({"max_output_tokens": -1}, "max_output_tokens"),
    "a flag": ({"store": "no"}, "store"),
    "an id": ({"previous_response_id": 1}, "previous_response_id"),
    "a conversation": ({"conversation": {}}, "conversation.id"),
    "tools": ({"tools": {}}, "tools"),
}


@pytest.mark.parametrize(("fields", "param"), WRONG.values(), ids=WRONG)
def test_a_wrong_type_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    error = refused(body(**fields))

    assert (error.param, error.code) == (param, "invalid_type")


@pytest.mark.parametrize(
    ("text", "param"),
    [
        (b'{"model":"m","input":"a","input":"b"}', "input"),
        (b'{"model":"m","input":[{"role":"user","content":"a","content":"b"}]}', "input[0].content"),
        (b'{"model":"m","input":[{"content":[{"text":"a","text":"b"}]}]}', "input[0].content[0].text"),
    ],
)
def test_a_judged_member_that_stands_twice_is_refused(text: bytes, param: str) -> None:
    error = refused(text)

    assert (error.param, error.code) == (param, "duplicate_parameter")


@pytest.mark.parametrize(
    ("fields", "param"), [({"Input": 1}, "input"), ({"input": [{"Content": 1}]}, "input[0].content")]
)
def test_a_lookalike_is_refused(fields: dict[str, Any], param: str) -> None:
    error = refused(body(**fields))

    assert (error.param, error.code) == (param, "ambiguous_parameter")


def test_the_model_is_demanded() -> None:
    assert refused(b'{"input":"x"}').code == "missing_required_parameter"


@pytest.mark.parametrize("read", [read_input_tokens, read_compact])
def test_counts_and_compactions_keep_nothing_and_are_never_streamed(read: Any) -> None:
    request = read(body(stream=True, store=True))

    assert not request.stream
    assert not request.is_stored
    assert not read_input_tokens(body(store=False)).may_be_shared
