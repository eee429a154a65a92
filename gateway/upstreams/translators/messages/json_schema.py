"""JSON Schemas of answers, as the Messages API takes them."""

from __future__ import annotations

from typing import Any, Final

_OF_NAMED: Final = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Keywords whose values are objects of schemas."""

_OF_MANY: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
"""Keywords whose values are arrays of schemas."""

_OF_ONE: Final = ("items", "not", "if", "then", "else", "contains", "additionalProperties")
"""Keywords whose values are schemas."""


def closed(schema: Any) -> Any:
    """Return a schema in which every object admits no other members than it names, unless it says so itself.

    The Messages API refuses `output_config.format` without that, where OpenAI asks for it in strict schemas only
    (docs.claude.com, "Structured outputs", 2026-11). What is no schema is returned as it is.
    """
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for name in _OF_NAMED:
        if isinstance(made.get(name), dict):
            made[name] = {key: closed(below) for key, below in made[name].items()}
    for name in _OF_MANY:
        if isinstance(made.get(name), list):
            made[name] = [closed(below) for below in made[name]]
    for name in _OF_ONE:
        if name in made:
            made[name] = closed(made[name])
    if made.get("type") == "object" or "properties" in made:
        made.setdefault("additionalProperties", False)
    return made
