import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstreams.echo_answer import MODELS, complete, stream

jsonschema: Any = pytest.importorskip("jsonschema")

PUBLISHED = Path(__file__).parents[5] / "shared" / "openai-spec" / "openai-trimmed.json"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 18}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def validator(name: str) -> Any:
    document = json.loads(PUBLISHED.read_text())
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document})


def asking(content: object, **fields: object) -> dict[str, Any]:
    return {"model": "echo-simple", "messages": [{"role": "user", "content": content}], **fields}


def function(name: str, parameters: object = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def custom(name: str, **fields: object) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": name, **fields}}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    return complete(request, "echo-simple", answer_id="chatcmpl-1", created=1_700_000_000)


def chunks(request: dict[str, Any]) -> list[dict[str, Any]]:
    return list(stream(request, "echo-simple", answer_id="chatcmpl-1", created=1_700_000_000))


def first(request: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = answer(request)["choices"][0]
    return choice


def text(request: dict[str, Any]) -> str:
    content = first(request)["message"]["content"]
    assert isinstance(content, str)
    return content


def called(request: dict[str, Any]) -> list[str]:
    calls = first(request)["message"].get("tool_calls", [])
    return [call[call["type"]]["name"] for call in calls]


def joined(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add stream chunks up as clients do: `index` is the key, texts are appended, `custom` tells its type."""
    choices: dict[int, dict[str, Any]] = {}
    for part in (part for chunk in pieces for part in chunk["choices"]):
        whole = choices.setdefault(part["index"], {"index": part["index"], "message": {}, "logprobs": None})
        whole["finish_reason"] = part["finish_reason"]
        if part["logprobs"]:
            whole["logprobs"] = whole["logprobs"] or {"content": [], "refusal": None}
            whole["logprobs"]["content"] += part["logprobs"]["content"]
        append(whole["message"], part["delta"])
    return list(choices.values())


def append(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = whole.setdefault(key, [])
            for call in value:
                calls += [{}] if call["index"] == len(calls) else []
                append(calls[call["index"]], {k: v for k, v in call.items() if k != "index"})
                calls[call["index"]].setdefault("type", "custom")
        elif isinstance(value, dict):
            append(whole.setdefault(key, {}), value)
        else:
            whole[key] = whole[key] + value if isinstance(whole.get(key), str) else value


TOOLS = [function("get_time"), function("get_weather", PERSON), custom("run_code")]
REQUESTS: dict[str, dict[str, Any]] = {
    "text": asking("Hello there,\n  dear world"),
    "nothing said": asking(""),
    "choices": asking("Hello", n=3),
    "cut": asking("one two three four", max_completion_tokens=3),
    "stopped": asking("one two three four", stop=["three"]),
    "stopped at once": asking("hi", stop="["),
    "certainty": asking("how sure are you", logprobs=True, top_logprobs=2),
    "usage": asking("count me", stream_options={"include_usage": True}, n=2),
    "one call": asking("call get_weather", tools=TOOLS),
    "parallel calls": asking("get_time, get_weather and run_code", tools=TOOLS, n=2, logprobs=True),
    "cut calls": asking("get_time get_weather", tools=TOOLS, max_tokens=5),
    "one token for a call": asking("get_weather", tools=TOOLS, max_tokens=1),
    "structured": asking("x", response_format={"type": "json_schema", "json_schema": {"schema": PERSON}}),
    "half emoji": asking("half \ud83d emoji", tools=[function("a\ud83d")], tool_choice="required"),
    "empty": {},
}


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"the published OpenAI schema is not at {PUBLISHED}")
@pytest.mark.parametrize("name", REQUESTS)
def test_answer_and_chunks_follow_the_published_schema(name: str) -> None:
    validator("CreateChatCompletionResponse").validate(answer(REQUESTS[name]))
    chunk_schema = validator("CreateChatCompletionStreamResponse")
    for chunk in chunks(REQUESTS[name]):
        chunk_schema.validate(chunk)


@pytest.mark.parametrize("name", REQUESTS)
def test_stream_adds_up_to_the_plain_answer(name: str) -> None:
    whole = answer(REQUESTS[name])["choices"]
    for choice in whole:
        del choice["message"]["annotations"]

    assert joined(chunks(REQUESTS[name])) == whole


def test_answer_names_itself_as_told() -> None:
    whole = complete(asking("hi"), MODELS[2], answer_id="chatcmpl-9", created=5)

    assert whole["choices"][0]["message"]["content"] == "[echo-complex] hi"
    assert (whole["id"], whole["created"], whole["model"]) == ("chatcmpl-9", 5, "echo-complex")
    assert (whole["object"], whole["system_fingerprint"]) == ("chat.completion", "fp_echo")


def test_last_user_message_is_repeated() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "second"},
        {"role": "developer", "content": "be brief"},
    ]

    assert text({"messages": messages}) == "[echo-simple] second"


def test_parts_are_put_together_and_attachments_mentioned() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    parts = [
        {"type": "text", "text": "look "},
        image,
        {"type": "text", "text": "here"},
        image,
        {"type": "file"},
    ]

    assert text(asking(parts)) == "[echo-simple] look here (2 images) (1 file)"
    assert text(asking([{"type": "input_audio"}])) == "[echo-simple] (1 audio clip)"


@pytest.mark.parametrize("content", ["", "  \n", None, 7, [], [7, {"type": "text", "text": 7}], {"a": 1}])
def test_message_that_says_nothing_is_told_how_to_configure_a_provider(content: object) -> None:
    said = text(asking(content))

    assert "offline echo" in said
    assert "tierway serve --config" in said


def test_word_sized_pieces_are_streamed_between_a_role_and_a_finish() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(asking("a bc  d"))]

    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [delta["content"] for delta in deltas[1:-1]] == ["[echo-simple] ", "a ", "bc  ", "d"]
    assert deltas[-1] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks(asking("a"))] == [
        None,
        None,
        None,
        "stop",
    ]


def test_usage_chunk_comes_last_and_only_when_asked_for() -> None:
    asked, unasked = chunks(asking("hi", stream_options={"include_usage": True})), chunks(asking("hi"))

    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"] == answer(asking("hi"))["usage"]
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in asked[:-1])
    assert all("usage" not in chunk and chunk["choices"] for chunk in unasked)


def test_tokens_are_four_characters_and_four_a_message_in_and_pieces_out() -> None:
    usage = answer({"messages": [{"role": "system", "content": "12345"}, {"role": "user", "content": "a b"}]})["usage"]

    assert usage["prompt_tokens"] == (4 + 2) + (4 + 1)
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == 14
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_token_limit_cuts_the_answer(field: str) -> None:
    choice = first(asking("one two three", **{field: 2}))

    assert choice["message"]["content"] == "[echo-simple] one "
    assert choice["finish_reason"] == "length"
    assert first(asking("one two three", **{field: 4}))["finish_reason"] == "stop"


@pytest.mark.parametrize("limit", range(1, 40))
def test_tool_calls_keep_to_the_token_limit(limit: int) -> None:
    request = asking("get_time get_weather", tools=TOOLS, max_tokens=limit)
    whole = answer(request)
    free = answer(asking("get_time get_weather", tools=TOOLS))["usage"]["completion_tokens"]

    assert whole["usage"]["completion_tokens"] == min(limit, free)
    assert whole["choices"][0]["finish_reason"] == ("length" if limit < free else "tool_calls")


@pytest.mark.parametrize("stop", ["two", ["four", "two"], ["", 7, "two"]])
def test_stop_sequence_ends_the_answer(stop: object) -> None:
    choice = first(asking("one two three", stop=stop))

    assert choice["message"]["content"] == "[echo-simple] one "
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(("n", "expected"), [(None, 1), (3, 3), (0, 1), (-1, 1), (True, 1), ("2", 1), (10**9, 8)])
def test_number_of_choices_is_bounded(n: object, expected: int) -> None:
    assert [choice["index"] for choice in answer(asking("hi", n=n))["choices"]] == list(range(expected))


def test_logprobs_spell_the_answer() -> None:
    entries = first(asking("ça va", logprobs=True, top_logprobs=1))["logprobs"]["content"]

    assert b"".join(bytes(entry["bytes"]) for entry in entries).decode() == "[echo-simple] ça va"
    assert all(entry["logprob"] < 0 and len(entry["top_logprobs"]) == 1 for entry in entries)
    assert first(asking("ça va"))["logprobs"] is None


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ("what is the weather", {}, []),
        ("call get_weather.", {}, ["get_weather"]),
        ("get_weatherを呼んで", {}, ["get_weather"]),
        ("get_weather_now", {}, []),
        ("run_code and `get_time`()", {}, ["get_time", "run_code"]),
        ("run_code and get_time", {"parallel_tool_calls": False}, ["get_time"]),
        ("get_time", {"tool_choice": "auto"}, ["get_time"]),
        ("get_time", {"tool_choice": "none"}, []),
        ("hello", {"tool_choice": "required"}, ["get_time"]),
        ("get_weather", {"tool_choice": "required"}, ["get_weather"]),
        ("get_time", {"tool_choice": function("get_weather")}, ["get_weather"]),
        ("get_time", {"tool_choice": custom("run_code")}, ["run_code"]),
        ("get_time", {"tool_choice": function("unknown")}, []),
        ("get_time", {"tool_choice": 7}, ["get_time"]),
        ("get_time", {"tools": []}, []),
        (
            "get_time",
            {"tools": [7, {}, {"type": "function"}, {"type": "function", "function": {"name": 1}}]},
            [],
        ),
        ("a.b", {"tools": [function("a.b"), function("a.b")]}, ["a.b"]),
    ],
)
def test_tools_called_are_those_named(said: str, fields: dict[str, Any], expected: list[str]) -> None:
    request = asking(said, **{"tools": TOOLS, **fields})

    assert called(request) == expected
    assert first(request)["finish_reason"] == ("tool_calls" if expected else "stop")
    assert (first(request)["message"]["content"] is None) == bool(expected)


@pytest.mark.parametrize(
    ("mode", "said", "expected"),
    [
        ("auto", "get_time get_weather", ["get_weather"]),
        ("auto", "get_time", []),
        ("required", "get_time", ["get_weather"]),
    ],
)
def test_allowed_tools_narrow_what_is_offered(mode: str, said: str, expected: list[str]) -> None:
    allowed = {"mode": mode, "tools": [function("get_weather"), custom("get_time")]}

    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    assert called(asking(said, tools=TOOLS, tool_choice=choice)) == expected


def test_function_arguments_fit_its_parameters_and_are_compact() -> None:
    (call,) = first(asking("get_weather", tools=TOOLS))["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"name":"a","age":18}'

    (call,) = first(asking("get_time", tools=TOOLS))["message"]["tool_calls"]
    assert call["function"]["arguments"] == "{}"


def test_custom_tool_gets_the_words_whatever_its_grammar() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": r"^\d{3}$"}}

    for tools in (TOOLS, [custom("run_code", format=grammar)]):
        (call,) = first(asking("run_code now", tools=tools))["message"]["tool_calls"]
        assert call["custom"] == {"name": "run_code", "input": "run_code now"}


def test_call_ids_are_stable_and_differ_between_calls_choices_and_turns() -> None:
    request = asking("get_time get_weather", tools=TOOLS, n=2)
    later = {**request, "messages": [{"role": "system", "content": ""}, *request["messages"]]}

    def ids(of: dict[str, Any]) -> list[str]:
        return [call["id"] for choice in answer(of)["choices"] for call in choice["message"]["tool_calls"]]

    assert ids(request) == ids(request)
    assert len({*ids(request), *ids(later)}) == 8
    assert all(call_id.startswith("call_") for call_id in ids(request))


def test_streamed_call_says_who_it_is_once_and_carries_its_index_always() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(asking("get_time get_weather", tools=TOOLS))]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]

    for index in (0, 1):
        opening, *rest = [call for call in calls if call["index"] == index]
        assert opening["type"] == "function"
        assert opening["function"]["arguments"] == ""
        assert len(rest) >= 2
        assert all(call.keys() == {"index", "function"} and call["function"].keys() == {"arguments"} for call in rest)


def test_streamed_custom_call_names_no_type_the_published_chunk_lacks() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(asking("run_code", tools=TOOLS))]
    opening, *rest = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]

    assert opening.keys() == {"index", "id", "custom"}
    assert opening["custom"] == {"name": "run_code", "input": ""}
    assert "".join(call["custom"]["input"] for call in rest) == "run_code"


def test_tool_results_are_quoted_instead_of_calling_again() -> None:
    request = asking("get_time", tools=TOOLS)
    request["messages"] += [
        first(request)["message"],
        {"role": "tool", "tool_call_id": "1", "content": "it is noon"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": 'say "hi"'}]},
    ]

    assert text(request) == '[echo-simple] The tools answered: "it is noon"; "say \\"hi\\""'
    assert called({**request, "tool_choice": "required"}) == ["get_time"]
    request["messages"].append({"role": "user", "content": "get_weather"})
    assert called(request) == ["get_weather"]


def test_structured_answer_fits_the_schema_asked_for() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}

    jsonschema.validate(json.loads(text(asking("hi", response_format=wanted))), PERSON)


def test_json_object_wraps_the_words() -> None:
    assert json.loads(text(asking('say "hi"', response_format={"type": "json_object"}))) == {"echo": 'say "hi"'}
    assert json.loads(text(asking("hi", response_format={"type": "json_schema"}))) == {"echo": "hi"}


def test_half_a_surrogate_pair_is_replaced_everywhere() -> None:
    schema = {"type": "object", "properties": {"\udc00": {"const": "\ud83d"}}}
    for request in (
        asking("a \ud83d b"),
        asking("x", tools=[function("f\ud83d", schema)], tool_choice="required"),
        asking("x \ud83d", tools=[custom("f")], tool_choice="required"),
        asking("x", response_format={"type": "json_schema", "json_schema": {"schema": schema}}),
    ):
        whole = complete(request, "m\ud83d", answer_id="\udc00", created=0)

        json.dumps([whole, *stream(request, "m\ud83d", answer_id="\udc00", created=0)], ensure_ascii=False).encode()
    assert text(asking("a \ud83d b 😀")) == "[echo-simple] a \N{REPLACEMENT CHARACTER} b 😀"


def test_many_costly_tools_end_soon() -> None:
    level: dict[str, Any] = {"type": "string"}
    for _ in range(1_000):
        level = {"anyOf": [level, level]}
    tools = [function(f"f{i}", {"type": "object", "properties": {"x": level}}) for i in range(500)]

    before = time.process_time()
    calls = called(asking(" ".join(f"f{i}" for i in range(500)), tools=tools, n=8))
    assert len(calls) == 128
    assert time.process_time() - before < 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud83d", "user", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "function", "name", "text", "schema", "role", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FIELDS = [
    *(
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "n",
        "stop",
        "max_tokens",
    ),
    *("max_completion_tokens", "logprobs", "top_logprobs", "stream_options"),
]
odd_messages = st.lists(
    st.fixed_dictionaries({"role": json_values | st.sampled_from(["user", "tool"]), "content": json_values}),
    max_size=3,
)
odd_requests = st.builds(
    lambda fields, messages: {"messages": messages, **fields},
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5),
    odd_messages,
)


@given(odd_requests)
@settings(max_examples=300, deadline=None)
def test_odd_request_is_answered_and_streamed_alike(request: dict[str, Any]) -> None:
    whole = answer(request)
    pieces = chunks(request)

    json.dumps([whole, pieces], ensure_ascii=False, allow_nan=False).encode()
    assert [choice["message"].get("content") for choice in joined(pieces)] == [
        choice["message"]["content"] for choice in whole["choices"]
    ]


plain_requests = st.builds(
    asking,
    st.text(),
    n=st.integers(1, 3),
    max_tokens=st.integers(1, 30) | st.none(),
    stop=st.text(max_size=2) | st.none(),
    logprobs=st.booleans(),
    tools=st.just(TOOLS),
    tool_choice=st.sampled_from(["auto", "none", "required", custom("run_code"), function("get_weather")]),
)


@given(plain_requests)
@settings(max_examples=300, deadline=None)
def test_any_stream_adds_up_to_the_plain_answer(request: dict[str, Any]) -> None:
    whole = answer(request)
    for choice in whole["choices"]:
        del choice["message"]["annotations"]

    assert joined(chunks(request)) == whole["choices"]
    limit = request["max_tokens"] or 10_000
    assert whole["usage"]["completion_tokens"] <= limit * request["n"]
