from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from router.conversation import HEAD, TAIL, Prefixes, conversation_key, ends_of, tokens_of, user_turns
from router.needs import IMAGE_TOKENS

Message = dict[str, Any]

SYSTEM: Message = {"role": "system", "content": "Be brief."}
HELLO: Message = {"role": "user", "content": "Hello"}
HI: Message = {"role": "assistant", "content": "Hi!"}
AGAIN: Message = {"role": "user", "content": "And now?"}
CALL: Message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]}
RESULT: Message = {"role": "tool", "tool_call_id": "c", "content": "42"}
PICTURE: Message = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}


def made(read: Callable[[bytes], ModelRequest], **document: Any) -> ModelRequest:
    return read(json.dumps({"model": "m", **document}).encode())


def chat(*messages: Message) -> ChatRequest:
    return read_chat(json.dumps({"model": "m", "messages": messages}).encode())


def key(*messages: Message, caller_id: str = "key_1", session: str | None = None) -> bytes:
    return conversation_key(chat(*messages), caller_id, session)


def texts(request: ModelRequest, most: int = 8) -> list[str]:
    return [turn.text for turn in user_turns(request, most)]


# ---------------------------------------------------------------- the key


def test_a_key_stays_as_the_conversation_grows() -> None:
    begun = key(SYSTEM, HELLO)

    assert len(begun) == 16
    assert begun == key(SYSTEM, HELLO, HI, AGAIN) == key(SYSTEM, HELLO, CALL, RESULT, HI, AGAIN)


def test_instructions_further_down_do_not_change_the_key() -> None:
    assert key(SYSTEM, HELLO, HI, {"role": "system", "content": "It is noon."}, AGAIN) == key(SYSTEM, HELLO)


def test_a_greeting_of_the_model_does_not_change_the_key() -> None:
    assert key(SYSTEM, HI, HELLO) == key(SYSTEM, HELLO)


def test_conversations_that_begin_otherwise_have_other_keys() -> None:
    others = [
        key(SYSTEM, HELLO, caller_id="key_2"),
        key(HELLO),
        key(SYSTEM, AGAIN),
        key({"role": "developer", "content": "Be long."}, HELLO),
        key(SYSTEM),
        key(SYSTEM, HELLO, session="s"),
        key({"role": "system", "content": "Be brief.5:Hello"}),
    ]

    assert len({key(SYSTEM, HELLO), *others}) == len(others) + 1


def test_a_callers_id_is_kept_apart_from_what_is_said() -> None:
    assert key(HELLO, caller_id="a", session="bc") != key(HELLO, caller_id="ab", session="c")


def test_a_session_alone_makes_the_key() -> None:
    assert key(SYSTEM, HELLO, session="s") == key(AGAIN, session="s")
    assert key(HELLO, session="s") != key(HELLO, session="t")


@pytest.mark.parametrize(
    ("plain", "parted"),
    [
        ("Hello", [{"type": "text", "text": "Hello"}]),
        ("Hello", [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]),
    ],
)
def test_a_client_may_mark_a_message_for_the_prompt_cache(plain: Any, parted: Any) -> None:
    before = made(read_messages, messages=[{"role": "user", "content": parted}], max_tokens=1)
    after = made(read_messages, messages=[{"role": "user", "content": plain}, HI, AGAIN], max_tokens=1)

    assert conversation_key(before, "k") == conversation_key(after, "k")


def test_a_picture_tells_conversations_apart() -> None:
    other = {"type": "image_url", "image_url": {"url": "https://a/c.png"}}

    assert key({"role": "user", "content": [PICTURE]}) != key({"role": "user", "content": [other]})


@pytest.mark.parametrize("change", ["head", "tail", "length"])
def test_long_texts_are_told_apart_by_their_ends_and_length(change: str) -> None:
    long = "a" * 10_000
    other = {"head": "b" + long[1:], "tail": long[:-1] + "b", "length": long + "a"}[change]

    assert key({"role": "user", "content": long}) != key({"role": "user", "content": other})


def test_the_middle_of_a_long_text_is_not_read() -> None:
    assert ends_of("a" * HEAD + "b" * 5000 + "c" * TAIL) == "a" * HEAD + "9000" + "c" * TAIL
    assert ends_of("a" * (HEAD + TAIL)) == "a" * (HEAD + TAIL)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": []},
        HI,
        RESULT,
    ],
)
def test_without_a_beginning_there_is_no_key(message: Message) -> None:
    assert key(message) == b""


@pytest.mark.parametrize("content", [None, "", []])
def test_messages_without_content_do_not_change_the_key(content: Any) -> None:
    empty = {"role": "user", "content": content}

    assert key(SYSTEM, empty, HELLO) == key(SYSTEM, HELLO)


@pytest.mark.parametrize("request_", [made(read_embeddings, input="Hello"), made(read_completions, prompt="Hello")])
def test_single_requests_have_no_key_of_their_own(request_: ModelRequest) -> None:
    assert conversation_key(request_, "k") == b""
    assert conversation_key(request_, "k", "s") == key(HELLO, caller_id="k", session="s")


def test_every_shape_has_the_key_of_what_is_said() -> None:
    expected = key(SYSTEM, HELLO, caller_id="k")

    assert conversation_key(made(read_responses, instructions="Be brief.", input="Hello"), "k") == expected
    assert conversation_key(made(read_responses, instructions="Be brief.", input=[HELLO]), "k") == expected
    assert conversation_key(made(read_messages, system="Be brief.", messages=[HELLO], max_tokens=1), "k") == expected


def test_a_response_that_continues_what_the_provider_keeps_has_its_sessions_key_or_none() -> None:
    request = made(read_responses, input="And now?", previous_response_id="resp_1")

    assert conversation_key(request, "k") == b""
    assert conversation_key(request, "k", "s") == key(HELLO, caller_id="k", session="s")


def test_a_stored_conversation_is_named_by_its_id() -> None:
    first = made(read_responses, input="Hello", conversation="conv_1")
    second = made(read_responses, input="And now?", conversation={"id": "conv_1"})
    other = made(read_responses, input="Hello", conversation="conv_2")

    assert conversation_key(first, "k") == conversation_key(second, "k")
    assert conversation_key(first, "k") != conversation_key(other, "k")


# ---------------------------------------------------------------- turns


def test_the_first_turn_and_the_last_ones_are_returned_in_order() -> None:
    said = [{"role": "user", "content": f"turn {number}"} for number in range(20)]
    request = chat(*[message for turn in said for message in (turn, HI)])

    assert texts(request) == ["turn 0", *(f"turn {number}" for number in range(13, 20))]
    assert texts(request, 2) == ["turn 0", "turn 19"]
    assert [turn.position for turn in user_turns(request, 3)] == [0, 36, 38]


@pytest.mark.parametrize("length", [1, 7, 8, 9])
def test_no_turn_is_returned_twice(length: int) -> None:
    request = chat(*[m for number in range(length) for m in ({"role": "user", "content": f"turn {number}"}, HI)])

    found = texts(request)

    assert len(found) == len(set(found)) == min(length, 8)


def test_what_was_said_before_the_last_message_of_a_turn_is_no_turn_of_its_own() -> None:
    said = [{"role": "user", "content": text} for text in ("a document", "a question", "another")]

    assert texts(chat(*said[:2])) == ["a question"]
    assert texts(chat(*said[:2], HI, said[2])) == ["a question", "another"]


def test_results_of_tools_are_no_turns() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
    answered = made(read_messages, messages=[HELLO, HI, {"role": "user", "content": [result]}], max_tokens=1)
    output = {"type": "function_call_output", "call_id": "c", "output": "42"}

    assert texts(chat(HELLO, CALL, RESULT)) == ["Hello"]
    assert texts(answered) == ["Hello"]
    assert texts(made(read_responses, input=[HELLO, output])) == ["Hello"]


@pytest.mark.parametrize(
    "content", [None, "", " \n", [], [PICTURE], [{"type": "text"}], [{"type": "text", "text": ""}]]
)
def test_messages_without_text_are_no_turns(content: Any) -> None:
    assert texts(chat(HELLO, {"role": "user", "content": content})) == ["Hello"]


def test_the_text_of_a_turn_is_that_of_its_parts() -> None:
    parts = [{"type": "text", "text": "What is"}, PICTURE, {"type": "text", "text": "this?"}]

    assert texts(chat({"role": "user", "content": parts})) == ["What is\nthis?"]


def test_a_conversation_of_tools_alone_has_no_turns() -> None:
    assert texts(chat(SYSTEM, CALL, RESULT)) == []


# ---------------------------------------------------------------- sizes


def test_what_was_said_before_a_message_is_measured_once() -> None:
    messages: list[Message] = [
        {"role": "system", "content": "word" * 100},
        {"role": "user", "content": [{"type": "text", "text": "word" * 10}, PICTURE]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "word"},
    ]
    prefixes = Prefixes(messages)

    found = [prefixes.tokens_before(position) for position in (0, 1, 1, 2, 3, 4)]

    assert found == [0, 100, 100, 110 + IMAGE_TOKENS, 110 + IMAGE_TOKENS, 111 + IMAGE_TOKENS]


def test_letters_beyond_ascii_count_twice() -> None:
    assert (tokens_of("word" * 10), tokens_of("слово" * 8)) == (10, 20)


# ---------------------------------------------------------------- properties

contents = (
    st.none() | st.text(max_size=20) | st.lists(st.builds(lambda text: {"type": "text", "text": text}, st.text()))
)
messages_of = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        contents,
    ),
    min_size=1,
    max_size=12,
)


@given(begun=messages_of, more=messages_of)
def test_whatever_follows_the_first_message_of_the_user_keeps_the_key(
    begun: list[Message], more: list[Message]
) -> None:
    begun = [*begun, HELLO]

    assert key(*begun) == key(*begun, *more) != b""


@given(begun=messages_of, more=messages_of)
def test_turns_are_the_same_however_much_follows(begun: list[Message], more: list[Message]) -> None:
    before, after = user_turns(chat(*begun), 100), user_turns(chat(*begun, HI, *more), 100)

    assert after[: len(before)] == before


@given(messages=messages_of, most=st.integers(2, 5))
def test_fewer_turns_are_the_first_and_the_last_of_all(messages: list[Message], most: int) -> None:
    every = user_turns(chat(*messages), 100)

    expected = every if len(every) <= most else [every[0], *every[1 - most :]]
    assert user_turns(chat(*messages), most) == expected
