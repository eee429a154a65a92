from __future__ import annotations

from typing import Any

import pytest

from gateway.outputs.compiled import MAX_SCHEMA_BYTES, CompiledSchema, Unchecked
from gateway.outputs.schemas import Schemas, compile_schema


def schema(number: int, **more: Any) -> dict[str, Any]:
    return {"title": str(number), "type": "object", **more}


def test_the_same_schema_is_compiled_once() -> None:
    schemas = Schemas()

    assert schemas.compiled(schema(1)) is schemas.compiled(schema(1))
    assert schemas.compiled(schema(1)) is not schemas.compiled(schema(2))


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (None, "schema_invalid"),
        ({"type": "text"}, "schema_invalid"),
        ({"x": object()}, "schema_invalid"),
        ({"$ref": "http://127.0.0.1/x"}, "reference"),
        ({"allOf": [{"$ref": "#"}]}, "cycle"),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "schema_too_large"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(refused: Any, why: str) -> None:
    assert Schemas().compiled(refused) == Unchecked(why)  # type: ignore[arg-type]  # one of the literals


def test_a_schema_nested_without_end_is_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"items": deep}

    assert isinstance(Schemas().compiled(deep), Unchecked)


def test_that_a_schema_is_refused_is_kept_too() -> None:
    schemas = Schemas()

    assert schemas.compiled({"type": "text"}) is schemas.compiled({"type": "text"})


def test_the_least_recently_used_schema_is_dropped() -> None:
    schemas = Schemas(max_kept=2)
    first, second = schemas.compiled(schema(1)), schemas.compiled(schema(2))
    schemas.compiled(schema(1))
    schemas.compiled(schema(3))

    assert len(schemas) == 2
    assert schemas.compiled(schema(1)) is first
    assert schemas.compiled(schema(2)) is not second


def test_the_text_of_kept_schemas_has_a_bound() -> None:
    schemas = Schemas(max_kept_bytes=1000)
    for number in range(20):
        schemas.compiled(schema(number, description="x" * 200))

    assert len(schemas) == 4


def test_a_schema_of_the_settings_is_compiled() -> None:
    assert isinstance(compile_schema(schema(1)), CompiledSchema)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"type": "text"}, "anyOf"),
        ({"$ref": "http://127.0.0.1/x"}, "own parts only"),
        ({"not": {"$ref": "#"}}, "back to itself"),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "over"),
        ({"x": object()}, "cannot be written"),
    ],
)
def test_a_schema_of_the_settings_that_cannot_be_used_is_a_value_error(refused: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_schema(refused)
