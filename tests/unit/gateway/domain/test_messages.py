from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.domain.messages import read_count_tokens, read_messages

USER = {"role": "user", "content": "Hi"}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 9, "messages": [USER], **fields}).encode()


def refused(text: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        read_messages(text)
    return caught.value


def test_what_is_judged_is_read() -> None:
    request = read_messages(body(stream=True))

    assert (request.shape, request.model, request.stream, request.max_output_tokens) == ("messages", "m", True, 9)
    assert request.may_be_shared
    assert request.is_whole


def test_what_is_said_is_shown_as_chat_messages() -> None:
    block, result = {"type": "text", "text": "b"}, {"type": "tool_result", "tool_use_id": "t", "content": "c"}
    deeper = {"type": "tool_result", "tool_use_id": "u", "content": [{"type": "text", "text": "d"}]}
    messages = [USER, {"role": "user", "content": [result, block, deeper]}, {"role": "assistant", "content": [block]}]

    shown = read_messages(body(messages=messages, system="s")).messages

    assert [message["role"] for message in shown] == ["system", "user", "tool", "tool", "user", "assistant"]
    assert [message["content"] for message in shown[2:5]] == ["c", [{"type": "text", "text": "d"}], [block]]


@pytest.mark.parametrize("system", ["", None, []])
def test_an_empty_system_prompt_is_no_message(system: Any) -> None:
    assert len(read_messages(body(system=system)).messages) == 1


def test_a_system_prompt_may_be_blocks() -> None:
    blocks = [{"type": "text", "text": "s"}]

    assert read_messages(body(system=blocks)).messages[0] == {"role": "system", "content": blocks}


WRONG = {
    "model": ({"model": 1}, "model"),
    "messages": ({"messages": {}}, "messages"),
    "a message": ({"messages": [1]}, "messages[0]"),
    "role": ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role"),
    "content": ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
    "a block": ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
    "text": ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "messages[0].content[0].text"),
    "content of a result": (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 1}]}]},
        "messages[0].content[0].content",
    ),
    "block of a result": (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": 1}]}]}]},
        "messages[0].content[0].content[0].type",
    ),
    "system": ({"system": 1}, "system"),
    "block of the system prompt": ({"system": [1]}, "system[0]"),
    "a null bound": ({"max_tokens": None}, "max_tokens"),
    "a negative bound": ({"max_tokens": -1}, "max_tokens"),
    "a bound that is a flag": ({"max_tokens": True}, "max_tokens"),
    "tools": ({"tools": "x"}, "tools"),
    "tool_choice": ({"tool_choice": "auto"}, "tool_choice"),
}


@pytest.mark.parametrize(("fields", "param"), WRONG.values(), ids=WRONG)
def test_a_wrong_type_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    error = refused(body(**fields))

    assert (error.param, error.code) == (param, "invalid_type")


MISSING = {
    "model": (b'{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}', "model"),
    "messages": (b'{"model":"m","max_tokens":1}', "messages"),
    "max_tokens": (b'{"model":"m","messages":[{"role":"user","content":"x"}]}', "max_tokens"),
    "role": (b'{"model":"m","max_tokens":1,"messages":[{"content":"x"}]}', "messages[0].role"),
    "content": (b'{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}', "messages[0].content"),
}


@pytest.mark.parametrize(("text", "param"), MISSING.values(), ids=MISSING)
def test_what_must_be_there_is_demanded(text: bytes, param: str) -> None:
    error = refused(text)

    assert (error.param, error.code) == (param, "missing_required_parameter")


def test_a_judged_member_that_stands_twice_is_refused() -> None:
    error = refused(b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"text":"a","text":"b"}]}]}')

    assert (error.param, error.code) == ("messages[0].content[0].text", "duplicate_parameter")


def test_a_count_needs_no_bound_and_is_neither_streamed_nor_shared() -> None:
    request = read_count_tokens(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}')

    assert request.shape == "count_tokens"
    assert request.max_output_tokens is None
    assert not request.stream
    assert not request.may_be_shared
