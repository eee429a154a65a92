from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.answers.rendering.base import How
from gateway.answers.rendering.responses import ResponsesRenderer
from tests.support.kept_answers import events_in, golden, response_answer, response_message
from tests.support.spec import check_against_spec

HOWS: tuple[How, How] = ("natural", "at_once")
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "f",
        "arguments": '{"city":"Graz","days":3}'}  # fmt: skip
CUSTOM = {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "g",
          "input": "ls -l | sort"}  # fmt: skip
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Thought hard."}]}
MIXED = response_answer(REASONING, response_message("Hello, my world."), CALL, CUSTOM)
WRITTEN = [pytest.param(answer, id=name) for name, shape, answer, _ in golden() if shape == "responses"]


def events(document: dict[str, Any], how: How = "natural") -> list[dict[str, Any]]:
    return events_in(b"".join(ResponsesRenderer().events(document, how, wants_usage=False)))


def accumulated(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the output that openai-python makes of events."""
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=[], text_format=omit)
    for event in found:
        state.handle_event(EVENTS.validate_python(event))
    items = state._completed_output
    return [items[index].model_dump(exclude_unset=True) for index in sorted(items)]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("answer", WRITTEN)
def test_events_are_what_the_api_describes(answer: dict[str, Any], how: How) -> None:
    if not ResponsesRenderer().says_all(answer):
        return

    for event in events(answer, how):
        check_against_spec(event, "ResponseStreamEvent")
        EVENTS.validate_python(event)


def test_events_come_in_the_documented_order() -> None:
    found = [event["type"].removeprefix("response.") for event in events(MIXED, "at_once")]

    assert found == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
def test_events_are_numbered_and_named(how: How) -> None:
    sent = b"".join(ResponsesRenderer().events(MIXED, how, wants_usage=False)).decode()
    found = events(MIXED, how)

    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [line[7:] for line in sent.splitlines() if line.startswith("event: ")] == [event["type"] for event in found]
    assert "[DONE]" not in sent


@pytest.mark.parametrize("how", HOWS)
def test_deltas_add_up_to_what_is_done(how: How) -> None:
    texts: dict[tuple[str, str], str] = {}
    for event in events(MIXED, how):
        if event["type"].endswith(".delta"):
            key = event["item_id"], event["type"].removesuffix(".delta")
            texts[key] = texts.get(key, "") + event["delta"]

    assert texts == {
        ("rs_1", "response.reasoning_summary_text"): "Thought hard.",
        (response_message()["id"], "response.output_text"): "Hello, my world.",
        ("fc_1", "response.function_call_arguments"): CALL["arguments"],
        ("ctc_1", "response.custom_tool_call_input"): CUSTOM["input"],
    }


def test_the_response_is_empty_at_the_start_and_whole_at_the_end() -> None:
    found = events(MIXED)

    assert found[0]["response"]["output"] == []
    assert found[0]["response"]["status"] == "in_progress"
    assert "usage" not in found[0]["response"]
    assert found[-1]["response"] == MIXED
    assert [event["item"] for event in found if event["type"].endswith("item.done")] == MIXED["output"]


def test_items_begin_empty() -> None:
    added = [event["item"] for event in events(MIXED) if event["type"].endswith("item.added")]

    assert [item.get("content", item.get("summary", item.get("arguments", item.get("input")))) for item in added] == [
        [], [], "", "",
    ]  # fmt: skip
    assert [item.get("status") for item in added] == [None, *["in_progress"] * 3]


@given(st.text(min_size=1), st.text(), st.sampled_from(HOWS))
def test_the_client_reads_the_same_output(text: str, arguments: str, how: How) -> None:
    answer = response_answer(response_message(text), {**CALL, "arguments": arguments}, parallel_tool_calls=True,
                             tool_choice="auto", tools=[])  # fmt: skip

    assert accumulated(events(answer, how)) == answer["output"]


@pytest.mark.parametrize(
    "item",
    [
        {**REASONING, "encrypted_content": "sealed"},
        {**REASONING, "content": [{"type": "reasoning_text", "text": "x"}]},
        {**REASONING, "summary": None},
        response_message(annotations=[{"type": "url_citation"}]),
        response_message(logprobs=[{"token": "x"}]),
        response_message(type="refusal"),
        {**CALL, "arguments": None},
        {**CALL, "id": None},
        {"id": "ws_1", "type": "web_search_call", "status": "completed"},
        {},
        "x",
    ],
)
def test_what_events_would_not_say_is_not_rendered(item: Any) -> None:
    assert not ResponsesRenderer().says_all(response_answer(item))


@pytest.mark.parametrize(
    "item", [REASONING, {**REASONING, "encrypted_content": None}, CALL, CUSTOM, response_message()]
)
def test_what_events_say_is_rendered(item: Any) -> None:
    assert ResponsesRenderer().says_all(response_answer(item))


def test_what_has_no_output_is_not_rendered() -> None:
    assert not ResponsesRenderer().says_all(response_answer(output=None))
