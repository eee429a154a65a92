from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outputs import compiled
from gateway.outputs.compiled import MAX_PROBLEMS, MAX_SCHEMA_BYTES, CompiledSchema, Problem, Unchecked, encode_schema
from gateway.outputs.survey import MAX_DEPTH, UnboundedError

TREE = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "n": {"type": "integer"}},
}


def compile_(schema: Any) -> CompiledSchema:
    return CompiledSchema(schema, len(encode_schema(schema)))


def judge(schema: Any, answer: Any) -> tuple[Problem, ...] | Unchecked:
    text = msgspec.json.encode(answer).decode()
    return compile_(schema).problems(msgspec.json.decode(text), text)


def problems(schema: Any, answer: Any) -> tuple[Problem, ...]:
    found = judge(schema, answer)
    assert isinstance(found, tuple)
    return found


def why(schema: Any, answer: Any) -> str:
    found = judge(schema, answer)
    assert isinstance(found, Unchecked)
    return found.why


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_an_answer_that_fits_has_no_problems() -> None:
    assert judge(TREE, {"n": 1, "children": [{"n": 2}, {"children": []}]}) == ()


def test_a_problem_says_where_and_what_but_not_the_value() -> None:
    (problem,) = problems(TREE, {"children": [{"n": 1}, {"n": "secret"}]})

    assert problem == Problem("/children/1/n", "type", 'the schema says "type": "integer"')


def test_a_pointer_names_odd_members_as_the_standard_says() -> None:
    (problem,) = problems({"properties": {"a/b~c %": {"minimum": 3}}}, {"a/b~c %": 1})

    assert problem == Problem("/a~1b~0c %", "minimum", 'the schema says "minimum": 3')


def test_members_that_are_missing_or_too_many_are_named() -> None:
    schema = {"properties": {"a": {}}, "required": ["a"], "additionalProperties": False}

    found = problems(schema, {"b" * 500: 1})

    assert {problem.keyword for problem in found} == {"required", "additionalProperties"}
    assert any('"a"' in problem.message for problem in found)
    assert all(len(problem.message) <= 103 for problem in found)


def test_a_long_demand_is_cut() -> None:
    (problem,) = problems({"enum": ["v" * 50] * 100}, "x")

    assert len(problem.message) < 250


def test_a_demand_within_a_keyword_is_quoted_by_the_keyword() -> None:
    (problem,) = problems({"dependentRequired": {"a": ["b"]}}, {"a": 1})

    assert problem.message == 'the schema says "dependentRequired": {"a":["b"]}'


def test_a_demand_that_does_not_stand_where_the_validator_says_is_not_quoted() -> None:
    schema = compile_({"type": "object"})
    schema._schema = {}

    assert schema.problems([], "[]") == (Problem("", "type", 'it does not meet "type" of the schema'),)


def test_a_false_schema_is_a_problem() -> None:
    (problem,) = problems({"properties": {"a": False}}, {"a": 1})

    assert problem == Problem("/a", "a", 'the schema says "a": false')


def test_only_the_first_problems_are_named() -> None:
    assert len(problems({"items": {"type": "null"}}, [1] * 50)) == MAX_PROBLEMS


def test_what_would_take_long_to_tell_is_not_told_apart() -> None:
    found = problems({"items": {"anyOf": [{"type": "null"}, {"type": "string"}]}}, [1] * 30_000)

    assert found == (Problem("", "schema", "it does not fit the schema"),)


def test_formats_are_not_held_against_an_answer() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "format": "date"}

    assert judge(schema, "tomorrow") == ()


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2019-09/schema"]
)
def test_older_drafts_are_understood(draft: str) -> None:
    assert problems({"$schema": draft, "items": [{"type": "null"}]}, [1])[0].pointer == "/0"


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"type": "text"},
        {"properties": []},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"pattern": "(a{1000}){1000}"},
        {"$schema": "http://127.0.0.1/own"},
        {"multipleOf": 0},
    ],
)
def test_what_the_validator_does_not_take_is_a_value_error(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_(schema)


def test_a_large_schema_is_not_compiled() -> None:
    with pytest.raises(UnboundedError):
        compile_({"description": "x" * MAX_SCHEMA_BYTES})


def test_a_schema_of_many_patterns_is_not_compiled() -> None:
    with pytest.raises(UnboundedError):
        compile_({"properties": {f"p{i}": {"pattern": "a"} for i in range(65)}})


@pytest.mark.parametrize("where", ["$ref", "$id", "$schema"])
def test_nothing_is_ever_fetched(where: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        schema = {where: address, **({"properties": {"a": {"$ref": "y"}}} if where == "$id" else {})}

        for compile_it in (compile_, compiled._compile):
            with pytest.raises((ValueError, UnboundedError)):
                compile_it(schema)

        with pytest.raises(TimeoutError):
            server.accept()


def test_the_validator_itself_is_offline() -> None:
    with pytest.raises(ValueError, match="Retrieval is disabled"):
        compiled._compile({"$ref": "file:///etc/hostname"})


def test_the_deepest_answers_are_not_checked() -> None:
    schema = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}

    assert judge(schema, nested(MAX_DEPTH - 1)) == ()
    assert why(schema, nested(MAX_DEPTH)) == "answer_too_deep"
    assert why(schema, nested(900)) == "answer_too_deep"


def test_a_wide_answer_is_not_taken_for_a_deep_one() -> None:
    assert judge({"items": {"type": "array"}}, [[]] * 200) == ()


def test_brackets_within_strings_are_no_depth() -> None:
    assert judge({"type": "array"}, ["[{" * 500]) == ()


def test_a_wrong_answer_as_deep_as_the_longest_chain_allows_is_told() -> None:
    defs: dict[str, Any] = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}]} for i in range(13)}
    defs["d13"] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/d0"}}]}

    found = problems({"$ref": "#/$defs/d0", "$defs": defs}, nested(MAX_DEPTH - 1))

    assert found


def test_alternatives_that_multiply_with_depth_are_not_checked() -> None:
    schema = {"anyOf": [{"type": "array", "items": {"$ref": "#"}} for _ in range(10)]}

    assert why(schema, nested(30)) == "answer_too_large"


def test_alternatives_that_multiply_at_once_are_not_checked() -> None:
    defs = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 8} for i in range(15)}

    assert why({"$ref": "#/$defs/d0", "$defs": {**defs, "d15": {}}}, [1] * 1000) == "answer_too_large"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(x+x+)+y", "(a|a)*b", "(.*)*(.*)*b"])
def test_a_pattern_that_others_backtrack_on_takes_linear_time(pattern: str) -> None:
    found = problems({"pattern": pattern}, "a" * 20_000 + "!")

    assert found[0].keyword == "pattern"


def test_patterns_are_not_run_over_very_long_texts() -> None:
    assert why({"properties": {"a": {"pattern": "a"}}}, {"a": "a" * 70_000}) == "answer_too_large"


class PanicException(BaseException):
    """Stands for what pyo3 raises when the validator panics."""


class Panicking:
    def is_valid(self, _value: Any) -> bool:
        raise PanicException


class Interrupted:
    def is_valid(self, _value: Any) -> bool:
        raise KeyboardInterrupt


def test_a_panic_of_the_validator_is_an_answer_that_was_not_checked() -> None:
    schema = compile_({})
    schema._validator = Panicking()  # type: ignore[assignment]  # what the validator does, not what it is

    assert schema.problems({}, "{}") == Unchecked("validator_failed")


def test_an_interrupt_is_no_panic() -> None:
    schema = compile_({})
    schema._validator = Interrupted()  # type: ignore[assignment]  # as above

    with pytest.raises(KeyboardInterrupt):
        schema.problems({}, "{}")


KEYWORDS = ["type", "properties", "items", "anyOf", "not", "$ref", "enum", "pattern", "required", "$defs", "minimum"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/items", "http://127.0.0.1:9/x", "file:///etc/passwd", "#x", ""])
VALUES = st.recursive(
    SCALARS | REFERENCES | st.sampled_from(["string", "object", "a*", "("]),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), below, max_size=4),
    max_leaves=25,
)
SCHEMAS = st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=5)
ANSWERS = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=3), below), max_leaves=20
)


@given(schema=SCHEMAS | VALUES, answer=ANSWERS)
def test_any_schema_and_any_answer_have_an_outcome(schema: Any, answer: Any) -> None:
    try:
        found = judge(schema, answer)
    except (UnboundedError, ValueError):
        return

    assert isinstance(found, Unchecked) or all(isinstance(problem, Problem) for problem in found)


@given(answer=ANSWERS)
def test_an_answer_fits_the_schema_that_demands_it_and_not_its_opposite(answer: Any) -> None:
    assert judge({"const": answer}, answer) == ()
    assert problems({"not": {"const": answer}}, answer)
