from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, UpstreamError, UpstreamGarbledError, UpstreamRefusedError
from gateway.upstreams.translators.base import Call
from gateway.upstreams.translators.responses.chat_to_responses import ChatToResponses
from gateway.upstreams.translators.responses.seal import seal_item
from tests.support.hostile import spoiled
from tests.support.spec import check_against_spec

USER = {"role": "user", "content": "Hi"}
OWN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}


def asked(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    document = {"messages": list(messages) or [USER], **members}
    return ChatToResponses().request(document, max_output_tokens=1).document


def dropped(*messages: dict[str, Any], **members: Any) -> tuple[str, ...]:
    document = {"messages": list(messages) or [USER], **members}
    return ChatToResponses().request(document, max_output_tokens=1).dropped


def call(**request: Any) -> Call:
    return Call(request=request, model="m", answer_id="0a1b", created=1)


def response(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "m-1", "status": "completed", "output": list(output), **members}


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(parts)}


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], **members}


def delta(kind: str, words: str, output_index: int = 0, **place: int) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": output_index, "content_index": 0, **place, "delta": words}


def done(item: dict[str, Any], output_index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": output_index, "item": item}


def completed(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": response(*output, **members)}


def stream(*events: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    """Return the chunks of a stream, after holding each against the published description."""
    translator = ChatToResponses().stream(call(**request))
    chunks = [chunk for event in events for chunk in translator.feed(event)] + translator.finish()
    for chunk in chunks:
        check_against_spec(chunk, "CreateChatCompletionStreamResponse")
    return chunks


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def words(chunks: list[dict[str, Any]], name: str = "content") -> str:
    return "".join(part.get(name) or "" for part in deltas(chunks))


def message(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ChatToResponses().answer(call(), answer)["choices"][0]["message"]
    return found


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": "x"}, "stop"),
        ({"stop": ["x"]}, "stop"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities[1]"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "assistant", "function_call": {}}]}, "messages[0].function_call"),
        ({"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_what_changes_the_answer_and_has_no_counterpart_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        asked(**members)

    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].id"),
        ({"messages": [{"role": "assistant", "content": {"a": 1}}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "thinking_blocks": [{}]}]}, "messages[0].thinking_blocks[0].type"),
        ({"n": "1"}, "n"),
        ({"store": 1}, "store"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
    ],
)
def test_a_wrong_type_is_refused_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        asked(**members)

    assert caught.value.param == param


def test_null_members_count_as_absent() -> None:
    names = ("tools", "tool_choice", "stop", "n", "audio", "functions", "response_format", "logprobs", "stream_options")

    assert asked(**dict.fromkeys(names)) == asked()
    assert dropped(**dict.fromkeys(names)) == ()


def test_what_only_nudges_is_dropped_and_listed() -> None:
    nudges = {"seed": 1, "logit_bias": {}, "presence_penalty": 0.5, "prediction": {}, "top_k": 3, "top_logprobs": 2}

    assert set(dropped(**nudges)) == set(nudges)
    assert dropped({**USER, "name": "ada", "x": 1}) == ("messages[0].name", "messages[0].x")


def test_nothing_is_kept_upstream_unless_the_caller_says_so() -> None:
    assert asked()["store"] is False
    assert asked(store=True)["store"] is True


def test_the_smaller_of_two_bounds_is_sent() -> None:
    assert asked(max_tokens=10, max_completion_tokens=20)["max_output_tokens"] == 10
    assert "max_output_tokens" not in asked()


def test_a_function_is_not_made_strict_behind_the_callers_back() -> None:
    (tool,) = asked(tools=[{"type": "function", "function": {"name": "f"}}])["tools"]

    assert tool["strict"] is False


def test_reasoning_goes_back_only_to_who_encrypted_it() -> None:
    own = {"role": "assistant", "content": "x", "thinking_blocks": [seal_item(OWN, "")]}
    foreign = {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "redacted_thinking", "data": "eA=="}]}

    assert asked(own)["input"][0] == OWN
    assert dropped(own) == ()
    assert [item["type"] for item in asked(foreign)["input"]] == ["message"]
    assert dropped(foreign) == ("messages[0].thinking_blocks",)


@pytest.mark.parametrize("sealed", [{"type": "reasoning"}, {"type": "x"}, {**OWN, "summary": 1}, [1]])
def test_a_seal_around_something_else_is_somebody_elses(sealed: Any) -> None:
    data = "tw1." + base64.b64encode(json.dumps(sealed).encode()).decode()
    forged = {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "redacted_thinking", "data": data}]}

    assert dropped(forged) == ("messages[0].thinking_blocks",)


def test_reasoning_to_send_back_is_asked_for_beside_an_effort() -> None:
    assert asked(reasoning_effort="low")["include"] == ["reasoning.encrypted_content"]
    assert "include" not in asked(reasoning_effort="none")
    assert "include" not in asked()


def test_an_empty_message_of_the_assistant_is_dropped() -> None:
    assert asked({"role": "assistant", "content": None})["input"] == []
    assert dropped({"role": "assistant", "content": None}) == ("messages[0]",)


def test_outputs_are_of_the_kind_of_their_call() -> None:
    calls = [{"id": "a", "type": "custom", "custom": {"name": "g", "input": ""}}]
    calls += [{"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}}]
    outputs = [{"role": "tool", "tool_call_id": name, "content": "x"} for name in "ab"]

    items = asked({"role": "assistant", "content": None, "tool_calls": calls}, *outputs)["input"]

    assert [item["type"] for item in items] == [
        "custom_tool_call",
        "function_call",
        "custom_tool_call_output",
        "function_call_output",
    ]


def test_an_upstream_without_deltas_loses_nothing() -> None:
    item = said(text("Hello"), {"type": "refusal", "refusal": "No"})
    call_ = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}

    whole = stream(completed(item, call_))
    by_item = stream(done(item), done(call_, 1), completed(item, call_))

    assert whole[1:] == by_item[1:] or deltas(whole) == deltas(by_item)
    assert (words(whole), words(whole, "refusal")) == ("Hello", "No")
    assert whole[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_what_the_deltas_lacked_is_sent_at_the_end_of_the_item() -> None:
    chunks = stream(delta("output_text", "Hel"), done(said(text("Hello"))), completed(said(text("Hello"))))

    assert words(chunks) == "Hello"


def test_nothing_is_sent_twice() -> None:
    chunks = stream(delta("output_text", "Hello"), completed(said(text("Hello"))))

    assert words(chunks) == "Hello"


def test_a_summary_and_the_full_reasoning_of_one_item_are_not_mixed() -> None:
    chunks = stream(
        delta("reasoning_text", "full"), delta("reasoning_summary_text", "short", summary_index=0), completed()
    )

    assert words(chunks, "reasoning_content") == "full"


def test_thinking_blocks_of_a_stream_are_numbered() -> None:
    chunks = stream(done(OWN), done(OWN, 1), completed())

    blocks = [block for part in deltas(chunks) for block in part.get("thinking_blocks", ())]

    assert [block["index"] for block in blocks] == [0, 1]
    assert "index" not in message(response(OWN))["thinking_blocks"][0]


def test_sources_point_into_the_whole_content() -> None:
    page = {"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}
    answer = message(response(said(text("abc"), text("d", annotations=[page, {"type": "file_citation"}]))))

    (found,) = answer["annotations"]

    assert answer["content"] == "abcd"
    assert (found["url_citation"]["start_index"], found["url_citation"]["end_index"]) == (3, 4)


def test_certainties_without_bytes_get_none() -> None:
    event = delta("output_text", "a") | {"logprobs": [{"token": "a", "logprob": -1}]}
    chunks = stream(event, completed())

    assert chunks[1]["choices"][0]["logprobs"]["content"] == [
        {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}
    ]


def test_usage_is_told_only_if_asked_for() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

    silent = stream(delta("output_text", "a"), completed(usage=usage))
    told = stream(delta("output_text", "a"), completed(usage=usage), stream_options={"include_usage": True})

    assert all("usage" not in chunk for chunk in silent)
    assert [chunk["usage"] for chunk in told[:-1]] == [None] * (len(told) - 1)
    assert (told[-1]["choices"], told[-1]["usage"]["total_tokens"]) == ([], 3)


@pytest.mark.parametrize(
    ("code", "status"), [("rate_limit_exceeded", 429), ("server_error", 500), ("invalid_prompt", 400), (None, 502)]
)
def test_a_failure_keeps_its_words_and_code(code: str | None, status: int) -> None:
    error = {"code": code, "message": "It broke."}
    failed = {"type": "response.failed", "response": response(status="failed", error=error)}
    for event in (failed, {"type": "error", **error}, {"type": "error", "error": error}):
        with pytest.raises(UpstreamRefusedError) as caught:
            stream(event)

        assert (caught.value.message, caught.value.status) == ("It broke.", status)
        assert caught.value.code == (code or "upstream_error")


def test_a_failed_answer_is_a_failure() -> None:
    with pytest.raises(UpstreamRefusedError):
        ChatToResponses().answer(call(), response(status="failed", error=None))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"output": 1},
        response(status="queued"),
        response(status=[]),
        response(said({"type": "output_text"})),
        response({"type": "function_call", "call_id": "c", "name": "f"}),
        response(incomplete_details=1),
    ],
)
def test_an_answer_that_is_none_is_garbled(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamGarbledError):
        ChatToResponses().answer(call(), answer)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (delta("output_text", "a"),),
        ({},),
        (delta("function_call_arguments", "{}"),),
        ({"type": "response.completed"},),
        ({"type": "response.output_text.delta"},),
    ],
)
def test_a_stream_that_breaks_the_order_is_garbled(events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(UpstreamGarbledError):
        stream(*events)


def test_events_that_say_nothing_new_have_no_chunk() -> None:
    assert ChatToResponses().stream(call()).feed({"type": "response.in_progress"}) == []
    assert ChatToResponses().stream(call()).feed({"type": "response.unheard_of", "x": 1}) == []


def test_hostile_documents_end_in_errors_of_ours() -> None:
    params = set()
    for hostile in spoiled(everything(), 7, 5_000):
        try:
            ChatToResponses().request(hostile, max_output_tokens=1)
        except InvalidRequestError as error:
            params.add(error.param)

    assert None not in params
    assert len(params) > 20


def test_hostile_answers_end_in_errors_of_ours() -> None:
    reasoning = OWN | {"summary": [{"type": "summary_text", "text": "x"}]}
    page = {"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}
    item = said(text("a", annotations=[page], logprobs=[{"token": "a", "logprob": 1, "top_logprobs": []}]))
    calls = [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]
    whole = response(
        reasoning, item, *calls, usage={"input_tokens": 1, "input_tokens_details": {}}, error={"code": "x"}
    )
    for hostile in spoiled(whole, 7, 5_000):
        try:
            ChatToResponses().answer(call(), hostile)
        except UpstreamError:
            continue


def everything() -> dict[str, Any]:
    """Return a request with about every member there is."""
    parts = [
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a", "detail": "low"}},
        {"type": "file", "file": {"filename": "a", "file_data": "data:,"}},
    ]
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": ""}},
    ]
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    choice = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "user", "content": parts, "name": "x"},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "x"}],
                "refusal": "x",
                "tool_calls": calls,
                "reasoning_content": "x",
                "thinking_blocks": [seal_item(OWN, "x"), {"type": "redacted_thinking", "data": "x"}],
            },
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "x"}]},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True, "description": "x"}},
            {"type": "custom", "custom": {"name": "g", "description": "x", "format": grammar}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": choice},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "modalities": ["text"],
        "metadata": {"a": "b"},
        "temperature": 1,
        "top_p": 1,
        "logprobs": True,
        "top_logprobs": 1,
        "max_tokens": 16,
        "n": 1,
        "stop": [],
        "reasoning_effort": "low",
        "verbosity": "low",
        "store": True,
        "user": "x",
        "seed": 1,
    }
