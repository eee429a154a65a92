from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.chat import read_chat
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from router.scoring.prompt import Prompt, prompt_of


def chat(messages: list[Any], **members: Any) -> ModelRequest:
    return read_chat(json.dumps({"model": "auto", "messages": messages, **members}).encode())


def test_the_last_thing_the_user_said_is_scored() -> None:
    found = prompt_of(
        chat(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "first"},
                {"role": "assistant", "content": "answer"},
                {"role": "user", "content": "second"},
            ]
        )
    )

    assert found == Prompt("second", system="Be brief.", turns=2, context_characters=len("first") + len("answer"))


def test_texts_of_parts_are_joined_and_others_counted() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "text", "text": "Be exact."},
    ]

    found = prompt_of(chat([{"role": "user", "content": parts}]))

    assert (found.text, found.attachments) == ("What is this?\nBe exact.", 1)


def test_developer_instructions_are_a_system_prompt() -> None:
    assert prompt_of(chat([{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}])).system == "x"


def test_results_of_tools_are_context() -> None:
    found = prompt_of(
        chat(
            [
                {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "tool", "content": "rain", "tool_call_id": "1"},
            ]
        )
    )

    assert (found.text, found.context_characters) == ("weather?", 4)


def test_tools_are_counted() -> None:
    tool = {"type": "function", "function": {"name": "f"}}

    assert prompt_of(chat([{"role": "user", "content": "x"}], tools=[tool, tool])).tools == 2


@pytest.mark.parametrize(
    ("form", "has_schema"),
    [
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}, True),
        ({"type": "json_object"}, True),
        ({"type": "text"}, False),
        (None, False),
    ],
)
def test_a_schema_of_the_answer_is_noticed(form: Any, has_schema: bool) -> None:  # noqa: FBT001
    assert prompt_of(chat([{"role": "user", "content": "x"}], response_format=form)).has_schema is has_schema


def test_responses_are_read_as_well() -> None:
    body = {
        "model": "auto",
        "instructions": "Be brief.",
        "input": "hello",
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}},
    }

    found = prompt_of(read_responses(json.dumps(body).encode()))

    assert (found.text, found.system, found.has_schema) == ("hello", "Be brief.", True)


def test_messages_are_read_as_well() -> None:
    body = {"model": "auto", "max_tokens": 5, "system": "Be brief.", "messages": [{"role": "user", "content": "hello"}]}

    found = prompt_of(read_messages(json.dumps(body).encode()))

    assert (found.text, found.system) == ("hello", "Be brief.")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": []}],
        [
            {
                "role": "user",
                "content": [{"type": "image_url"}, {"type": "text", "text": None}, {"type": "text"}, 7, None],
            }
        ],
        [{"role": "user", "content": 5}],
        [{"role": "user"}],
        [{"content": "no role"}],
        [None, "text", 3],
    ],
)
def test_odd_content_counts_as_empty(messages: list[Any]) -> None:
    request = chat([{"role": "user", "content": "x"}])
    request.messages = messages

    assert prompt_of(request).text == ""


@pytest.mark.parametrize("member", ["tools", "response_format", "text", "functions", "output_format", "output_config"])
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [1]])
def test_odd_members_never_raise(member: str, value: Any) -> None:
    request = chat([{"role": "user", "content": "x"}])
    request.document = {**request.document, member: value}

    assert prompt_of(request).text == "x"


def test_two_hundred_messages_are_read() -> None:
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"say {i}"} for i in range(200)]

    found = prompt_of(chat(messages))

    assert (found.text, found.turns) == ("say 198", 100)


def test_parts_beyond_the_first_are_read_until_the_last() -> None:
    parts = [{"type": "text", "text": str(i)} for i in range(500)]

    found = prompt_of(chat([{"role": "user", "content": parts}]))

    assert found.text.endswith("499")
