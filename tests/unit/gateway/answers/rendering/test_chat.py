from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.answers.assembly.chat import assemble_chat
from gateway.answers.rendering.base import How
from gateway.answers.rendering.chat import ChatRenderer
from gateway.domain.usage import NO_USAGE
from tests.support.kept_answers import DONE, USAGE, chat_answer, events_in, golden, tool_call
from tests.support.spec import check_against_spec

HOWS: tuple[How, How] = ("natural", "at_once")
TWO_CALLS = chat_answer("Let me see.", "tool_calls", tool_calls=[tool_call(1), tool_call(2, "")])
TWO_CHOICES = chat_answer() | {
    "choices": [chat_answer("one")["choices"][0], {**chat_answer("two")["choices"][0], "index": 1}]
}
WRITTEN = [pytest.param(answer, id=name) for name, shape, answer, _ in golden() if shape == "chat"]


def sent(document: dict[str, Any], how: How = "natural", *, wants_usage: bool = False) -> bytes:
    return b"".join(ChatRenderer().events(document, how, wants_usage=wants_usage))


def chunks(document: dict[str, Any], how: How = "natural", *, wants_usage: bool = False) -> list[dict[str, Any]]:
    return events_in(sent(document, how, wants_usage=wants_usage))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("document", [chat_answer(), TWO_CALLS, TWO_CHOICES])
def test_every_chunk_is_what_the_api_describes(document: dict[str, Any], how: How) -> None:
    found = chunks(document, how, wants_usage=True)

    for chunk in found:
        check_against_spec(chunk, "CreateChatCompletionStreamResponse")
        assert (chunk["id"], chunk["created"], chunk["model"]) == (
            document["id"],
            document["created"],
            document["model"],
        )
        assert chunk["object"] == "chat.completion.chunk"


@pytest.mark.parametrize("how", HOWS)
def test_the_client_reads_the_same_answer(how: How) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks(TWO_CALLS, how, wants_usage=True):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))

    whole = state.current_completion_snapshot
    choice = whole.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    assert [(one.id, one.function.name, one.function.arguments) for one in choice.message.tool_calls or ()] == [
        (tool_call(1)["id"], "weather", '{"city":"Graz"}'), (tool_call(2)["id"], "weather", ""),
    ]  # fmt: skip
    assert whole.usage is not None
    assert whole.usage.total_tokens == 13


def test_the_role_comes_first_and_the_reason_last_and_once() -> None:
    found = [chunk["choices"][0] for chunk in chunks(chat_answer())]

    assert found[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [choice["finish_reason"] for choice in found] == [None] * (len(found) - 1) + ["stop"]
    assert found[-1]["delta"] == {}


def test_a_call_is_named_once_and_has_its_index_always() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(TWO_CALLS)]

    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["index"] for call in calls] == [0, 0, 1]
    assert [call.get("id") for call in calls] == [tool_call(1)["id"], None, tool_call(2)["id"]]
    assert [sorted(call["function"]) for call in calls] == [["arguments", "name"], ["arguments"], ["arguments", "name"]]
    assert calls[0]["type"] == "function"
    assert "type" not in calls[1]


def test_a_custom_call_goes_without_its_type() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}

    found = chunks(chat_answer(None, "tool_calls", tool_calls=[call]))

    deltas = [call for chunk in found for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert deltas == [
        {"index": 0, "id": "call_1", "custom": {"name": "run", "input": ""}},
        {"index": 0, "custom": {"input": "ls -l"}},
    ]


def test_the_usage_goes_to_who_asked_for_it() -> None:
    with_usage, without = chunks(chat_answer(), wants_usage=True), chunks(chat_answer())

    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"] == chat_answer()["usage"]
    assert [chunk["usage"] for chunk in with_usage[:-1]] == [None] * (len(with_usage) - 1)
    assert not any("usage" in chunk for chunk in without)
    assert all(chunk["choices"] for chunk in without)


def test_an_answer_without_usage_has_no_usage_chunk() -> None:
    document = chat_answer()
    del document["usage"]

    assert all(chunk["choices"] for chunk in chunks(document, wants_usage=True))


def test_what_stands_beside_the_reason_comes_with_it() -> None:
    document = changed_choice(stop_reason="X", native_finish_reason="STOP")

    last = chunks(document)[-1]["choices"][0]

    assert (last["finish_reason"], last["stop_reason"], last["native_finish_reason"]) == ("stop", "X", "STOP")
    assert assemble_chat(chunks(document), USAGE) == assemble_chat(chunks(document, "at_once"), USAGE)


@pytest.mark.parametrize("wants_usage", [True, False])
def test_the_stream_ends_with_done(*, wants_usage: bool) -> None:
    found = sent(chat_answer(), wants_usage=wants_usage).decode()

    assert found.endswith("\n\n" + DONE)
    assert found.count("[DONE]") == 1


def test_a_natural_text_comes_by_words_and_at_once_in_one() -> None:
    by_words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks(chat_answer("Hello, my  world.\n"))]
    at_once = [
        chunk["choices"][0]["delta"].get("content") for chunk in chunks(chat_answer("Hello, my  world.\n"), "at_once")
    ]

    assert by_words == ["", "Hello,", " my", "  world.", "\n", None]
    assert at_once == ["", "Hello, my  world.\n", None]


def test_members_of_the_answer_itself_stand_in_every_chunk() -> None:
    document = chat_answer() | {"service_tier": "default", "system_fingerprint": "fp_1"}

    for chunk in chunks(document):
        assert (chunk["service_tier"], chunk["system_fingerprint"]) == ("default", "fp_1")


def test_what_was_thought_comes_before_what_is_said() -> None:
    found = [chunk["choices"][0]["delta"] for chunk in chunks(chat_answer("So.", reasoning_content="Hm, well."))]

    assert [list(delta) for delta in found[1:]] == [["reasoning_content"], ["reasoning_content"], ["content"], []]


def changed_choice(**members: Any) -> dict[str, Any]:
    return chat_answer() | {"choices": [{**chat_answer()["choices"][0], **members}]}


@pytest.mark.parametrize(
    "document",
    [
        changed_choice(logprobs={"content": [{"token": "x"}], "refusal": None}),
        changed_choice(index="0"),
        changed_choice(message=None),
        changed_choice(content_filter_results={"hate": {"filtered": False}}),
        chat_answer(refusal="No."),
        chat_answer(audio={"id": "a"}),
        chat_answer(annotations=[{"type": "url_citation"}]),
        chat_answer(function_call={"name": "f"}),
        chat_answer(thinking_blocks=[{"type": "thinking", "signature": "x"}]),
        chat_answer(reasoning_details=[{"type": "reasoning.encrypted"}]),
        chat_answer([{"type": "text", "text": "x"}]),  # type: ignore[arg-type]  # Mistral's content is a list
        chat_answer(reasoning=["x"]),
        chat_answer(tool_calls="x"),
        chat_answer(tool_calls=[{**tool_call(), "extra_content": {"google": {"thought_signature": "x"}}}]),
        chat_answer(tool_calls=[{**tool_call(), "id": None}]),
        chat_answer(tool_calls=[{**tool_call(), "type": "other"}]),
        chat_answer(tool_calls=[{**tool_call(), "function": {"name": "f"}}]),
        chat_answer() | {"citations": ["https://example.org"]},
        chat_answer() | {"choices": None},
    ],
)
def test_what_chunks_would_not_say_is_not_rendered(document: dict[str, Any]) -> None:
    assert not ChatRenderer().says_all(document)


@pytest.mark.parametrize(
    "document",
    [
        chat_answer(), TWO_CALLS, TWO_CHOICES, chat_answer(annotations=[], audio=None),
        chat_answer(tool_calls=[{**tool_call(), "index": 0}]), changed_choice(stop_reason=None), {"choices": []},
    ],
)  # fmt: skip
def test_what_chunks_say_is_rendered(document: dict[str, Any]) -> None:
    assert ChatRenderer().says_all(document)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("answer", WRITTEN)
def test_written_answers_come_back_from_their_chunks(answer: dict[str, Any], how: How) -> None:
    if not ChatRenderer().says_all(answer):
        return

    found = assemble_chat(chunks(answer, how, wants_usage=True), NO_USAGE)

    assert found is not None
    assert found.is_exact
    assert bare(found.document) == bare(answer)


@given(
    st.text(min_size=1),
    st.lists(st.tuples(st.text(min_size=1), st.text(), st.sampled_from(["function", "custom"])), max_size=3),
    st.sampled_from(HOWS),
)
def test_any_answer_comes_back_from_its_chunks(text: str, calls: list[tuple[str, str, str]], how: How) -> None:
    made = [
        {"id": f"call_{at}", "type": kind, kind: {"name": name, ("input" if kind == "custom" else "arguments"): said}}
        for at, (name, said, kind) in enumerate(calls)
    ]
    document = chat_answer(text, "stop", **({"tool_calls": made} if made else {}))

    found = assemble_chat(chunks(document, how, wants_usage=True), USAGE)

    assert found is not None
    assert found.is_exact
    assert found.document == document


def bare(document: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without members that say nothing."""
    choices = [
        {**choice, "message": {name: value for name, value in choice["message"].items() if value not in (None, [])}}
        for choice in document["choices"]
    ]
    return {**document, "choices": choices}
