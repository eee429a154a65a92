import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstreams.example_json import NODES, _Maker, example

jsonschema: Any = pytest.importorskip("jsonschema")


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
        ({"type": "string", "format": "date", "maxLength": 10}, "2000-01-01"),
        ({"type": "string", "format": "email", "minLength": 15}, "a@example.comaa"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "minimum": 2**62 + 1}, 2**62 + 1),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": -3}, -4),
        ({"type": "integer", "minimum": 50, "multipleOf": 7}, 56),
        ({"type": "integer", "minimum": 1, "multipleOf": 1.5}, 3),
        ({"type": "number", "minimum": 0.3, "multipleOf": 0.25}, 0.5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.5, "maximum": 0.5}, 0.5),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 0),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [0, ""]),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 0}),
        ({"type": "object", "required": ["a"]}, {"a": ""}),
        ({"type": "object", "properties": {"a": False, "b": {"type": "null"}}}, {"b": None}),
        ({"const": {"a": [1]}}, {"a": [1]}),
        ({"const": True}, True),
        ({"enum": [None, "x"]}, "x"),
        ({"enum": [None]}, None),
        ({"type": "integer", "default": 9}, 9),
        ({"type": "string", "examples": ["hello", "there"]}, "hello"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, ""),
        ({"oneOf": [False, {"type": "integer"}]}, 0),
        ({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "minimum": 1, "maximum": 9}]}, 2),
        ({"allOf": [{"items": {"minimum": 2}}, {"type": "array", "minItems": 1, "items": {"type": "integer"}}]}, [2]),
        ({"allOf": [{"properties": {"a": {"minimum": 2}}}, {"properties": {"a": {"type": "integer"}}}]}, {"a": 2}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "anyOf": [{"required": ["b"]}]}, {"a": 1, "b": ""}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, 1),
        ({"$ref": "#/$defs/a/anyOf/1", "$defs": {"a": {"anyOf": [{"const": 1}, {"const": 2}]}}}, 2),
        (True, ""),
        ({}, ""),
    ],
)
def test_value_of_each_keyword(schema: object, expected: object) -> None:
    value = example(schema)

    assert value == expected
    jsonschema.Draft202012Validator(schema).validate(value)


def test_optional_properties_are_filled_in_near_the_root_only() -> None:
    schema = nested(20, lambda inner: {"type": "object", "properties": {"x": inner}})

    assert 1 < json.dumps(example(schema)).count("x") < 20


NODE = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value", "next"]}
ADD = {
    "type": "object",
    "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}},
    "required": ["left", "right"],
}
NUMBER = {"type": "object", "properties": {"number": {"type": "number"}}, "required": ["number"]}


@pytest.mark.parametrize(
    "schema",
    [
        NODE | {"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
        NODE | {"type": ["object", "null"], "properties": {"next": {"$ref": "#"}}},
        NODE | {"properties": {"next": {"type": "array", "items": {"$ref": "#"}}}},
        NODE | {"required": ["value"], "properties": {"next": {"$ref": "#"}}},
        {"anyOf": [ADD, NUMBER]},
        {"oneOf": [{"$ref": "#/$defs/ADD"}, {"$ref": "#/$defs/NUMBER"}], "$defs": {"ADD": ADD, "NUMBER": NUMBER}},
    ],
)
def test_recursive_schema_ends_with_a_small_value(schema: dict[str, Any]) -> None:
    value = example(schema)

    jsonschema.Draft202012Validator(schema).validate(value)
    assert len(json.dumps(value)) < 400


def test_tagged_union_takes_one_whole_branch() -> None:
    def branch(tag: str, name: str) -> dict[str, Any]:
        properties = {"kind": {"const": tag}, name: {"type": "integer"}}
        return {"type": "object", "properties": properties, "required": ["kind", name]}

    assert example({"oneOf": [branch("a", "x"), branch("b", "y")]}) == {"kind": "a", "x": 0}


def test_schema_is_left_as_it_was() -> None:
    schema = {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"a": {}, "b": {}}}]}
    before = json.dumps(schema)

    example(schema)

    assert json.dumps(schema) == before


def test_five_thousand_properties_are_all_there() -> None:
    names = [f"property_{i}" for i in range(5_000)]
    schema = {"type": "object", "properties": {n: {"type": "string", "minLength": 1} for n in names}, "required": names}

    assert example(schema) == dict.fromkeys(names, "a")


def test_value_has_the_type_asked_for_when_no_nodes_are_left() -> None:
    schema = {"type": "array", "minItems": 9, "items": {"type": "object", "required": ["a", "b"]}}

    assert example(schema, nodes=1) == []
    assert example(schema, nodes=3) == [{"a": ""}]


MANY = {f"p{i}": {"type": "string"} for i in range(50_000)}
HOSTILE: dict[str, Any] = {
    "deep objects": nested(10_000, lambda s: {"type": "object", "properties": {"x": s}, "required": ["x"]}),
    "deep arrays": nested(10_000, lambda s: {"type": "array", "items": s, "minItems": 1}),
    "deep allOf": nested(10_000, lambda s: {"allOf": [s, s]}),
    "deep anyOf": nested(10_000, lambda s: {"anyOf": [s, s]}),
    "deep constant": {"const": nested(10_000, lambda s: [s])},
    "deep nonsense": dict.fromkeys(("$ref", "type", "format", "required"), nested(10_000, lambda s: [s])),
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
    "many links": {"type": "array", "minItems": 10**9, "items": {"anyOf": [{"$ref": "#" + "/a" * 100}] * 500}},
    "reference to itself": {"$ref": "#"},
    "references in a circle": {"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}},
    "endless array": {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
    "endless texts": {"type": "array", "minItems": 10**9, "items": {"type": "string", "minLength": 10**9}},
    "wide object": {"type": "object", "properties": MANY, "required": list(MANY)},
    "wide recursion": {"type": "object", "properties": {**MANY, "z": {"$ref": "#"}}, "required": ["z"]},
    "wide again and again": {
        "allOf": [{"$ref": f"#/$defs/{i}"} for i in range(1_000)],
        "$defs": {str(i): {"allOf": [{"properties": MANY}]} for i in range(1_000)},
    },
    "long default, often": {"type": "array", "minItems": 10**9, "items": {"default": "x" * 1_000_000}},
    "long name, often": {"type": "array", "minItems": 10**9, "items": {"required": ["x" * 1_000_000]}},
    "wide default, often": {"type": "array", "minItems": 10**9, "items": {"default": [0] * 100_000}},
    "bounds, often": {
        "type": "array",
        "minItems": 10**9,
        "items": {"type": "number", "exclusiveMinimum": 1e29, "multipleOf": 1e-300},
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schema_costs_no_more_than_its_nodes(name: str) -> None:
    maker = _Maker(HOSTILE[name], NODES)
    calls = 0

    def count(frame: FrameType, event: str, called: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        value = maker.build(HOSTILE[name], 0)
    finally:
        sys.setprofile(None)

    assert calls < 200 * NODES
    assert len(json.dumps(value, allow_nan=False)) < 2_000_000


def test_value_is_never_deeper_than_json_readers_like() -> None:
    assert json.dumps(example(HOSTILE["deep arrays"])).count("[") < 50


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [1],
        {"type": 5, "properties": [], "required": 7, "enum": "x", "pattern": 3, "$ref": 9, "allOf": {}},
        {"type": ["string", {}], "format": [], "minLength": "1", "maxLength": -1, "required": [[], {}]},
        {"type": "number", "minimum": float("inf"), "maximum": float("nan"), "multipleOf": 1e-320},
        {"type": "number", "minimum": 10**5000, "multipleOf": 0, "const": 10**5000, "default": float("nan")},
        {"type": "integer", "minimum": 3, "maximum": 1},
        {"$ref": "#/%zz/~9/0/99999999999999999999"},
        {"$ref": "https://example.com/schema.json"},
        {"allOf": [{"type": "string"}, {"type": "integer"}, 7, False]},
        {"anyOf": [False], "oneOf": [7]},
    ],
)
def test_odd_schema_still_gives_json(schema: object) -> None:
    json.dumps(example(schema), allow_nan=False)


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
    return lengths | st.sampled_from(["date-time", "email", "uuid"]).map(
        lambda name: {"type": "string", "format": name}
    )


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
        inner.map(lambda one: {"oneOf": [one, False]}),
        st.builds(lambda one, other: {"allOf": [having("a", one), having("b", other)]}, inner, inner),
        inner.map(lambda one: {"allOf": [one, {"description": "the same"}]}),
    )


def having(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


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
    *("type", "enum", "const", "default", "examples", "$ref", "anyOf", "oneOf", "allOf"),
    *("properties", "required", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
]


@given(
    st.recursive(
        json_values | st.sampled_from(["string", "object", "array", "integer", "#"]),
        lambda inner: st.dictionaries(st.sampled_from(KEYWORDS), inner | st.lists(inner, max_size=3), max_size=4),
        max_leaves=12,
    )
)
@settings(max_examples=500, deadline=None)
def test_no_input_raises_or_gives_something_that_is_not_json(schema: object) -> None:
    json.dumps(example(schema), allow_nan=False)
