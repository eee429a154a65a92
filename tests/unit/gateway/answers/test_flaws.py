from __future__ import annotations

from typing import Any

import pytest

from gateway.answers.flaws import Verdict, judge
from gateway.domain.request import Shape
from tests.support.kept_answers import chat_answer, message_answer, response_answer, response_message, tool_call

CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


def completion(text: str = "so on", finish: str | None = "stop") -> dict[str, Any]:
    return {"id": "cmpl-1", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("shape", "document"),
    [
        ("chat", chat_answer()),
        ("chat", chat_answer([{"type": "text", "text": "x"}])),  # type: ignore[arg-type]  # Mistral's content is a list
        ("chat", chat_answer(None, audio={"id": "a"})),
        ("completions", completion()),
        ("responses", response_answer()),
        ("messages", message_answer()),
        ("messages", message_answer(stop="stop_sequence")),
    ],
)
def test_a_complete_answer_has_no_flaw(shape: Shape, document: dict[str, Any]) -> None:
    assert judge(document, shape) == Verdict()


@pytest.mark.parametrize(
    ("shape", "document"),
    [
        ("chat", chat_answer(None, "tool_calls", tool_calls=[tool_call()])),
        ("chat", chat_answer("Let me see.", "tool_calls", tool_calls=[tool_call()])),
        ("chat", chat_answer(None, "function_call", function_call={"name": "f", "arguments": ""})),
        ("responses", response_answer(CALL)),
        ("responses", response_answer(response_message(), {**CALL, "type": "custom_tool_call"})),
        ("messages", message_answer(USE, stop="tool_use")),
    ],
)
def test_calls_of_tools_are_told(shape: Shape, document: dict[str, Any]) -> None:
    assert judge(document, shape) == Verdict("", calls_tools=True)


@pytest.mark.parametrize(
    ("shape", "document", "flaw"),
    [
        ("chat", chat_answer(finish="length"), "truncated"),
        ("chat", chat_answer(finish="content_filter"), "filtered"),
        ("chat", chat_answer(finish="abort"), "unfinished"),
        ("chat", chat_answer(finish=None), "unfinished"),  # type: ignore[arg-type]  # what it must not be
        ("chat", chat_answer("", refusal="No."), "refused"),
        ("chat", chat_answer([{"type": "refusal", "refusal": "No."}]), "refused"),  # type: ignore[arg-type]  # as above
        ("chat", chat_answer(""), "empty"),
        ("chat", chat_answer(None), "empty"),
        ("chat", chat_answer(" \n"), "empty"),
        ("chat", chat_answer([]), "empty"),  # type: ignore[arg-type]  # as above
        ("chat", chat_answer() | {"choices": []}, "empty"),
        ("chat", {}, "empty"),
        ("chat", chat_answer() | {"error": {"message": "x"}}, "error"),
        ("completions", completion("", "stop"), "empty"),
        ("completions", completion("x", "length"), "truncated"),
        ("completions", {}, "empty"),
        ("responses", response_answer(status="failed"), "error"),
        ("responses", response_answer(error={"code": "x"}), "error"),
        ("responses", response_answer(status="in_progress"), "unfinished"),
        ("responses", response_answer(status="cancelled"), "unfinished"),
        (
            "responses",
            response_answer(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "truncated",
        ),
        (
            "responses",
            response_answer(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "filtered",
        ),
        ("responses", response_answer(status="incomplete"), "unfinished"),
        ("responses", response_answer(response_message(type="refusal", refusal="No.")), "refused"),
        ("responses", response_answer(response_message("")), "empty"),
        ("responses", response_answer({"type": "reasoning", "id": "rs_1", "summary": []}), "empty"),
        ("responses", response_answer({"type": "web_search_call", "id": "ws_1"}, response_message()), "hosted_tools"),
        ("messages", message_answer(stop="max_tokens"), "truncated"),
        ("messages", message_answer(stop="model_context_window_exceeded"), "truncated"),
        ("messages", message_answer(stop="refusal"), "refused"),
        ("messages", message_answer(stop="pause_turn"), "unfinished"),
        ("messages", message_answer({"type": "text", "text": ""}), "empty"),
        ("messages", message_answer({"type": "server_tool_use", "id": "x"}), "hosted_tools"),
        ("messages", message_answer(container={"id": "c"}), "hosted_tools"),
        ("messages", {"type": "error"}, "error"),
        ("count_tokens", {"input_tokens": 3}, "shape"),
    ],
)
def test_what_must_not_be_given_again_says_why(shape: Shape, document: dict[str, Any], flaw: str) -> None:
    assert judge(document, shape).flaw == flaw


def test_one_flawed_choice_spoils_the_answer() -> None:
    good, bad = chat_answer()["choices"][0], chat_answer(finish="length")["choices"][0]

    assert judge(chat_answer() | {"choices": [good, bad]}, "chat").flaw == "truncated"
    assert judge(chat_answer() | {"choices": [good, good]}, "chat").flaw == ""


@pytest.mark.parametrize("odd", [None, 1, "x", [], [None], [[]], {"a": 1}, [{"message": 1, "content": 2, "text": 3}]])
@pytest.mark.parametrize("shape", ["chat", "completions", "responses", "messages"])
def test_odd_answers_are_flawed_and_break_nothing(shape: Shape, odd: Any) -> None:
    document = {"choices": odd, "output": odd, "content": odd, "status": "completed", "stop_reason": "end_turn"}

    assert judge(document, shape).flaw
