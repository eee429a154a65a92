from __future__ import annotations

from typing import Any

import pytest

from gateway.answers.assembly.messages import assemble_message
from tests.support.kept_answers import USAGE, golden, message_answer

WRITTEN = [pytest.param(answer, events, id=name) for name, shape, answer, events in golden() if shape == "messages"]


def start(**members: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {**message_answer(), "content": [], **members}}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(**usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


@pytest.mark.parametrize(("answer", "events"), WRITTEN)
def test_a_written_stream_is_the_written_answer(answer: dict[str, Any], events: list[dict[str, Any]]) -> None:
    found = assemble_message(events, USAGE)

    assert found is not None
    assert found.is_exact
    plain = [{name: value for name, value in block.items() if value is not None} for block in answer["content"]]
    assert found.document["content"] == plain
    assert {**found.document, "content": [], "usage": {}} == {**answer, "content": [], "usage": {}}


def test_later_counts_replace_earlier_ones() -> None:
    found = assemble_message([start(usage={"input_tokens": 9, "output_tokens": 1}), *end(output_tokens=7)], USAGE)

    assert found is not None
    assert found.document["usage"] == {"input_tokens": 9, "output_tokens": 7}


def test_pings_are_no_part_of_it() -> None:
    found = assemble_message([start(), {"type": "ping"}, *end()], USAGE)

    assert found is not None
    assert found.is_exact


@pytest.mark.parametrize(
    "events",
    [
        block(0, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": {}}),
        block(0, {"type": "tool_use", "input": {}}, {"type": "input_json_delta", "partial_json": '{"a":'}),
        [{"type": "new_event"}],
    ],
)
def test_what_a_whole_answer_has_no_place_for_is_noticed(events: list[dict[str, Any]]) -> None:
    found = assemble_message([start(), *events, *end()], USAGE)

    assert found is not None
    assert not found.is_exact


def test_events_without_a_start_are_no_answer() -> None:
    assert assemble_message(end(), USAGE) is None
