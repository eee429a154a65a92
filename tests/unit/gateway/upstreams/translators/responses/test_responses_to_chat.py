from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.domain.errors import InvalidRequestError, UpstreamError, UpstreamGarbledError, UpstreamRefusedError
from gateway.upstreams.translators.base import Call
from gateway.upstreams.translators.responses.responses_to_chat import ResponsesToChat
from gateway.upstreams.translators.responses.seal import seal_blocks
from tests.support.hostile import spoiled
from tests.support.spec import check_against_spec

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def asked(**members: Any) -> dict[str, Any]:
    return ResponsesToChat().request({"input": "Hi", **members}, max_output_tokens=1).document


def dropped(**members: Any) -> tuple[str, ...]:
    return ResponsesToChat().request({"input": "Hi", **members}, max_output_tokens=1).dropped


def messages(*items: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(input=list(items))["messages"]
    return found


def call(**request: Any) -> Call:
    return Call(request={"input": "Hi", **request}, model="m", answer_id="0a1b", created=1)


def chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}


def tool_chunk(index: int | None, text: str, **first: Any) -> dict[str, Any]:
    named = {"name": first.pop("name")} if "name" in first else {}
    place = {} if index is None else {"index": index}
    return chunk({"tool_calls": [{**place, **first, "function": {**named, "arguments": text}}]})


def end(reason: str = "stop") -> dict[str, Any]:
    return chunk({}, finish_reason=reason)


def stream(*chunks: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    """Return the events of a stream, after holding each against the published description."""
    translator = ResponsesToChat().stream(call(**request))
    events = [event for heard in chunks for event in translator.feed(heard)] + translator.finish()
    for event in events:
        check_against_spec(event, "ResponseStreamEvent")
        EVENTS.validate_python(event)
    return events


def output(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = events[-1]["response"]["output"]
    return found


def completion(message: dict[str, Any], reason: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    return {"id": "x", "object": "chat.completion", "model": "m-1", "choices": [choice]}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "mcp"}]}, "tools[1].type"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": []}]}, "tools[0].type"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
            "tool_choice.tools[0].type",
        ),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"conversation": "c"}, "conversation"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"type": "compaction"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]},
            "input[0].content[0].file_url",
        ),
        ({"input": [{"type": "function_call", "namespace": "n"}]}, "input[0].namespace"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    ],
)
def test_what_changes_the_answer_and_has_no_counterpart_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        asked(**members)

    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": []}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "reasoning", "summary": [{}]}]}, "input[0].summary[0].text"),
        ({"instructions": 1}, "instructions"),
        ({"temperature": True}, "temperature"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"include": [1]}, "include[0]"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"store": "no"}, "store"),
        ({"truncation": 1}, "truncation"),
        ({"model": 1}, "model"),
    ],
)
def test_a_wrong_type_is_refused_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        asked(**members)

    assert caught.value.param == param


def test_null_members_count_as_absent() -> None:
    names = ("tools", "tool_choice", "text", "reasoning", "prompt", "conversation", "background", "stop", "include")

    assert asked(**dict.fromkeys(names)) == asked()
    assert dropped(**dict.fromkeys(names)) == ()


def test_what_only_nudges_is_dropped_and_listed() -> None:
    reasoning = {"effort": "low", "summary": "auto"}
    assert set(dropped(truncation="auto", max_tool_calls=1, reasoning=reasoning, top_k=3, context_management=[])) == {
        "truncation",
        "max_tool_calls",
        "reasoning.summary",
        "top_k",
        "context_management",
    }


def test_what_the_gateway_keeps_itself_is_neither_sent_nor_listed() -> None:
    assert asked(store=False, previous_response_id="resp_1", truncation="disabled") == asked()
    assert dropped(store=False, previous_response_id="resp_1", truncation="disabled") == ()


def test_calls_and_the_message_beside_them_are_one_turn() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"} for n in (1, 2)]
    outputs = [{"type": "function_call_output", "call_id": f"c{n}", "output": "x"} for n in (1, 2)]

    before = messages(said, *calls, *outputs)
    after = messages(*calls, said, *outputs)

    assert before == after
    assert [message["role"] for message in before] == ["assistant", "tool", "tool"]
    assert [each["id"] for each in before[0]["tool_calls"]] == ["c1", "c2"]


def test_a_message_between_calls_does_not_part_them_from_their_outputs() -> None:
    said = [{"role": "assistant", "content": text} for text in "ab"]
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"} for n in (1, 2)]

    (turn,) = messages(said[0], calls[0], said[1], calls[1])

    assert [part["text"] for part in turn["content"]] == ["a", "b"]
    assert len(turn["tool_calls"]) == 2


def test_two_messages_stay_two() -> None:
    assert len(messages(*({"role": "assistant", "content": text} for text in "ab"))) == 2


def test_reasoning_belongs_to_what_follows_it() -> None:
    def thought(text: str) -> dict[str, Any]:
        return {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}]}

    first, second = messages(
        thought("one"), {"role": "assistant", "content": "a"}, thought("two"), {"role": "assistant", "content": "b"}
    )

    assert (first["reasoning_content"], second["reasoning_content"]) == ("one", "two")


def test_reasoning_that_nothing_follows_is_dropped() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "one"}]}

    assert dropped(input=[thought, {"role": "user", "content": "x"}, thought]) == ("input[0]", "input[2]")


@pytest.mark.parametrize(
    "sealed", ["gAAAAA", "tw1.", "tw1.!!", "tw1.W10=", "tw1.e30=", "tw1.WzFd", seal_blocks([{"type": "x"}])]
)
def test_reasoning_that_others_encrypted_is_dropped(sealed: str) -> None:
    thought = {"type": "reasoning", "summary": [], "encrypted_content": sealed}

    assert dropped(input=[thought, {"role": "assistant", "content": "x"}]) == ("input[0]",)


def test_thinking_blocks_come_back_as_they_went() -> None:
    (item,) = output(stream(chunk({"thinking_blocks": [BLOCK]}), end("length")))

    (message,) = messages(item, {"role": "assistant", "content": "x"})

    assert message["thinking_blocks"] == [BLOCK]


def test_without_tools_nothing_is_said_about_their_choice() -> None:
    assert asked(tool_choice="auto", parallel_tool_calls=True, tools=[]) == asked()
    assert dropped(tool_choice="auto", parallel_tool_calls=True) == ("tool_choice", "parallel_tool_calls")
    assert asked(tool_choice="required")["tool_choice"] == "required"


def test_an_output_of_images_alone_is_an_empty_text_and_a_message() -> None:
    image = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "original"}
    call_ = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = ResponsesToChat().request(
        {"input": [call_, {"type": "function_call_output", "call_id": "c", "output": [image]}]}, max_output_tokens=1
    )

    _, tool, user = result.document["messages"]

    assert tool["content"] == ""
    assert user["content"] == [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    assert result.dropped == ("input[1].output[0].detail",)


def test_interleaved_calls_are_told_apart() -> None:
    events = stream(
        tool_chunk(0, "", id="a", name="f"),
        tool_chunk(1, '{"x"', id="b", name="g"),
        tool_chunk(0, '{"y":1}'),
        tool_chunk(1, ":2}"),
        end("tool_calls"),
    )

    assert [(item["call_id"], item["arguments"]) for item in output(events)] == [("a", '{"y":1}'), ("b", '{"x":2}')]


def test_a_call_is_done_before_the_next_begins() -> None:
    events = stream(tool_chunk(0, "{}", id="a", name="f"), tool_chunk(1, "{}", id="b", name="g"), end("tool_calls"))
    places = [(event["type"], event.get("output_index")) for event in events]

    assert places.index(("response.output_item.done", 0)) < places.index(("response.output_item.added", 1))


@pytest.mark.parametrize("index", [0, None])
def test_calls_without_an_index_of_their_own_are_told_apart_by_their_ids(index: int | None) -> None:
    events = stream(
        tool_chunk(index, "{}", id="a", name="f"),
        tool_chunk(index, '{"x":', id="b", name="g"),
        tool_chunk(index, "1}"),
        end(),
    )

    assert [(item["call_id"], item["arguments"]) for item in output(events)] == [("a", "{}"), ("b", '{"x":1}')]


def test_going_on_with_a_complete_call_is_garbled() -> None:
    with pytest.raises(UpstreamGarbledError):
        stream(tool_chunk(0, "{}", id="a", name="f"), tool_chunk(1, "{}", id="b", name="g"), tool_chunk(0, "{}"), end())


def test_a_call_without_an_id_gets_one_of_ours() -> None:
    (item,) = output(stream(tool_chunk(0, "{}", name="f"), end()))

    assert item["call_id"] == "call_0a1b_0"


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    events = stream(chunk({"content": "a"}), tool_chunk(0, "{}", id="a", name="f"), chunk({"content": "b"}), end())

    assert [item["id"] for item in output(events)] == ["msg_0a1b_0", "fc_0a1b_1", "msg_0a1b_2"]


def test_a_text_and_a_refusal_are_two_parts() -> None:
    (item,) = output(stream(chunk({"content": "a"}), chunk({"refusal": "b"}), chunk({"content": "c"}), end()))

    assert [part["type"] for part in item["content"]] == ["output_text", "refusal", "output_text"]


def test_an_answer_without_a_word_is_an_empty_message() -> None:
    (item,) = output(stream(chunk({"role": "assistant", "content": ""}), end()))

    assert item["content"] == [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]


def test_only_what_was_cut_off_is_incomplete() -> None:
    events = stream(chunk({"content": "a"}), tool_chunk(0, '{"x', id="a", name="f"), end("length"))

    assert events[-1]["type"] == "response.incomplete"
    assert [item["status"] for item in output(events)] == ["completed", "incomplete"]


def test_the_response_echoes_the_request() -> None:
    sent = {"instructions": "x", "temperature": 0.5, "metadata": {"a": "b"}, "user": "ada", "previous_response_id": "r"}
    sent |= {"tools": [{"type": "function", "name": "f", "description": None}], "reasoning": {"effort": "low"}}
    response = stream(chunk({"content": "a"}), end(), text={"verbosity": None}, **sent)[-1]["response"]

    assert {name: response[name] for name in sent if name not in ("tools", "reasoning")} == {
        name: value for name, value in sent.items() if name not in ("tools", "reasoning")
    }
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"] == {"format": {"type": "text"}}


def test_certainties_and_sources_reach_the_caller() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}]}
    source = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t"}}
    events = stream(chunk({"content": "a"}, logprobs=logprobs), chunk({"annotations": [source, {"type": "x"}]}), end())

    (part,) = output(events)[0]["content"]

    assert part["logprobs"] == [{"token": "a", "logprob": -1, "bytes": [], "top_logprobs": []}]
    assert [entry["url"] for entry in part["annotations"]] == ["https://example.com"]


def test_a_stream_without_its_end_is_garbled() -> None:
    with pytest.raises(UpstreamGarbledError):
        stream(chunk({"content": "a"}))
    with pytest.raises(UpstreamGarbledError):
        stream()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [1]},
        {"choices": [{"finish_reason": "stop"}]},
        completion({"content": 5}),
        completion({"content": "x"}, None),
        completion({"tool_calls": [{"id": "a"}]}),
        completion({"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}),
        completion({"thinking_blocks": [{"type": "x"}]}),
    ],
)
def test_an_answer_that_is_none_is_garbled(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamGarbledError):
        ResponsesToChat().answer(call(), answer)


def test_an_error_in_the_stream_keeps_its_words() -> None:
    with pytest.raises(UpstreamRefusedError) as caught:
        stream({"error": {"message": "Slow down.", "code": "rate_limit_exceeded", "type": "requests"}})

    assert (caught.value.message, caught.value.status) == ("Slow down.", 429)


def test_other_names_and_forms_of_texts_are_understood() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    thought, message = output(stream(chunk({"reasoning": "hm"}), chunk({"content": parts}), end()))

    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert message["content"][0]["text"] == "ab"


def test_hostile_documents_end_in_errors_of_ours() -> None:
    params = set()
    for hostile in spoiled(everything(), 7, 5_000):
        try:
            ResponsesToChat().request(hostile, max_output_tokens=1)
            translator = ResponsesToChat().stream(
                Call(request=hostile, model="m", answer_id="0", created=1),
            )
            translator.feed(chunk({"content": "x"}, finish_reason="stop"))
            json.dumps(translator.finish())
        except InvalidRequestError as error:
            params.add(error.param)

    assert None not in params
    assert len(params) > 20


def test_hostile_answers_end_in_errors_of_ours() -> None:
    message = {
        "content": "a",
        "refusal": "b",
        "reasoning_content": "c",
        "thinking_blocks": [BLOCK],
        "annotations": [{}],
    }
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    whole = completion({**message, "tool_calls": calls}) | {"usage": {"prompt_tokens": 1, "prompt_tokens_details": {}}}
    for hostile in spoiled(whole, 7, 5_000):
        try:
            ResponsesToChat().answer(call(), hostile)
        except UpstreamError:
            continue


def everything() -> dict[str, Any]:
    """Return a request with about every member there is."""
    parts = [
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://example.com/a", "detail": "low"},
        {"type": "input_file", "filename": "a", "file_data": "data:,"},
    ]
    return {
        "model": "m",
        "instructions": "x",
        "input": [
            {"role": "user", "content": parts},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}], "content": []},
            {"type": "reasoning", "summary": [], "encrypted_content": seal_blocks([BLOCK])},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "b", "name": "g", "input": "x"},
            {"type": "function_call_output", "call_id": "a", "output": parts},
            {"type": "custom_tool_call_output", "call_id": "b", "output": "x"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {}, "strict": True, "description": "x"},
            {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["message.output_text.logprobs"],
        "stream": True,
        "stream_options": {"include_obfuscation": True},
        "metadata": {"a": "b"},
        "temperature": 1,
        "top_p": 1,
        "top_logprobs": 1,
        "max_output_tokens": 16,
        "parallel_tool_calls": True,
        "truncation": "auto",
        "store": True,
        "background": False,
        "max_tool_calls": 1,
        "user": "x",
    }
