from __future__ import annotations

from typing import Any

import pytest

from gateway.answers.assembly.base import Assembled
from gateway.answers.assembly.chat import assemble_chat
from gateway.domain.usage import NO_USAGE, Usage
from tests.support.kept_answers import USAGE, golden

WRITTEN = [pytest.param(answer, events, id=name) for name, shape, answer, events in golden() if shape == "chat"]


def chunk(delta: Any = None, finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": members.pop("index", 0), "delta": delta, "finish_reason": finish, **members.pop("choice", {})}
    return {"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice], **members}


def assembled(*chunks: dict[str, Any], usage: Usage = USAGE) -> Assembled:
    found = assemble_chat(chunks, usage)
    assert found is not None
    return found


def message(*deltas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = assembled(*map(chunk, deltas)).document["choices"][0]["message"]
    return found


@pytest.mark.parametrize(("answer", "events"), WRITTEN)
def test_a_written_stream_is_the_written_answer(answer: dict[str, Any], events: list[dict[str, Any]]) -> None:
    found = assembled(*events)

    if found.is_exact:
        theirs, ours = answer["choices"][0], found.document["choices"][0]
        assert {name: value for name, value in theirs["message"].items() if value} == {
            name: value for name, value in ours["message"].items() if value
        }
        assert theirs["finish_reason"] == ours["finish_reason"]
        assert (answer["id"], answer["created"], answer["model"]) == tuple(
            found.document[name] for name in ("id", "created", "model")
        )


def test_members_that_come_late_or_are_empty_at_first_are_taken() -> None:
    found = assembled({"id": "", "created": 0, "model": "", "choices": []}, chunk({"content": "x"}, "stop"))

    assert (found.document["id"], found.document["created"], found.document["model"]) == ("chatcmpl-1", 1, "m")


def test_the_usage_chunk_is_the_answers_usage() -> None:
    told = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "own": 1}

    assert (
        assembled(chunk({"content": "x"}, "stop"), chunk() | {"choices": [], "usage": told}).document["usage"] == told
    )


def test_what_the_provider_told_the_gateway_only_is_told() -> None:
    usage = Usage(input_tokens=5, cached_tokens=3, output_tokens=2, reasoning_tokens=1)

    assert assembled(chunk({"content": "x"}, "stop"), usage=usage).document["usage"] == {
        "prompt_tokens": 8,
        "completion_tokens": 3,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
    }


@pytest.mark.parametrize("usage", [NO_USAGE, Usage(output_tokens=1, provenance="estimated")])
def test_a_guess_is_not_told(usage: Usage) -> None:
    assert "usage" not in assembled(chunk({"content": "x"}, "stop"), usage=usage).document


def test_choices_come_interleaved_and_out_in_order() -> None:
    found = assembled(
        chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({"content": "B"}, "stop", index=1),
        chunk({"content": "A"}, "stop"),
    )  # fmt: skip

    assert [(one["index"], one["message"]["content"]) for one in found.document["choices"]] == [(0, "aA"), (1, "bB")]


def test_calls_come_interleaved_and_out_in_order() -> None:
    def call(index: int, text: str, **first: Any) -> dict[str, Any]:
        return {
            "tool_calls": [
                {"index": index, **first, "function": {"arguments": text, **({"name": "f"} if first else {})}}
            ]
        }

    found = message(call(0, "", id="x"), call(1, "1", id="y"), call(0, "a"), call(1, "2"))

    assert [(one["id"], one["function"]["arguments"]) for one in found["tool_calls"]] == [("x", "a"), ("y", "12")]
    assert found["content"] is None


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    found = message(
        {"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}]},
        {"tool_calls": [{"id": "y", "function": {"name": "f", "arguments": "{"}}]},
        {"tool_calls": [{"function": {"arguments": "}"}}]},
    )

    assert [(one["id"], one["function"]["arguments"]) for one in found["tool_calls"]] == [("x", "{}"), ("y", "{}")]


def test_certainties_are_joined() -> None:
    tokens = [{"content": [{"token": token}], "refusal": None} for token in "ab"]

    found = assembled(
        *(chunk({"content": "x"}, choice={"logprobs": one}) for one in tokens), chunk({}, "stop"),
    )  # fmt: skip

    assert found.is_exact
    assert found.document["choices"][0]["logprobs"]["content"] == [{"token": "a"}, {"token": "b"}]


@pytest.mark.parametrize(
    "odd",
    [
        chunk({"content": ["x"]}), chunk({"annotations": [{"type": "url_citation"}]}), chunk({"audio": {"id": "a"}}),
        chunk({"thinking_blocks": [{"index": 0}]}), chunk({"content": "x"}, citations=["x"]),
        chunk({"content": "x"}, choice={"content_filter_results": {"hate": {}}}),
        chunk({"content": "x"}, choice={"logprobs": {"other": [1]}}),
        chunk({"tool_calls": [{"index": 0, "id": "x", "extra_content": {"google": {}}, "function": {"name": "f"}}]}),
    ],
)  # fmt: skip
def test_what_a_whole_answer_has_no_place_for_is_noticed(odd: dict[str, Any]) -> None:
    assert not assembled(odd, chunk({"content": "x"}, "stop")).is_exact


@pytest.mark.parametrize(
    "known", [chunk({"content": "x", "annotations": []}), chunk({"content": "x"}, obfuscation="abc", usage=None)]
)
def test_what_says_nothing_is_no_loss(known: dict[str, Any]) -> None:
    assert assembled(known, chunk({}, "stop")).is_exact


@pytest.mark.parametrize("events", [[], [{"choices": []}], [{"choices": None}], [{}]])
def test_what_has_no_choice_is_no_answer(events: list[dict[str, Any]]) -> None:
    assert assemble_chat(events, USAGE) is None
