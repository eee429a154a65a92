from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.domain.messages import MessagesRequest, read_count_tokens, read_messages
from gateway.upstreams.breakpoints import breakpoints

MARK = {"type": "ephemeral"}
TOOLS = [{"name": "now", "input_schema": {"type": "object"}}, {"name": "then", "input_schema": {"type": "object"}}]


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def request(messages: Any = None, **members: Any) -> MessagesRequest:
    messages = messages or [{"role": "user", "content": "Hello"}]
    return read_messages(json.dumps({"model": "m", "max_tokens": 9, **members, "messages": messages}).encode())


def sent(asked: MessagesRequest) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(asked.edited(breakpoints(asked)))
    return read


def marks(document: Any) -> int:
    return json.dumps(document).count('"cache_control"')


def test_the_last_tool_the_last_system_block_and_the_newest_user_turn_are_marked() -> None:
    turns = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [text("Three"), text("Four")]},
    ]

    made = sent(request(turns, tools=TOOLS, system=[text("Be brief."), text("Be kind.")]))

    assert made["tools"][1] == {**TOOLS[1], "cache_control": MARK}
    assert made["system"] == [text("Be brief."), text("Be kind.", cache_control=MARK)]
    assert made["messages"][:2] == turns[:2]
    assert made["messages"][2]["content"] == [text("Three"), text("Four", cache_control=MARK)]
    assert marks(made) == 3


def test_plain_texts_become_blocks() -> None:
    made = sent(request(system="Be brief."))

    assert made["system"] == [text("Be brief.", cache_control=MARK)]
    assert made["messages"] == [{"role": "user", "content": [text("Hello", cache_control=MARK)]}]


def test_a_prefilled_answer_does_not_hide_the_users_turn() -> None:
    made = sent(request([{"role": "user", "content": "One"}, {"role": "assistant", "content": "{"}]))

    assert made["messages"][0]["content"] == [text("One", cache_control=MARK)]
    assert made["messages"][1] == {"role": "assistant", "content": "{"}


def test_results_of_tools_are_marked_as_a_whole() -> None:
    result = {"type": "tool_result", "tool_use_id": "a", "content": [text("12:00")]}

    made = sent(request([{"role": "user", "content": [result]}]))

    assert made["messages"][0]["content"] == [{**result, "cache_control": MARK}]


@pytest.mark.parametrize("last", [text(" \n"), {"type": "container_upload", "file_id": "f"}])
def test_a_block_that_takes_no_mark_leaves_it_to_the_one_before(last: dict[str, Any]) -> None:
    made = sent(request([{"role": "user", "content": [text("One"), last]}]))

    assert made["messages"][0]["content"] == [text("One", cache_control=MARK), last]


def test_a_tool_that_is_loaded_later_leaves_the_mark_to_the_one_before() -> None:
    late = {**TOOLS[1], "defer_loading": True}

    made = sent(request(tools=[TOOLS[0], late]))

    assert made["tools"] == [{**TOOLS[0], "cache_control": MARK}, late]


OWN = [
    {"cache_control": MARK},
    {"tools": [{**TOOLS[0], "cache_control": MARK}, TOOLS[1]]},
    {"system": [text("Be brief.", cache_control=MARK), text("Be kind.")]},
    {"messages": [{"role": "user", "content": [text("x", cache_control={"type": "ephemeral", "ttl": "1h"})]}]},
    {"messages": [{"role": "assistant", "content": [text("x", cache_control=MARK)]}, {"role": "user", "content": "y"}]},
    {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [text("x", cache_control=MARK)]},
                    text("y"),
                ],
            }
        ]
    },
    {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [text("x", cache_control=MARK)]},
                    },
                    text("y"),
                ],
            }
        ]
    },
]


@pytest.mark.parametrize("members", OWN)
def test_nothing_is_added_to_what_the_caller_marked(members: dict[str, Any]) -> None:
    asked = request(**{"system": "Be brief.", "tools": TOOLS, **members})

    assert breakpoints(asked) == {}


def test_a_null_is_no_mark_of_the_callers() -> None:
    made = sent(request([{"role": "user", "content": [text("x", cache_control=None)]}]))

    assert made["messages"][0]["content"] == [text("x", cache_control=MARK)]


@pytest.mark.parametrize("system", [None, "", " ", [], [text("")]])
def test_a_prompt_without_words_is_not_marked(system: Any) -> None:
    asked = request(system=system, tools=[])

    assert breakpoints(asked).keys() == {"messages"}


def test_every_other_byte_stays_as_received() -> None:
    body = (
        rb'{"max_tokens": 9, "top_p": 1.0e0, "model":"m", "system": "a \ud83d\ude00 A", "messages": [ '
        rb'{"role" : "user", "x": 1.50, "content": [{"text": "\/", "type": "text"}] } ]}'
    )
    asked = read_messages(body)

    assert asked.edited(breakpoints(asked)) == (
        rb'{"max_tokens": 9, "top_p": 1.0e0, "model":"m", '
        rb'"system": [{"type":"text","text":"a \ud83d\ude00 A","cache_control":{"type":"ephemeral"}}], "messages": '
        rb'[{"role" : "user", "x": 1.50, '
        rb'"content": [{"cache_control":{"type":"ephemeral"},"text": "\/", "type": "text"}] }]}'
    )


def test_a_body_that_its_document_does_not_hold_whole_is_left_alone() -> None:
    body = rb'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"half \ud83d"}]}'

    assert breakpoints(read_messages(body)) == {}


def test_a_count_of_tokens_is_left_alone() -> None:
    asked = read_count_tokens(msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "x"}]}))

    assert breakpoints(asked) == {}


def test_the_same_request_is_marked_the_same_way_again() -> None:
    asked = request(system="Be brief.", tools=TOOLS)
    body = asked.body

    assert breakpoints(asked) == breakpoints(asked)
    assert asked.body == body
