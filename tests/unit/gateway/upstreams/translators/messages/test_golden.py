"""Requests, answers and streams written down in both shapes, held against the translators and both clients' types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams.translators.base import Call, Translator
from gateway.upstreams.translators.messages.chat_to_messages import ChatToMessages
from gateway.upstreams.translators.messages.messages_to_chat import MessagesToChat
from tests.support.anthropic_checks import check_events, check_message, check_message_request
from tests.support.spec import check_against_spec

FOLDER = Path(__file__).resolve().parents[6] / "tests" / "golden" / "messages"
PAIRS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
WAYS: dict[str, Translator] = {"chat_to_messages": ChatToMessages(), "messages_to_chat": MessagesToChat()}


def call_for(pair: dict[str, Any]) -> Call:
    return Call(request=pair["request"], model="routed", answer_id="0a1b", created=1_700_000_000)


def having(member: str, way: str = "") -> pytest.MarkDecorator:
    chosen = {name: pair for name, pair in PAIRS.items() if member in pair and pair["way"].startswith(way)}
    return pytest.mark.parametrize("pair", chosen.values(), ids=chosen)


def streamed(pair: dict[str, Any]) -> list[dict[str, Any]]:
    stream = WAYS[pair["way"]].stream(call_for(pair))
    return [made for event in pair["events"] for made in stream.feed(event)] + stream.finish()


@having("translated")
def test_request_is_translated_as_written_down(pair: dict[str, Any]) -> None:
    made = WAYS[pair["way"]].request(pair["request"], max_output_tokens=4096)

    assert made.document == pair["translated"]
    assert list(made.dropped) == pair["dropped"]


@having("translated")
def test_request_fits_the_messages_api(pair: dict[str, Any]) -> None:
    check_message_request(pair["translated" if pair["way"] == "chat_to_messages" else "request"])


@having("translated")
def test_a_member_nobody_knows_is_named_wherever_it_stands(pair: dict[str, Any]) -> None:
    for path in objects(pair["request"]):
        request = json.loads(json.dumps(pair["request"]))
        found = request
        for step in path:
            found = found[step]
        found["odd"] = 1

        dropped = WAYS[pair["way"]].request(request, max_output_tokens=4096).dropped

        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in [*path, "odd"])[1:]
        assert any(where == name or where.startswith(f"{name}.") for name in dropped), where


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every object in a document, except those that the translators do not look into."""
    opaque = {"parameters", "input_schema", "schema", "input", "cache_control", "thinking"}
    if isinstance(value, dict):
        yield path
        for name, member in value.items():
            if name not in opaque:
                yield from objects(member, (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from objects(entry, (*path, index))


@having("answer")
def test_answer_is_translated_as_written_down(pair: dict[str, Any]) -> None:
    assert WAYS[pair["way"]].answer(call_for(pair), pair["answer"]) == pair["translated_answer"]


@having("events")
def test_stream_is_translated_as_written_down(pair: dict[str, Any]) -> None:
    assert streamed(pair) == pair["translated_events"]


@having("events", "chat_to_messages")
def test_chunks_fit_and_add_up_to_the_plain_answer(pair: dict[str, Any]) -> None:
    check_against_spec(pair["translated_answer"], "CreateChatCompletionResponse")
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in pair["translated_events"]:
        check_against_spec(chunk, "CreateChatCompletionStreamResponse")
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    plain = pair["translated_answer"]["choices"][0]
    whole = state.current_completion_snapshot.choices[0]

    assert whole.finish_reason == plain["finish_reason"]
    assert (whole.message.content or None, whole.message.refusal) == (
        plain["message"]["content"],
        plain["message"]["refusal"],
    )
    calls = [
        (made.id, made.function.name, made.function.arguments)
        for made in whole.message.tool_calls or []
        if made.type == "function"
    ]
    assert calls == [
        (made["id"], made["function"]["name"], made["function"]["arguments"])
        for made in plain["message"].get("tool_calls", [])
    ]


@having("events", "messages_to_chat")
def test_events_fit_and_add_up_to_the_plain_answer(pair: dict[str, Any]) -> None:
    check_message(pair["translated_answer"])

    assert check_events(pair["translated_events"]) == pair["translated_answer"]


@having("events", "chat_to_messages")
def test_usage_comes_last_and_only_when_asked_for(pair: dict[str, Any]) -> None:
    usages = [chunk["usage"] for chunk in pair["translated_events"] if chunk.get("usage")]

    if pair["request"].get("stream_options"):
        assert pair["translated_events"][-1]["choices"] == []
        assert usages == [pair["translated_answer"]["usage"]]
    else:
        assert usages == []


@having("events")
@pytest.mark.parametrize("end", [0, 1, -2])
def test_cut_stream_has_no_end(pair: dict[str, Any], end: int) -> None:
    cut = {**pair, "events": pair["events"][:end]}

    with pytest.raises(UpstreamGarbledError):
        streamed(cut)
