from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, UpstreamGarbledError, UpstreamRefusedError
from gateway.upstreams.translators.base import Call, Document, Translated
from gateway.upstreams.translators.messages.chat_to_messages import JSON_ONLY, ChatToMessages
from tests.support.anthropic_checks import check_message_request
from tests.support.conversations import Conversations

TOOL = {"type": "function", "function": {"name": "now"}}
OTHER_TOOL = {"type": "function", "function": {"name": "later"}}
QUESTION = {"role": "user", "content": "Hello"}


def translated(*messages: Document, **members: Any) -> Translated:
    request = {"model": "m", "messages": list(messages) or [QUESTION], **members}
    return ChatToMessages().request(request, max_output_tokens=512)


def call_for(**request: Any) -> Call:
    return Call(request=request, model="routed", answer_id="0a1b", created=1)


def answered(*content: Document, stop: str = "end_turn", **members: Any) -> Document:
    message = {"content": list(content), "stop_reason": stop, **members}
    return ChatToMessages().answer(call_for(), message)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice.type"),
    ],
)
def test_what_changes_the_answer_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated(**members)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[0].content[0].type"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0].type"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[0].role"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, "messages[0].function_call"),
        ({"role": "assistant", "content": None, "audio": {"id": "a"}}, "messages[0].audio"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]},
            "messages[0].tool_calls[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:video/mp4;base64,AA=="}}]},
            "messages[0].content[0].file.file_data",
        ),
    ],
)
def test_content_without_a_counterpart_is_refused(message: Document, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated(message)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)


@pytest.mark.parametrize(
    "members",
    [
        {"n": 1}, {"logprobs": False}, {"top_logprobs": 0}, {"modalities": ["text"]}, {"functions": []},
        {"audio": None}, {"tools": []}, {"tools": None, "tool_choice": None}, {"response_format": {"type": "text"}},
        {"stop": []}, {"seed": None, "unknown": None}, {"stream_options": {"include_usage": True}, "stream": True},
    ],
)  # fmt: skip
def test_defaults_and_nulls_are_neither_refused_nor_dropped(members: dict[str, Any]) -> None:
    made = translated(**members)

    assert made.dropped == ()
    assert set(made.document) <= {"model", "messages", "max_tokens", "stream"}


def test_unknown_members_are_dropped_by_their_paths() -> None:
    made = translated(
        {"role": "user", "content": [{"type": "text", "text": "x", "odd": 1}], "name": "ada"},
        {"role": "assistant", "content": "y", "annotations": [{}], "function_call": None, "refusal": None},
        {"role": "assistant", "content": "z", "annotations": []},
        seed=1,
        stream_options={"include_obfuscation": False},
        tools=[{**TOOL, "odd": 1}],
        odd={},
    )

    assert sorted(made.dropped) == [
        "messages[0].content[0].odd", "messages[0].name", "messages[1].annotations", "odd", "seed",
        "stream_options.include_obfuscation", "tools[0].odd",
    ]  # fmt: skip


def test_members_of_the_messages_api_travel_on() -> None:
    members = {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}, "container": "c", "speed": "fast"}

    made = translated(**members)

    assert made.document.items() >= members.items()
    assert made.dropped == ()


@pytest.mark.parametrize(
    ("members", "limit", "dropped"),
    [
        ({}, 512, ()),
        ({"max_tokens": 9}, 9, ()),
        ({"max_tokens": 9, "max_completion_tokens": 9}, 9, ()),
        ({"max_tokens": 9, "max_completion_tokens": 8}, 8, ("max_tokens",)),
    ],
)
def test_the_newer_limit_goes_first(members: dict[str, Any], limit: int, dropped: tuple[str, ...]) -> None:
    made = translated(**members)

    assert made.document["max_tokens"] == limit
    assert made.dropped == dropped


@pytest.mark.parametrize(
    ("members", "made", "dropped"),
    [
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ()),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}, ()),
        ({"reasoning_effort": "max"}, {"output_config": {"effort": "max"}}, ()),
        ({"reasoning_effort": "odd"}, {}, ("reasoning_effort",)),
        (
            {"reasoning_effort": "high", "output_config": {"effort": "low"}},
            {"output_config": {"effort": "low"}},
            ("reasoning_effort",),
        ),
        (
            {"reasoning_effort": "none", "thinking": {"type": "adaptive"}},
            {"thinking": {"type": "adaptive"}},
            ("reasoning_effort",),
        ),
    ],
)
def test_effort_is_kept_unless_the_caller_speaks_anthropics_words(
    members: dict[str, Any], made: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    result = translated(**members)

    assert {name: result.document[name] for name in ("thinking", "output_config") if name in result.document} == made
    assert result.dropped == dropped


@pytest.mark.parametrize(
    ("choice", "parallel", "made"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("required", True, {"type": "any", "disable_parallel_tool_use": False}),
        ("none", None, {"type": "none"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (TOOL, False, {"type": "tool", "name": "now", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: Any, parallel: bool | None, made: Any) -> None:  # noqa: FBT001  # a parameter of the table
    document = translated(tools=[TOOL], tool_choice=choice, parallel_tool_calls=parallel).document

    assert document.get("tool_choice") == made


def test_allowed_tools_leave_only_themselves() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER_TOOL]}}

    made = translated(tools=[TOOL, OTHER_TOOL], tool_choice=choice)

    assert [tool["name"] for tool in made.document["tools"]] == ["later"]
    assert made.document["tool_choice"] == {"type": "any"}
    assert made.dropped == ("tools[0]",)


@pytest.mark.parametrize("choice", ["required", "odd", {"type": "function", "function": {"name": "none of them"}}, 5])
def test_a_choice_that_cannot_be_met_is_invalid(choice: Any) -> None:
    with pytest.raises(InvalidRequestError, match="tool_choice"):
        translated(tool_choice=choice)


def test_choices_without_tools_are_dropped() -> None:
    made = translated(tool_choice="auto", parallel_tool_calls=False)

    assert "tool_choice" not in made.document
    assert made.dropped == ("tool_choice", "parallel_tool_calls")


def test_json_object_is_asked_for_in_words() -> None:
    made = translated({"role": "system", "content": "Be brief."}, QUESTION, response_format={"type": "json_object"})

    assert made.document["system"] == f"Be brief.\n\n{JSON_ONLY}"
    assert made.dropped == ("response_format",)


def test_instructions_alone_become_the_users_turn() -> None:
    made = translated({"role": "system", "content": "Say hello."})

    assert made.document["messages"] == [{"role": "user", "content": "Say hello."}]
    assert "system" not in made.document


@pytest.mark.parametrize("content", ["", " \n", None, []])
def test_a_conversation_without_words_is_refused(content: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated({"role": "user", "content": content})

    assert caught.value.param == "messages"


def test_invisible_texts_are_left_out_and_named() -> None:
    made = translated(
        {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "x"}]},
        {"role": "assistant", "content": ""},
        QUESTION,
    )

    assert made.document["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "Hello"}]}
    ]
    assert made.dropped == ("messages[0].content[0]", "messages[1]")


def test_tool_results_come_first_in_their_turn() -> None:
    calls = [{"id": i, "type": "function", "function": {"name": "now", "arguments": "{}"}} for i in ("a", "b")]
    made = translated(
        QUESTION,
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": "wait"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
    )

    assert made.document["messages"][-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b"},
        {"type": "text", "text": "wait"},
    ]


def test_what_says_nothing_or_twice_is_named() -> None:
    mark = {"type": "ephemeral"}
    made = translated(
        {"role": "system", "content": " "},
        QUESTION,
        {"role": "assistant", "content": "", "cache_control": mark},
        user="u",
        safety_identifier="s",
        output_config={"format": {"type": "json_schema", "schema": {}}},
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}, "strict": True}},
    )

    assert made.document["metadata"] == {"user_id": "u"}
    assert made.document["output_config"]["format"]["schema"] == {"type": "object", "additionalProperties": False}
    assert made.dropped == (
        "messages[0].content", "messages[0]", "messages[2].cache_control", "messages[2]", "safety_identifier",
        "output_config.format",
    )  # fmt: skip


def test_a_named_tool_is_the_only_thing_its_choice_says() -> None:
    choice = {"type": "function", "function": {"name": "now", "odd": 1}, "odd": 1}

    assert translated(tools=[TOOL], tool_choice=choice).dropped == ("tool_choice.odd", "tool_choice.function.odd")


def test_images_in_tool_messages_stay_in_the_result() -> None:
    image = {"type": "image_url", "image_url": "https://example.com/a.png"}

    made = translated({"role": "tool", "tool_call_id": "a", "content": [image]})

    source = {"type": "url", "url": "https://example.com/a.png"}
    assert made.document["messages"][0]["content"][0]["content"] == [{"type": "image", "source": source}]


@pytest.mark.parametrize("arguments", ["{", "[1]", "5", "null", '{"a":1}x', "[" * 5000, "NaN"])
def test_arguments_that_are_no_object_are_kept_as_text(arguments: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "now", "arguments": arguments}}

    made = translated(QUESTION, {"role": "assistant", "tool_calls": [call]})

    assert made.document["messages"][1]["content"][0]["input"] == {"__raw__": arguments}


def test_unsigned_thinking_is_dropped() -> None:
    blocks = [{"type": "thinking", "thinking": "x", "signature": ""}]

    made = translated(QUESTION, {"role": "assistant", "content": "y", "thinking_blocks": blocks, "reasoning": "x"})

    assert made.document["messages"][1]["content"] == "y"
    assert made.dropped == ("messages[1].thinking_blocks[0]", "messages[1].reasoning")


def test_cache_control_stays_on_what_carries_it() -> None:
    mark = {"type": "ephemeral"}
    call = {"id": "a", "type": "function", "function": {"name": "now", "arguments": ""}, "cache_control": mark}

    made = translated(
        {
            "role": "user",
            "content": [{"type": "text", "text": "x", "cache_control": mark}, {"type": "text", "text": "y"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "1", "cache_control": mark},
        tools=[{"type": "function", "function": {"name": "now", "cache_control": mark}}],
    )

    blocks = [block for message in made.document["messages"] for block in message["content"]]
    assert [block.get("cache_control") for block in blocks] == [mark, None, mark, mark]
    assert made.document["tools"][0]["cache_control"] == mark
    check_message_request(made.document)


def test_wrong_types_are_invalid_and_nothing_else_breaks() -> None:
    """Put a wrong value in every place of real requests: only the caller's error may come of it."""
    dice = random.Random(3)  # noqa: S311  # a test wants the same numbers again
    odd: tuple[Any, ...] = (
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        "",
        "x",
        [],
        [[]],
        [None],
        {},
        {"type": []},
        {"type": "text"},
    )
    conversations = Conversations(4)
    for _ in range(1500):
        request = json.loads(json.dumps(conversations.request()))
        replace_somewhere(request, dice, odd)
        try:
            made = ChatToMessages().request(request, max_output_tokens=512)
        except InvalidRequestError as error:
            assert error.param  # noqa: PT017  # both outcomes are fine
        else:
            json.dumps(made.document)


def replace_somewhere(value: Any, dice: random.Random, odd: tuple[Any, ...]) -> None:
    """Replace a random member or entry, at any depth, by something odd."""
    while True:
        key: Any = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.3:
            value[key] = dice.choice(odd)
            return
        value = inner


def test_answer_without_words_has_empty_content() -> None:
    answer = answered()

    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": None}
    assert "usage" not in answer
    assert (answer["id"], answer["model"]) == ("chatcmpl-0a1b", "routed")


def test_refusal_without_words_gets_some() -> None:
    choice = answered(stop="refusal")["choices"][0]

    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"]


def test_blocks_of_unknown_types_are_left_out() -> None:
    answer = answered({"type": "novelty", "x": 1}, {"type": "text", "text": "Hi."}, stop="novel_reason")

    assert answer["choices"][0]["message"]["content"] == "Hi."
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_missing_ids_are_made_up() -> None:
    answer = answered({"type": "tool_use", "name": "now", "input": {}}, stop="tool_use")

    assert answer["choices"][0]["message"]["tool_calls"][0]["id"] == "call_0a1b_0"


@pytest.mark.parametrize(
    "message",
    [
        {}, {"content": None}, {"content": "x", "stop_reason": "end_turn"}, {"content": [5], "stop_reason": "end_turn"},
        {"content": [{"type": "text"}], "stop_reason": "end_turn"}, {"content": [], "stop_reason": None},
        {"content": [], "stop_reason": "end_turn", "usage": {"input_tokens": "x"}}, {"content": [{}]},
        {"content": [{"type": "tool_use", "input": 5}], "stop_reason": "tool_use"},
    ],
)  # fmt: skip
def test_a_malformed_answer_is_the_upstreams_fault(message: Document) -> None:
    with pytest.raises(UpstreamGarbledError):
        ChatToMessages().answer(call_for(), message)


def test_an_error_is_the_upstreams_refusal() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    with pytest.raises(UpstreamRefusedError, match="Overloaded"):
        ChatToMessages().answer(call_for(), error)
    with pytest.raises(UpstreamRefusedError, match="Overloaded"):
        ChatToMessages().stream(call_for()).feed(error)


BEGIN: Document = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}


@pytest.mark.parametrize(
    "events",
    [
        [{}], [{"type": 5}], [{"type": "message_stop"}], [BEGIN, BEGIN], [BEGIN, {"type": "message_stop"}],
        [BEGIN, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [BEGIN, {"type": "content_block_stop", "index": 0}], [BEGIN, {"type": "content_block_start", "index": 0}],
        [BEGIN, {"type": "content_block_start", "index": "0", "content_block": {"type": "text"}}],
        [BEGIN, {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": 5}}],
        [BEGIN, {"type": "message_delta", "delta": {"stop_reason": 5}}], [{"type": "message_start", "message": 5}],
    ],
)  # fmt: skip
def test_events_out_of_order_or_malformed_are_the_upstreams_fault(events: list[Document]) -> None:
    stream = ChatToMessages().stream(call_for())

    with pytest.raises(UpstreamGarbledError):
        [stream.feed(event) for event in events]


def test_unknown_events_and_what_follows_the_end_say_nothing() -> None:
    stream = ChatToMessages().stream(call_for())
    ending: list[Document] = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]

    made = [stream.feed(event) for event in [BEGIN, {"type": "novelty"}, *ending, *ending]]

    assert [len(chunks) for chunks in made] == [1, 0, 0, 1, 0, 0]
    assert stream.finish() == []


def test_reasoning_that_another_provider_sealed_is_left_out_and_named() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "tw1.e30="}
    said = {"role": "assistant", "content": "Yes.", "thinking_blocks": [block]}

    made = ChatToMessages().request({"model": "m", "messages": [QUESTION, said]}, max_output_tokens=100)

    assert made.document["messages"][1]["content"] == "Yes."
    assert made.dropped == ("messages[1].thinking_blocks[0]",)
