from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.assembly.messages import assemble_message
from gateway.answers.rendering.base import How
from gateway.answers.rendering.messages import MessagesRenderer
from tests.support.anthropic_checks import check_events
from tests.support.kept_answers import USAGE, events_in, golden, message_answer

HOWS: tuple[How, How] = ("natural", "at_once")
TEXT = {"type": "text", "text": "Hello, my world."}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Graz", "days": [1, 2.5], "x": None}}
THINKING = {"type": "thinking", "thinking": "Hm, well.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
WRITTEN = [pytest.param(answer, id=name) for name, shape, answer, _ in golden() if shape == "messages"]


def events(document: dict[str, Any], how: How = "natural") -> list[dict[str, Any]]:
    return events_in(b"".join(MessagesRenderer().events(document, how, wants_usage=False)))


@pytest.mark.parametrize("how", HOWS)
def test_the_client_reads_the_same_message(how: How) -> None:
    answer = message_answer(REDACTED, THINKING, TEXT, USE, {**USE, "id": "toolu_2", "input": {}}, stop="tool_use")

    assert check_events(events(answer, how)) == answer


def test_events_bear_the_names_of_their_types() -> None:
    sent = b"".join(MessagesRenderer().events(message_answer(), "natural", wants_usage=False)).decode()

    names = [line[7:] for line in sent.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events(message_answer())]
    assert "[DONE]" not in sent


def test_the_prompt_is_counted_at_the_start_and_all_at_the_end() -> None:
    usage = {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 4, "service_tier": "standard"}

    found = events(message_answer(usage=usage))

    assert found[0]["message"]["usage"] == {**usage, "output_tokens": 0}
    assert found[-2]["usage"] == {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 4}


def test_the_start_does_not_tell_the_end() -> None:
    found = events(message_answer(stop="stop_sequence", stop_sequence="X"))

    assert found[0]["message"]["stop_reason"] is None
    assert found[0]["message"]["stop_sequence"] is None
    assert found[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "X", "stop_details": None}


def test_a_natural_text_comes_by_words_and_at_once_in_one() -> None:
    deltas = [
        [
            event["delta"]["text"]
            for event in events(message_answer(TEXT), how)
            if event["type"] == "content_block_delta"
        ]
        for how in HOWS
    ]

    assert deltas == [["Hello,", " my", " world."], ["Hello, my world."]]


@pytest.mark.parametrize(
    "block",
    [
        {**TEXT, "citations": [{"type": "char_location"}]}, {"type": "text", "text": None}, {"type": "other"}, {},
        {"type": ["text"]}, {**THINKING, "signature": None}, {**USE, "id": None}, {"type": "tool_use", "id": "x"},
        {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}, "text",
    ],
)  # fmt: skip
def test_what_events_would_not_say_is_not_rendered(block: Any) -> None:
    assert not MessagesRenderer().says_all(message_answer(block))


@pytest.mark.parametrize("members", [{"content": None}, {"container": {"id": "c"}}, {"new": 1}])
def test_messages_of_unknown_members_are_not_rendered(members: dict[str, Any]) -> None:
    assert not MessagesRenderer().says_all(message_answer(**members))


@pytest.mark.parametrize("block", [TEXT, USE, THINKING, REDACTED, {**TEXT, "citations": None}])
def test_what_events_say_is_rendered(block: Any) -> None:
    assert MessagesRenderer().says_all(message_answer(block))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("answer", WRITTEN)
def test_written_messages_come_back_from_their_events(answer: dict[str, Any], how: How) -> None:
    assert MessagesRenderer().says_all(answer)

    found = assemble_message(events(answer, how), USAGE)

    assert found is not None
    assert found.is_exact
    assert found.document == answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=3), st.sampled_from(HOWS))
def test_any_message_comes_back_from_its_events(text: str, arguments: dict[str, Any], how: How) -> None:
    answer = message_answer({"type": "text", "text": text}, {**USE, "input": arguments}, stop="tool_use")

    found = assemble_message(events(answer, how), USAGE)

    assert found is not None
    assert found.is_exact
    assert found.document == answer
