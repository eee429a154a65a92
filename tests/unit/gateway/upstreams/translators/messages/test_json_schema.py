from __future__ import annotations

from typing import Any

import pytest

from gateway.upstreams.translators.messages.json_schema import closed

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (OPEN, CLOSED),
        ({"properties": {}}, {"properties": {}, "additionalProperties": False}),
        ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
        ({"anyOf": [OPEN, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        ({"$defs": {"b": OPEN}, "$ref": "#/$defs/b"}, {"$defs": {"b": CLOSED}, "$ref": "#/$defs/b"}),
        ({"type": "object", "additionalProperties": OPEN}, {"type": "object", "additionalProperties": CLOSED}),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": True}),
        ({"type": "string"}, {"type": "string"}),
        (True, True),
    ],
)
def test_objects_that_say_nothing_of_other_members_admit_none(given: Any, expected: Any) -> None:
    assert closed(given) == expected


def test_a_member_called_properties_is_no_keyword() -> None:
    schema = {"type": "object", "properties": {"properties": {"type": "string"}}}

    assert closed(schema)["properties"] == {"properties": {"type": "string"}}


def test_the_callers_schema_is_left_as_it_is() -> None:
    given = {"type": "object", "properties": {"inner": {"type": "object"}}}

    closed(given)

    assert given == {"type": "object", "properties": {"inner": {"type": "object"}}}
