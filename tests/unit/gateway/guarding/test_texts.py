from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from gateway.domain.rewriting import path_name
from gateway.guarding.texts import texts_of, tools_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUtJQUlPU0ZPRE5ON0VYQU1QTEU="}}


def found(request: ModelRequest) -> list[tuple[str, str, str]]:
    return [(path_name(text.path), text.speaker, text.text) for text in texts_of(request)]


def chat(*messages: dict[str, Any], **fields: Any) -> ModelRequest:
    return read_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode())


def responses(**fields: Any) -> ModelRequest:
    return read_responses(json.dumps({"model": "m", **fields}).encode())


def messages(*said: dict[str, Any], **fields: Any) -> ModelRequest:
    return read_messages(json.dumps({"model": "m", "max_tokens": 1, "messages": said, **fields}).encode())


@pytest.mark.parametrize(
    ("role", "speaker"),
    [("system", "system"), ("developer", "developer"), ("user", "user"), ("assistant", "assistant"), ("tool", "tool"),
     ("function", "tool"), ("invented", "user")],
)  # fmt: skip
def test_each_role_of_a_chat_speaks_for_itself(role: str, speaker: str) -> None:
    assert found(chat({"role": role, "content": "Hi"})) == [("messages[0].content", speaker, "Hi")]


def test_parts_of_a_chat_are_read_and_images_are_not() -> None:
    parts = [{"type": "text", "text": "Look"}, IMAGE, {"type": "text", "text": "there"}]

    assert found(chat({"role": "user", "content": parts})) == [
        ("messages[0].content[0].text", "user", "Look"),
        ("messages[0].content[2].text", "user", "there"),
    ]


def test_calls_of_tools_in_the_history_are_the_assistants() -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"to":"a\\u0040b.de"}'}},
        {"id": "2", "type": "custom", "custom": {"name": "g", "input": "free text"}},
    ]

    assert found(chat({"role": "assistant", "content": None, "tool_calls": calls})) == [
        ("messages[0].tool_calls[0].function.arguments", "assistant", '{"to":"a@b.de"}'),
        ("messages[0].tool_calls[1].custom.input", "assistant", "free text"),
    ]


def test_reasoning_of_a_chat_is_the_assistants() -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "First", "reasoning": "Second"}

    assert found(chat(message)) == [
        ("messages[0].content", "assistant", "Yes."),
        ("messages[0].reasoning_content", "assistant", "First"),
        ("messages[0].reasoning", "assistant", "Second"),
    ]


def test_a_function_call_of_old_and_a_refusal_are_read() -> None:
    message = {"role": "assistant", "content": "", "refusal": "No", "function_call": {"name": "f", "arguments": "{}"}}

    assert found(chat(message)) == [
        ("messages[0].refusal", "assistant", "No"),
        ("messages[0].function_call.arguments", "assistant", "{}"),
    ]


def test_a_prediction_is_read() -> None:
    request = chat({"role": "user", "content": "x"}, prediction={"type": "content", "content": "expected"})

    assert ("prediction.content", "assistant", "expected") in found(request)


def test_schemas_of_tools_are_not_read() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "secret", "parameters": {"title": "t"}}}

    assert [text for _, _, text in found(chat({"role": "user", "content": "x"}, tools=[tool]))] == ["x"]


def test_items_of_responses_are_read_by_what_they_are() -> None:
    items = [
        {"role": "developer", "content": "Rules"},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "1", "output": "result"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "part"}]},
        {"type": "custom_tool_call", "call_id": "3", "name": "g", "input": "free"},
        {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "sealed"}]},
        {"type": "file_search_call", "id": "s", "results": [{"text": "found"}]},
    ]

    assert found(responses(instructions="Be kind", input=items)) == [
        ("instructions", "system", "Be kind"),
        ("input[0].content", "developer", "Rules"),
        ("input[1].content[0].text", "user", "Hi"),
        ("input[2].arguments", "assistant", '{"a":1}'),
        ("input[3].output", "tool", "result"),
        ("input[4].output[0].text", "tool", "part"),
        ("input[5].input", "assistant", "free"),
        ("input[7].results[0].text", "tool", "found"),
    ]


def test_variables_of_a_stored_prompt_are_the_users() -> None:
    request = responses(prompt={"id": "p", "variables": {"name": "Ann", "more": {"type": "input_text", "text": "x"}}})

    assert found(request) == [("prompt.variables.name", "user", "Ann"), ("prompt.variables.more.text", "user", "x")]


def test_documents_and_results_in_messages_are_tools() -> None:
    blocks = [
        {"type": "text", "text": "Read"},
        {"type": "tool_result", "tool_use_id": "1", "content": "plain"},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "block"}]},
        {"type": "document", "title": "T", "source": {"type": "text", "data": "body", "media_type": "text/plain"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "chunk"}]}},
        {"type": "document", "source": {"type": "base64", "data": "QUJD"}},
        {"type": "search_result", "source": "https://x.de", "title": "S", "content": [{"type": "text", "text": "hit"}]},
        {"type": "thinking", "thinking": "signed", "signature": "s"},
    ]

    request = messages({"role": "user", "content": blocks}, system=[{"type": "text", "text": "Sys"}])

    assert [(speaker, text) for _, speaker, text in found(request)] == [
        ("system", "Sys"), ("user", "Read"), ("tool", "plain"), ("tool", "block"), ("tool", "T"), ("tool", "body"),
        ("tool", "chunk"), ("tool", "S"), ("tool", "hit"),
    ]  # fmt: skip


def test_arguments_that_are_no_strings_are_read_string_by_string() -> None:
    block = {"type": "tool_use", "id": "1", "name": "f", "input": {"to": "a@b.de", "n": 1, "more": [{"x": "y"}]}}

    assert found(messages({"role": "assistant", "content": [block]})) == [
        ("messages[0].content[0].input.to", "assistant", "a@b.de"),
        ("messages[0].content[0].input.more[0].x", "assistant", "y"),
    ]


def test_a_count_of_tokens_is_read_as_its_message_is() -> None:
    request = read_count_tokens(b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}')

    assert found(request) == [("messages[0].content", "user", "Hi")]


@pytest.mark.parametrize(
    ("prompt", "paths"), [("one", ["prompt"]), (["one", "two"], ["prompt[0]", "prompt[1]"]), ([1, 2], []), (None, [])]
)
def test_legacy_prompts_are_the_users(prompt: Any, paths: list[str]) -> None:
    request = read_completions(json.dumps({"model": "m", "prompt": prompt, "suffix": "end"}).encode())

    assert [path for path, _, _ in found(request)] == [*paths, "suffix"]


@pytest.mark.parametrize(
    ("given", "paths"), [("x", ["input"]), (["x", "y"], ["input[0]", "input[1]"]), ([[1], [2]], [])]
)
def test_texts_that_become_embeddings_are_stored(given: Any, paths: list[str]) -> None:
    request = read_embeddings(json.dumps({"model": "m", "input": given}).encode())

    assert [(path, speaker) for path, speaker, _ in found(request)] == [(path, "stored") for path in paths]


def test_every_place_that_is_read_can_be_written() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    request = chat(
        {"role": "system", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "tool_calls": [call]},
        prediction={"content": [{"type": "text", "text": "d"}]},
    )
    places = {text.path: f"new {text.text}" for text in texts_of(request)}

    changed = request.rewritten(places)

    assert {text.path: text.text for text in texts_of(changed)} == places


def test_tools_are_known_by_name_in_each_shape() -> None:
    schema = {"type": "object"}
    declared = [
        {"type": "function", "function": {"name": "chat", "parameters": schema}},
        {"type": "function", "name": "responses", "parameters": schema},
        {"name": "messages", "input_schema": schema},
        {"type": "web_search"},
        {"type": "function", "function": {"name": "bare"}},
        "nonsense",
    ]

    assert tools_of(chat({"role": "user", "content": "x"}, tools=declared)) == {
        "chat": schema, "responses": schema, "messages": schema, "bare": {},
    }  # fmt: skip
