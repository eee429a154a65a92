from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, UpstreamGarbledError, UpstreamRefusedError
from gateway.upstreams.translators.base import Call, Document, Translated
from gateway.upstreams.translators.messages.chat_to_messages import ChatToMessages
from gateway.upstreams.translators.messages.messages_to_chat import MessagesToChat
from tests.support.anthropic_checks import check_events
from tests.support.conversations import Conversations

QUESTION = {"role": "user", "content": "Hello"}
SERVER_BLOCKS = ("server_tool_use", "web_search_tool_result", "mcp_tool_use", "container_upload", "tool_reference")


def translated(*messages: Document, **members: Any) -> Translated:
    request = {"model": "m", "max_tokens": 9, "messages": list(messages) or [QUESTION], **members}
    return MessagesToChat().request(request, max_output_tokens=512)


def call_for(**request: Any) -> Call:
    return Call(request=request, model="routed", answer_id="0a1b", created=1)


def answered(message: Document, finish: Any = "stop", **members: Any) -> Document:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return MessagesToChat().answer(call_for(), {"choices": [choice], **members})


def streamed(*deltas: Document, finish: str = "stop") -> list[Document]:
    stream = MessagesToChat().stream(call_for())
    chunks: list[Document] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events = [event for chunk in chunks for event in stream.feed(chunk)] + stream.finish()
    return check_events(events)["content"]  # type: ignore[no-any-return]  # JSON


def piece(index: int | None, arguments: str = "", **first: str) -> Document:
    """Return a delta with a piece of one tool call."""
    identity: Document = {"id": first["id"], "type": "function"} if "id" in first else {}
    named = {"name": first["name"]} if "name" in first else {}
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **identity, "function": {**named, "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "odd"}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "odd"}}}, "output_config.format.type"),
    ],
)
def test_what_changes_the_answer_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated(**members)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)


@pytest.mark.parametrize("kind", SERVER_BLOCKS)
@pytest.mark.parametrize("role", ["user", "assistant", "result"])
def test_blocks_of_server_tools_are_refused(role: str, kind: str) -> None:
    block: Document = {"type": kind}
    if role == "result":
        message = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [block]}]}
    else:
        message = {"role": role, "content": [block]}

    with pytest.raises(InvalidRequestError) as caught:
        translated(message)

    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
    ],
)
def test_sources_without_a_counterpart_are_refused(block: Document) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated({"role": "user", "content": [block]})

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "messages[0].content[0].source.type")


def test_what_only_nudges_is_dropped_by_its_path() -> None:
    made = translated(
        {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}, "citations": []}]},
        top_k=5,
        service_tier="auto",
        context_management={},
        metadata={"user_id": "u", "odd": 1},
        thinking={"type": "enabled", "budget_tokens": 2000},
        tools=[{"name": "now", "input_schema": {}, "defer_loading": True}],
        inference_geo=None,
    )

    assert sorted(made.dropped) == [
        "context_management", "messages[0].content[0].cache_control", "messages[0].content[0].citations",
        "metadata.odd", "service_tier", "thinking", "tools[0].defer_loading", "top_k",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "made", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "none"}, "none", None),
        ({"type": "tool", "name": "now"}, {"type": "function", "function": {"name": "now"}}, None),
    ],
)
def test_tool_choice(choice: Document, made: Any, parallel: Any) -> None:
    document = translated(tool_choice=choice).document

    assert (document["tool_choice"], document.get("parallel_tool_calls")) == (made, parallel)


def test_thinking_that_is_off_goes_before_an_effort() -> None:
    made = translated(thinking={"type": "disabled"}, output_config={"effort": "high"})

    assert made.document["reasoning_effort"] == "none"
    assert made.dropped == ("output_config.effort",)


def test_empty_turns_are_named_or_kept() -> None:
    made = translated({"role": "user", "content": ""}, {"role": "assistant", "content": []}, QUESTION)

    assert made.document["messages"] == [{"role": "assistant", "content": ""}, QUESTION]
    assert made.dropped == ("messages[0].content",)


def test_failed_results_stay_failed_on_the_way_back() -> None:
    result = {"type": "tool_result", "tool_use_id": "a", "content": "no such city", "is_error": True}

    there = translated({"role": "user", "content": [result]})
    back = ChatToMessages().request(there.document, max_output_tokens=9)

    assert back.document["messages"][0]["content"] == [result]


def test_wrong_types_are_invalid_and_nothing_else_breaks() -> None:
    """Put a wrong value in every place of real requests: only the caller's error may come of it."""
    dice = random.Random(3)  # noqa: S311  # a test wants the same numbers again
    odd: tuple[Any, ...] = (None, True, 0, 10**30, 1.5, "", "x", [], [[]], [None], {}, {"type": []}, {"type": "text"})
    conversations = Conversations(4)
    for _ in range(1500):
        made = ChatToMessages().request(conversations.request(), max_output_tokens=512)
        request = value = json.loads(json.dumps(made.document))
        while True:
            key: Any = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
            if not isinstance(value[key], dict | list) or not value[key] or dice.random() < 0.3:
                value[key] = dice.choice(odd)
                break
            value = value[key]
        try:
            json.dumps(MessagesToChat().request(request, max_output_tokens=512).document)
        except InvalidRequestError as error:
            assert error.param  # noqa: PT017  # both outcomes are fine


def test_arguments_nested_too_deeply_are_refused() -> None:
    deep: Document = {}
    for _ in range(5000):
        deep = {"a": deep}

    with pytest.raises(InvalidRequestError, match="deeply"):
        translated({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "n", "input": deep}]})


def test_text_in_parts_is_one_text() -> None:
    answer = answered({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})

    assert answer["content"] == [{"type": "text", "text": "ab"}]


def test_calls_that_end_with_stop_are_tool_use() -> None:
    call = {"function": {"name": "now", "arguments": "{"}}

    answer = answered({"content": "", "tool_calls": [call]})

    assert answer["stop_reason"] == "tool_use"
    assert answer["content"] == [{"type": "tool_use", "id": "toolu_0a1b_0", "name": "now", "input": {"__raw__": "{"}}]


def test_answer_without_usage_counts_nothing() -> None:
    usage = answered({"content": "x"})["usage"]

    assert set(usage.values()) == {0}


@pytest.mark.parametrize(
    "completion",
    [
        {}, {"choices": []}, {"choices": 5}, {"choices": [5]}, {"choices": [{"index": 0}]},
        {"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"tool_calls": [{}]}, "finish_reason": "stop"}]},
        {"choices": [{"message": {}, "finish_reason": None}]},
        {"choices": [{"message": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": "5"}},
    ],
)  # fmt: skip
def test_a_malformed_answer_is_the_upstreams_fault(completion: Document) -> None:
    with pytest.raises(UpstreamGarbledError):
        MessagesToChat().answer(call_for(), completion)


def test_an_error_is_the_upstreams_refusal() -> None:
    with pytest.raises(UpstreamRefusedError, match="Full"):
        MessagesToChat().answer(call_for(), {"error": {"message": "Full"}})
    with pytest.raises(UpstreamRefusedError, match="Full"):
        MessagesToChat().stream(call_for()).feed({"error": {"message": "Full"}})


def test_interleaved_calls_become_blocks_one_after_another() -> None:
    content = streamed(
        piece(0, id="a", name="x"), piece(1, id="b", name="y"), piece(1, '{"i":'), piece(0, '{"j":'),
        piece(2, '{"k":3}', id="c", name="z"), piece(0, "1}"), piece(1, "2}"),
        finish="tool_calls",
    )  # fmt: skip

    assert [(block["id"], block["name"], block["input"]) for block in content] == [
        ("a", "x", {"j": 1}),
        ("b", "y", {"i": 2}),
        ("c", "z", {"k": 3}),
    ]


@pytest.mark.parametrize("seed", range(30))
def test_calls_mixed_at_random_keep_every_character(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  # a test wants the same numbers again
    wanted = {index: {"text": "x" * dice.randrange(20), "deep": {"}": "{"}} for index in range(3)}
    left = {index: json.dumps(arguments) for index, arguments in wanted.items()}
    deltas = [piece(index, id=f"c{index}", name="n") for index in wanted]
    said = ""
    while any(left.values()):
        index = dice.choice([index for index in left if left[index]])
        size = dice.randrange(1, 9)
        deltas.append(piece(index, left[index][:size]))
        left[index] = left[index][size:]
        if dice.random() < 0.2:
            said += str(seed)
            deltas.append({"content": str(seed)})

    content = streamed(*deltas, finish="tool_calls")

    calls = {block["id"]: block["input"] for block in content if block["type"] == "tool_use"}
    assert calls == {f"c{index}": arguments for index, arguments in wanted.items()}
    assert "".join(block["text"] for block in content if block["type"] == "text") == said


def test_first_call_is_passed_on_as_it_comes() -> None:
    stream = MessagesToChat().stream(call_for())
    first = stream.feed({"choices": [{"index": 0, "delta": piece(0, '{"a', id="a", name="x")}]})

    assert [event["type"] for event in first] == ["message_start", "content_block_start", "content_block_delta"]


def test_calls_without_index_are_told_apart_by_id() -> None:
    content = streamed(piece(None, "{}", id="a", name="x"), piece(None, '{"i":1}', id="b", name="y"))

    assert [(block["id"], block["input"]) for block in content] == [("a", {}), ("b", {"i": 1})]


def test_a_call_waits_for_its_name() -> None:
    content = streamed(piece(0, '{"i":', id="a"), piece(0, "1}", name="x"))

    assert content == [{"type": "tool_use", "id": "a", "name": "x", "input": {"i": 1}}]


def test_thinking_after_a_call_under_way_is_kept_with_its_signature() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "s"}

    content = streamed(
        piece(0, '{"i"', id="a", name="x"), {"reasoning_content": "Hm."}, {"thinking_blocks": [block]}, piece(0, ":1}")
    )

    assert content[1] == block


def test_whole_thinking_blocks_are_sent_whole() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]

    assert streamed({"thinking_blocks": blocks}, {"content": "x"}) == [*blocks, {"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    "deltas",
    [
        [piece(0, "{}", id="a")],
        [piece(0, "{}", id="a", name="x"), {"content": "then"}, piece(0, "more")],
        [{"content": 5}],
        [{"tool_calls": [5]}],
        [{"tool_calls": [{"index": "0"}]}],
        [{"thinking_blocks": [{"type": 5}]}],
    ],
)
def test_malformed_chunks_are_the_upstreams_fault(deltas: list[Document]) -> None:
    with pytest.raises(UpstreamGarbledError):
        streamed(*deltas)


def test_chunks_after_the_end_only_count() -> None:
    stream = MessagesToChat().stream(call_for())
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    late = {"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 3}}

    assert stream.feed(end) != []
    assert stream.feed(late) == []
    assert stream.finish()[0]["usage"]["input_tokens"] == 3


def test_events_do_not_depend_on_how_text_is_cut() -> None:
    whole, cut = streamed({"content": "ab"}), streamed({"content": "a"}, {"content": ""}, {"content": "b"})

    assert whole == cut
