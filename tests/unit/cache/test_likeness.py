from __future__ import annotations

import json
from typing import Any

import pytest

from cache.likeness import why_no_likeness
from gateway.domain.chat import read_chat
from gateway.domain.messages import read_messages
from gateway.domain.responses import read_responses

ASK: dict[str, Any] = {"role": "user", "content": "And Linz?"}
IMAGE: dict[str, Any] = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}
ANSWER: dict[str, Any] = {"role": "assistant", "content": "Big."}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def why(*turns: dict[str, Any], **fields: Any) -> str | None:
    return why_no_likeness(read_chat(json.dumps({"model": "m", "messages": [*turns, ASK], **fields}).encode()))


@pytest.mark.parametrize("fields", [{}, {"n": 1}, {"temperature": 1}, {"temperature": None}, {"tools": []}])
def test_likeness_will_do(fields: dict[str, Any]) -> None:
    assert why({"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}, ANSWER,
               **fields) is None  # fmt: skip


@pytest.mark.parametrize(
    ("turns", "fields", "reason"),
    [
        ([], {"n": 2}, "choices"),
        ([], {"logprobs": True}, "choices"),
        ([], {"temperature": 1.1}, "temperature"),
        ([CALL, {"role": "tool", "tool_call_id": "1", "content": "x"}, ANSWER], {}, "tools"),
        ([CALL], {}, "tools"),
        ([IMAGE, ANSWER], {}, "parts"),
    ],
)
def test_what_needs_the_very_same_request_says_why(
    turns: list[dict[str, Any]], fields: dict[str, Any], reason: str
) -> None:
    assert why(*turns, **fields) == reason


def test_the_last_turn_must_be_a_text_of_the_user() -> None:
    for last in (ANSWER, IMAGE):
        assert why_no_likeness(read_chat(json.dumps({"model": "m", "messages": [ASK, last]}).encode())) == "turn"


def test_the_limit_of_the_temperature_can_be_another() -> None:
    request = read_chat(json.dumps({"model": "m", "messages": [ASK], "temperature": 0.5}).encode())

    assert why_no_likeness(request, 0.4) == "temperature"
    assert why_no_likeness(request, 0.5) is None


def test_other_shapes_are_looked_at_alike() -> None:
    use = {"type": "tool_use", "id": "x", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "x", "content": "y"}
    turns = [ASK, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}, ANSWER, ASK]
    messages = read_messages(json.dumps({"model": "m", "max_tokens": 1, "messages": turns}).encode())
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    items = [ASK, call, {"type": "function_call_output", "call_id": "1", "output": "x"}, ASK]
    responses = read_responses(json.dumps({"model": "m", "store": False, "input": items}).encode())

    assert why_no_likeness(messages) == "tools"
    assert why_no_likeness(responses) == "tools"
