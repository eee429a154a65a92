from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.completions import read_completions
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.responses import read_responses
from gateway.outputs.compiled import Unchecked
from gateway.outputs.expectation import Expectation, Fault, expectation_from, expected_output, is_checkable
from gateway.outputs.schemas import Schemas
from tests.support.build import chat_request

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OBJECT = {"type": "json_object"}
SAID = [{"role": "user", "content": "Hi"}]
SHAPES: list[Shape] = ["chat", "responses", "messages"]


def request(shape: Shape, wanted: Any, **more: Any) -> ModelRequest:
    """Return a request of a shape whose answer is to have a form."""
    if shape == "chat":
        named = {"type": "json_schema", "json_schema": {"name": "n", **wanted}} if "schema" in wanted else wanted
        return chat_request(**{"messages": SAID, "response_format": named, **more})
    document: dict[str, Any]
    if shape == "responses":
        document = {"input": "Hi", "text": {"format": {"name": "n", **wanted}}}
        return read_responses(json.dumps({"model": "m", **document, **more}).encode())
    document = {"messages": SAID, "max_tokens": 9, "output_config": {"format": wanted}}
    return read_messages(json.dumps({"model": "m", **document, **more}).encode())


def demanding(shape: Shape, schema: Any) -> ModelRequest:
    return request(shape, {"type": "json_schema", "schema": schema})


def reply(shape: Shape, *contents: str) -> bytes:
    """Return an answer; with several contents one of several choices."""
    bodies: dict[str, Any] = {
        "chat": {"choices": [{"message": {"content": each}, "finish_reason": "stop"} for each in contents]},
        "responses": {"output": [{"type": "message", "content": [{"type": "output_text", "text": contents[0]}]}]},
        "messages": {"content": [{"type": "text", "text": contents[0]}], "stop_reason": "end_turn"},
    }
    return json.dumps({"id": "x", **bodies[shape], "usage": {"b": 1.0, "a": 1e5}}).encode()


def expectation(wanted: ModelRequest) -> Expectation:
    found = expected_output(wanted, Schemas())
    assert found is not None
    return found


ANY_OBJECT = expectation(request("chat", OBJECT))
NUMBERED = expectation(demanding("chat", SCHEMA))


@pytest.mark.parametrize(
    "unasked",
    [
        chat_request(),
        chat_request(response_format=None),
        chat_request(response_format={"type": "text"}),
        chat_request(response_format={"type": 5}),
        chat_request(response_format={}),
        read_responses(b'{"model": "m", "input": "Hi", "text": {"verbosity": "low"}}'),
        read_responses(b'{"model": "m", "input": "Hi", "text": {"format": {"type": "text"}}}'),
        read_responses(b'{"model": "m", "input": "Hi", "text": {"format": 5}}'),
        read_messages(
            b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": ""}], "output_config": 5}'
        ),
        read_completions(b'{"model": "m", "prompt": "Hi", "response_format": {"type": "json_object"}}'),
    ],
)
def test_a_request_without_a_form_expects_nothing(unasked: ModelRequest) -> None:
    assert expected_output(unasked, Schemas()) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_streams_are_left_unchecked(shape: Shape) -> None:
    assert expected_output(request(shape, OBJECT, stream=True), Schemas()) is None


@pytest.mark.parametrize("shape", ["chat", "messages"])
def test_an_answer_that_goes_on_from_the_callers_beginning_is_left_unchecked(shape: Shape) -> None:
    begun = request(shape, OBJECT, messages=[*SAID, {"role": "assistant", "content": "{"}])

    assert expected_output(begun, Schemas()) is None
    assert not is_checkable(begun)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("content", "kind"), [('{"n": 1}', None), ('{"n": "x"}', "schema"), ("Sure!", "json")])
def test_a_schema_is_held_against_the_answer_in_every_shape(shape: Shape, content: str, kind: str | None) -> None:
    found = expectation(demanding(shape, SCHEMA)).check(reply(shape, content), shape)

    assert (found.kind if isinstance(found, Fault) else found) == kind


@pytest.mark.parametrize("shape", ["chat", "responses"])
@pytest.mark.parametrize(("content", "kind"), [("{}", None), (" {}\n", None), ("[]", "object"), ("", "json")])
def test_any_object_will_do_where_none_is_described(shape: Shape, content: str, kind: str | None) -> None:
    found = expectation(request(shape, OBJECT)).check(reply(shape, content), shape)

    assert (found.kind if isinstance(found, Fault) else found) == kind


def test_the_first_choice_with_a_fault_is_named() -> None:
    found = NUMBERED.check(reply("chat", '{"n": 1}', '{"n": 1.5}', "no"), "chat")

    assert isinstance(found, Fault)
    assert (found.index, found.problems[0].pointer, found.problems[0].keyword) == (1, "/n", "type")


def test_a_fault_holds_nothing_of_a_wrong_value() -> None:
    found = NUMBERED.check(reply("chat", '{"n": "my secret"}'), "chat")

    assert isinstance(found, Fault)
    assert "secret" not in repr(found)


def test_an_answer_without_choices_has_no_fault() -> None:
    assert NUMBERED.check(b'{"choices": []}', "chat") is None


def test_a_fault_is_found_beside_a_choice_that_cannot_be_checked() -> None:
    deep = "[" * 70 + "]" * 70
    found = NUMBERED.check(reply("chat", deep, "no"), "chat"), NUMBERED.check(reply("chat", deep, '{"n": 1}'), "chat")

    assert isinstance(found[0], Fault)
    assert found[1] == Unchecked("answer_too_deep")


def test_choices_beyond_the_first_are_not_judged() -> None:
    many = reply("chat", *['{"n": 1}'] * 16, "no")

    assert NUMBERED.check(many, "chat") == Unchecked("answer_too_large")
    assert NUMBERED.unwrapped(many, "chat") is None


@pytest.mark.parametrize("schema", [None, {"type": "text"}, {"$ref": "http://127.0.0.1/x"}, {"pattern": "(?=a)"}])
def test_with_a_schema_that_cannot_be_used_the_answer_must_still_be_json(schema: Any) -> None:
    wanted = expectation(demanding("chat", schema))

    assert isinstance(wanted.check(reply("chat", "5"), "chat"), Unchecked)
    assert isinstance(wanted.check(reply("chat", "five"), "chat"), Fault)


@pytest.mark.parametrize(
    ("content", "why"),
    [("[" * 5000 + "]" * 5000, "answer_too_deep"), ("1e999", "answer_too_large"), ("1" * 9999, "answer_too_large")],
)
def test_json_that_cannot_be_held_is_not_checked(content: str, why: str) -> None:
    found = NUMBERED.check(reply("chat", content), "chat")

    assert isinstance(found, Unchecked)
    assert found.why == why


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fence_is_taken_away_and_nothing_else_changes(shape: Shape) -> None:
    fenced, plain = reply(shape, '```json\n{"n": 1}\n```'), reply(shape, '{"n": 1}')

    assert expectation(demanding(shape, SCHEMA)).unwrapped(fenced, shape) == plain.replace(
        rb"{\"n\": 1}", rb"{\"n\": 1}"
    )


def test_choices_in_fences_are_all_freed_and_the_others_kept() -> None:
    body = reply("chat", '```{"n": 1}```', '{"n": 3}', '```{"n": 1}```', '\ufeff{"n": 2}')

    freed = ANY_OBJECT.unwrapped(body, "chat")

    assert freed is not None
    contents = [choice["message"]["content"] for choice in json.loads(freed)["choices"]]
    assert contents == ['{"n": 1}', '{"n": 3}', '{"n": 1}', '{"n": 2}']


@pytest.mark.parametrize(
    "contents",
    [
        ['{"n": 1}'],
        ["no"],
        ['```{"n": "x"}```'],
        ['```{"n": 1}```', "no"],
        ['Here:\n```json\n{"n": 1}\n```'],
    ],
)
def test_an_answer_that_taking_away_does_not_mend_is_not_changed(contents: list[str]) -> None:
    assert NUMBERED.unwrapped(reply("chat", *contents), "chat") is None


def test_an_answer_whose_text_stands_elsewhere_too_is_not_changed() -> None:
    body = json.loads(reply("chat", '```{"n": 1}```'))
    body["echo"] = '```{"n": 1}```'

    assert NUMBERED.unwrapped(json.dumps(body).encode(), "chat") is None


def test_a_text_in_several_parts_is_not_changed() -> None:
    parts = [{"type": "text", "text": "```"}, {"type": "text", "text": '{"n": 1}```'}]
    body = json.dumps({"content": parts, "stop_reason": "end_turn"}).encode()

    assert NUMBERED.unwrapped(body, "messages") is None


def test_a_schema_of_the_settings_is_told_with_the_fault() -> None:
    found = expectation_from(SCHEMA).check(reply("chat", "{}"), "chat")

    assert isinstance(found, Fault)
    assert json.loads(found.schema) == SCHEMA


def test_a_large_schema_of_the_settings_is_not_told() -> None:
    found = expectation_from({**SCHEMA, "description": "x" * 40_000}).check(reply("chat", "{}"), "chat")

    assert isinstance(found, Fault)
    assert found.schema == ""


@pytest.mark.parametrize("schema", [{"type": "text"}, {"$ref": "file:///x"}, {"x": object()}])
def test_an_invalid_schema_of_the_settings_is_a_value_error(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        expectation_from(schema)


@given(
    content=st.text()
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=3),
        lambda below: st.lists(below) | st.dictionaries(st.sampled_from(["n", "m"]), below),
    ).map(json.dumps),
    shape=st.sampled_from(SHAPES),
)
def test_any_answer_has_an_outcome(content: str, shape: Shape) -> None:
    body = reply(shape, content)
    found, freed = NUMBERED.check(body, shape), NUMBERED.unwrapped(body, shape)

    assert freed is None or isinstance(found, Fault)
    assert freed is None or not isinstance(NUMBERED.check(freed, shape), Fault)
