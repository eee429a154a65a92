import ipaddress
import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstreams.example_json import example

jsonschema: Any = pytest.importorskip("jsonschema")


def is_valid(schema: object, value: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def nested(levels: int, wrap: Callable[[object], object]) -> object:
    inner: object = {"type": "string"}
    for _ in range(levels):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "minLength": 3}, "aaa"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "minimum": 50, "multipleOf": 7}, 56),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 0),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True}, ["x", "y"]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [0, ""]),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 0}),
        ({"type": "object", "required": ["a"], "additionalProperties": {"const": 7}}, {"a": 7}),
        ({"const": {"a": [1]}}, {"a": [1]}),
        ({"enum": [None, "x"]}, "x"),
        ({"enum": [None]}, None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, ""),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}, {"type": "string"}]}, ""),
        ({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "maximum": 9}]}, 2),
        ({"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 2]}]}, 2),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, 1),
        (True, ""),
        ({}, ""),
    ],
)
def test_smallest_value_of_each_keyword(schema: object, expected: object) -> None:
    assert example(schema) == expected
    assert is_valid(schema, example(schema))


def test_valid_default_is_preferred_and_an_invalid_one_is_not() -> None:
    assert example({"type": "integer", "minimum": 3, "default": 9}) == 9
    assert example({"type": "integer", "minimum": 3, "default": 1}) == 3
    assert example({"type": "string", "pattern": "^b", "default": "a"}) == "b"
    assert example({"type": "string", "examples": [4, "hello"]}) == "hello"


def test_true_is_not_taken_for_one() -> None:
    assert example({"type": "integer", "default": True}) == 0
    assert example({"allOf": [{"enum": [1, "a"]}, {"enum": [True, "a"]}]}) == "a"


def test_optional_properties_are_filled_in_near_the_root_only() -> None:
    schema = nested(20, lambda inner: {"type": "object", "properties": {"x": inner}})

    depth = json.dumps(example(schema)).count("x")

    assert 1 < depth < 20


def test_property_that_nothing_satisfies_is_left_out_when_it_may_be() -> None:
    assert example({"type": "object", "properties": {"a": False, "b": {"type": "null"}}}) == {"b": None}


@pytest.mark.parametrize(
    "link", [{"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}, {"$ref": "#/$defs/N"}]
)
def test_recursive_schema_ends_at_the_first_chance(link: dict[str, Any]) -> None:
    required = ["value", "next"] if "anyOf" in link else ["value"]
    node = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": link},
        "required": required,
        "additionalProperties": False,
    }
    schema = {"$ref": "#/$defs/N", "$defs": {"N": node}}

    value = example(schema)

    assert value == {"value": 0, "next": None} if "anyOf" in link else value == {"value": 0}
    assert is_valid(schema, value)


def test_reference_to_the_root_through_an_array_gives_an_empty_array() -> None:
    schema = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["kids"],
    }

    assert example(schema) == {"kids": []}


def test_reference_used_again_inside_its_own_extension_is_no_endless_recursion() -> None:
    schema = {
        "$defs": {"A": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
        "allOf": [
            {"$ref": "#/$defs/A"},
            {"type": "object", "properties": {"x": {"$ref": "#/$defs/A"}}, "required": ["x"]},
        ],
    }

    assert example(schema) == {"n": 0, "x": {"n": 0}}


def test_tagged_union_takes_one_whole_branch() -> None:
    def branch(tag: str, field: str) -> dict[str, Any]:
        properties = {"kind": {"const": tag}, field: {"type": "integer"}}
        return {"type": "object", "properties": properties, "required": ["kind", field]}

    assert example({"oneOf": [branch("a", "x"), branch("b", "y")]}) == {"kind": "a", "x": 0}


@pytest.mark.parametrize(
    ("name", "parse"),
    [
        ("date", date.fromisoformat),
        ("date-time", datetime.fromisoformat),
        ("time", lambda text: re.fullmatch(r"\d\d:\d\d:\d\dZ", text)),
        ("email", lambda text: re.fullmatch(r"\w+@\w+\.\w+", text)),
        ("uri", lambda text: re.fullmatch(r"https://\S+", text)),
        ("uuid", uuid.UUID),
        ("ipv4", ipaddress.IPv4Address),
        ("ipv6", ipaddress.IPv6Address),
        ("hostname", lambda text: re.fullmatch(r"[a-z]+\.[a-z]+", text)),
        ("duration", lambda text: re.fullmatch(r"P(T\d+S|\d+D)", text)),
    ],
)
def test_format_is_met(name: str, parse: Callable[[str], object]) -> None:
    text = example({"type": "string", "format": name})

    assert isinstance(text, str)
    assert parse(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{3}-\d{2,4}$",
        r"^(foo|ba)\.x?$",
        r"^@[a-zA-Z0-9_]+$",
        r"^(?:[01]\d|2[0-3]):[0-5]\d$",
        r"^\+?[1-9]\d{1,14}$",
        r"^[^a]\S\s\w\W\D$",
        r"^(?=a)a.{2}(b)\1$",
        r"^[\w.-]+@[\w-]+\.[a-z]{2,}$",
        r"^#[0-9a-fA-F]{6}$",
        r"^\u0041[\]\\^-]$",
        r"^$",
    ],
)
def test_pattern_is_matched(pattern: str) -> None:
    text = example({"type": "string", "pattern": pattern})

    assert isinstance(text, str)
    assert re.search(pattern, text)


def test_pattern_and_lengths_are_met_together() -> None:
    schema = {"type": "string", "pattern": "^[a-z]{2,8}$", "minLength": 5, "maxLength": 5}

    assert is_valid(schema, example(schema))


MANY = {f"p{i}": {"type": "string"} for i in range(50_000)}
HOSTILE: dict[str, Any] = {
    "deep objects": nested(10_000, lambda s: {"type": "object", "properties": {"x": s}, "required": ["x"]}),
    "deep arrays": nested(10_000, lambda s: {"type": "array", "items": s, "minItems": 1}),
    "deep allOf": nested(10_000, lambda s: {"allOf": [s, s]}),
    "deep anyOf": nested(10_000, lambda s: {"anyOf": [s, s]}),
    "deep oneOf": nested(10_000, lambda s: {"oneOf": [s, s, {"type": "null"}]}),
    "deep not": nested(10_000, lambda s: {"not": s}),
    "deep constant": {"const": nested(10_000, lambda s: [s])},
    "doubling objects": {
        "$ref": "#/$defs/d0",
        "$defs": {
            f"d{i}": {
                "type": "object",
                "properties": {key: {"$ref": f"#/$defs/d{i + 1}"} for key in "abcd"},
                "required": list("abcd"),
            }
            for i in range(60)
        },
    },
    "failing choices": {
        "$ref": "#/$defs/d0",
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 4} for i in range(29)}
        | {"d29": False},
    },
    "reference to itself": {"$ref": "#"},
    "references in a circle": {"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}},
    "endless array": {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
    "endless unique array": {
        "type": "array",
        "minItems": 10**9,
        "uniqueItems": True,
        "items": {"type": "boolean"},
    },
    "endless texts": {"type": "array", "minItems": 10**9, "items": {"type": "string", "minLength": 10**9}},
    "endless object": {"type": "object", "minProperties": 10**9},
    "backtracking pattern": {"type": "string", "pattern": "^(a+)+$", "default": "a" * 60 + "!"},
    "growing pattern": {
        "type": "array",
        "minItems": 10**9,
        "items": {"type": "string", "pattern": "(((a{9999}){9999}){9999})" * 70},
    },
    "unclosed pattern": {"type": "string", "pattern": "([(a|" * 300},
    "wide object": {"type": "object", "properties": MANY, "required": list(MANY)},
    "wide recursion": {"type": "object", "properties": {**MANY, "z": {"$ref": "#"}}, "required": ["z"]},
    "long enums": {"allOf": [{"enum": list(range(100_000))}, {"enum": list(range(-100_000, 0))}]},
    "long default, often": {"type": "array", "minItems": 10**9, "items": {"default": "x" * 1_000_000}},
    "wrong types": {
        "type": 5,
        "properties": [],
        "required": 7,
        "enum": "x",
        "pattern": 3,
        "$ref": 9,
        "allOf": {},
    },
    "no finite numbers": {
        "type": "number",
        "minimum": float("inf"),
        "maximum": float("nan"),
        "multipleOf": 1e-320,
    },
    "numbers beyond floats": {"type": "number", "minimum": 10**400, "multipleOf": 10**400},
    "unknown reference": {"$ref": "#/%zz/~9/0/99999999999999999999"},
    "not a schema": [1],
    "impossible": {"allOf": [{"type": "string"}, {"type": "integer"}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schema_ends_soon_with_json(name: str) -> None:
    before = time.process_time()
    value = example(HOSTILE[name])
    spent_s = time.process_time() - before

    assert spent_s < 3
    assert len(json.dumps(value, allow_nan=False)) < 10_000_000


def test_example_is_never_deeper_than_json_encoders_like() -> None:
    assert json.dumps(example(HOSTILE["deep arrays"])).count("[") < 50


def test_five_thousand_properties_are_within_the_allowance() -> None:
    names = [f"p{i}" for i in range(5_000)]
    schema = {
        "type": "object",
        "properties": {n: {"type": "string", "minLength": 1} for n in names},
        "required": names,
    }

    assert example(schema) == dict.fromkeys(names, "a")


def integers() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda low, width, step: {
            "type": "integer",
            "minimum": low,
            "maximum": low + width * step,
            "multipleOf": step,
        },
        st.integers(-1000, 1000),
        st.integers(1, 9),
        st.integers(1, 50),
    )


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda low, width: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + width},
        st.floats(-1e6, 1e6),
        st.floats(0.01, 1e3),
    )


def strings() -> st.SearchStrategy[dict[str, Any]]:
    lengths = st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        st.integers(0, 40),
        st.integers(0, 5),
    )
    patterns = ["^[a-z]+$", r"^\d{3}-\d{4}$", "^(red|green)$", r"^[A-Z]\w*$", "x"]
    return lengths | st.sampled_from(patterns).map(lambda pattern: {"type": "string", "pattern": pattern})


def scalars() -> st.SearchStrategy[dict[str, Any]]:
    values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    return st.one_of(
        integers(),
        numbers(),
        strings(),
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, {"type": ["string", "null"]}]),
        values.map(lambda value: {"const": value}),
        st.lists(values, min_size=1, max_size=4).map(lambda some: {"enum": some}),
    )


def containers(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(st.text(max_size=4), inner, max_size=4)
    return st.one_of(
        st.builds(lambda s, n: {"type": "array", "items": s, "minItems": n}, inner, st.integers(0, 3)),
        st.lists(inner, max_size=3).map(lambda some: {"type": "array", "prefixItems": some, "items": False}),
        st.builds(closed_object, properties, st.booleans()),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        inner.map(
            lambda one: {"oneOf": [{"type": "array", "minItems": 9, "maxItems": 9, "items": False}, one]}
        ),
        inner.map(lambda one: {"allOf": [one, {"description": "the same"}]}),
    )


def closed_object(properties: dict[str, Any], all_required: bool) -> dict[str, Any]:  # noqa: FBT001  drawn
    required = list(properties) if all_required else list(properties)[:1]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def with_definitions(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    link = {"$ref": "#/$defs/shared"}
    items = {"type": "array", "items": link, "minItems": 1}
    return {
        "$defs": {"shared": shared},
        **closed_object({"own": own, "link": link, "items": items}, all_required=True),
    }


schemas = st.recursive(scalars(), containers, max_leaves=12)


@given(schemas | st.builds(with_definitions, schemas, schemas))
@settings(max_examples=300, deadline=None)
def test_example_of_a_satisfiable_schema_validates(schema: dict[str, Any]) -> None:
    value = example(schema)

    jsonschema.Draft202012Validator(schema).validate(value)
    assert example(schema) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYWORDS = [
    *("type", "enum", "const", "default", "examples", "$ref", "anyOf", "oneOf", "allOf", "not"),
    *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
]


@given(
    st.recursive(
        json_values | st.sampled_from(["string", "object", "array", "integer", "#"]),
        lambda inner: st.dictionaries(
            st.sampled_from(KEYWORDS), inner | st.lists(inner, max_size=3), max_size=4
        ),
        max_leaves=12,
    )
)
@settings(max_examples=500, deadline=None)
def test_no_input_raises_or_gives_something_that_is_not_json(schema: object) -> None:
    json.dumps(example(schema), allow_nan=False)
