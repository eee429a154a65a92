"""Requests, answers and streams written down: what is translated to what, in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai import omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.upstreams.translators.base import Call, Translator
from gateway.upstreams.translators.responses.chat_to_responses import ChatToResponses
from gateway.upstreams.translators.responses.responses_to_chat import ResponsesToChat
from tests.support.spec import check_against_spec

FOLDER = Path(__file__).resolve().parents[5] / "golden" / "responses"
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))
TO_CHAT = [name for name in CASES if name.startswith("responses_to_chat")]
TO_RESPONSES = [name for name in CASES if name.startswith("chat_to_responses")]
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def read(name: str) -> dict[str, Any]:
    example: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return example


def with_member(member: str) -> list[str]:
    return [name for name in CASES if member in read(name)]


def test_there_are_examples_of_both_directions() -> None:
    assert TO_CHAT
    assert TO_RESPONSES


@pytest.mark.parametrize("name", CASES)
def test_a_request_becomes_what_is_written(name: str) -> None:
    example = read(name)

    translated = translator(name).request(example["request"], max_output_tokens=512)

    assert translated.document == example["translated"]
    assert list(translated.dropped) == example["dropped"]


@pytest.mark.parametrize("name", with_member("answer"))
def test_an_answer_becomes_what_is_written(name: str) -> None:
    example = read(name)

    assert translator(name).answer(call(example), example["answer"]) == example["answered"]


@pytest.mark.parametrize("name", with_member("stream"))
def test_a_stream_becomes_what_is_written(name: str) -> None:
    example = read(name)

    assert streamed(name, example) == example["streamed"]


@pytest.mark.parametrize("name", TO_CHAT)
def test_what_callers_of_responses_get_is_what_the_api_describes(name: str) -> None:
    example = read(name)
    if "answered" in example:
        check_against_spec(example["answered"], "Response")
        Response.model_validate(example["answered"])
    for event in example.get("streamed", ()):
        check_against_spec(event, "ResponseStreamEvent")
        EVENTS.validate_python(event)

    if "streamed" in example:
        assert accumulated_response(example["streamed"]) == example["answered"]["output"]


@pytest.mark.parametrize("name", [name for name in with_member("stream") if name in TO_CHAT])
def test_a_stream_ends_with_the_response_that_a_plain_answer_would_be(name: str) -> None:
    example = read(name)
    last = example["streamed"][-1]["response"]

    assert {**last, "service_tier": None} == {**example["answered"], "service_tier": None}
    assert [event["sequence_number"] for event in example["streamed"]] == list(range(len(example["streamed"])))


@pytest.mark.parametrize("name", TO_RESPONSES)
def test_what_callers_of_chat_get_is_what_the_api_describes(name: str) -> None:
    example = read(name)
    if "answered" in example:
        check_against_spec(example["answered"], "CreateChatCompletionResponse")
        ChatCompletion.model_validate(example["answered"])
    for chunk in example.get("streamed", ()):
        check_against_spec(chunk, "CreateChatCompletionStreamResponse")

    if "streamed" in example and "custom" not in name:
        assert accumulated_completion(example["streamed"]) == stripped(example["answered"]["choices"][0]["message"])


def translator(name: str) -> Translator:
    return ResponsesToChat() if name in TO_CHAT else ChatToResponses()


def call(example: dict[str, Any]) -> Call:
    return Call(request=example["request"], model="m", answer_id="0a1b", created=1_700_000_000)


def streamed(name: str, example: dict[str, Any]) -> list[dict[str, Any]]:
    stream = translator(name).stream(call(example))
    return [event for heard in example["stream"] for event in stream.feed(heard)] + stream.finish()


def accumulated_response(events: list[dict[str, Any]]) -> list[Any]:
    """Return the output that openai-python makes of the events."""
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=[], text_format=omit)
    for event in events:
        state.handle_event(EVENTS.validate_python(event))
    items = state._completed_output
    return [items[index].model_dump(exclude_unset=True) for index in sorted(items)]


def accumulated_completion(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that openai-python makes of the chunks."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    message = state.current_completion_snapshot.choices[0].message
    found: dict[str, Any] = stripped(message.model_dump(exclude_unset=True))
    return found


def stripped(value: Any) -> Any:
    """Return a message without what only one of the two ways to it writes down."""
    if isinstance(value, dict):
        left_out = ("index", "annotations", "parsed", "parsed_arguments")
        return {name: stripped(member) for name, member in value.items() if member is not None and name not in left_out}
    return [stripped(entry) for entry in value] if isinstance(value, list) else value
