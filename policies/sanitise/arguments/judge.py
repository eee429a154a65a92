"""Judges the arguments of a tool call, each by what its field is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.sanitise.arguments.addresses import judge_address
from policies.sanitise.arguments.commands import (
    judge_command,
    judge_injection,
    judge_shell_argument,
    judge_sql,
    judge_sql_value,
)
from policies.sanitise.arguments.kinds import FieldKind, infer_kind
from policies.sanitise.arguments.paths import is_pathlike, judge_path

_LONGEST: Final[dict[FieldKind, int]] = {"path": 4_096, "url": 8_192}
"""Characters; Linux takes no longer path (PATH_MAX), and servers no longer address."""

_LOOKED_AT: Final = 8_192
"""Characters at the head and at the tail of a longer command or statement."""

_LONGEST_COMMAND: Final = 4_096
"""A value of unknown use that is longer is a document, and no injection into a command."""

_BY_VALUE: Final[dict[FieldKind, Callable[[str], str | None]]] = {
    "url": judge_address,
    "shell": judge_command,
    "shell_argument": judge_shell_argument,
    "sql": judge_sql,
}


class Objection(msgspec.Struct, frozen=True):
    """Why an argument must not be handed to the tool. It does not hold the value.

    Attributes:
        name: of the argument, with the names around it: `options.path`, `files[2]`.
        kind: what the field was taken for.
        rule: what it breaks.
    """

    name: str
    kind: FieldKind
    rule: str


def judge_argument(
    name: str | None,
    value: str,
    kind: FieldKind | None = None,
    roots: Sequence[str] = (),
    schema: Mapping[str, Any] | None = None,
) -> Objection | None:
    """Return why a value must not be handed to a tool, None if it may.

    Args:
        name: of the field; None where nothing but the value is known.
        kind: what the field is for, where the policy says so; else it is inferred.
        roots: folders that paths may lead into.
        schema: of the field.
    """
    chosen = kind or infer_kind(name, schema)
    if len(value) > _LONGEST.get(chosen, len(value)):
        return Objection(name or "", chosen, "too_long")
    looked_at = value if len(value) <= 2 * _LOOKED_AT else value[:_LOOKED_AT] + "\n" + value[-_LOOKED_AT:]
    rule = _rule(chosen, looked_at, roots)
    return None if rule is None else Objection(name or "", chosen, rule)


def judge_arguments(
    arguments: Mapping[str, Any], roots: Sequence[str] = (), schema: Mapping[str, Any] | None = None
) -> list[Objection]:
    """Return what is wrong with a call's arguments, at any depth.

    Args:
        arguments: as decoded from JSON; nesting is bounded by the decoder.
        schema: of the tool's parameters, a JSON Schema.
    """
    found: list[Objection] = []
    _walk("", arguments, schema or {}, roots, found)
    return found


def _walk(name: str, value: Any, schema: Mapping[str, Any], roots: Sequence[str], found: list[Objection]) -> None:
    if isinstance(value, str):
        field = name.rpartition(".")[2].partition("[")[0]
        objection = judge_argument(field, value, None, roots, schema)
        if objection is not None:
            found.append(Objection(name, objection.kind, objection.rule))
    elif isinstance(value, Mapping):
        properties = schema.get("properties") or {}
        for key, inner in value.items():
            _walk(f"{name}.{key}" if name else str(key), inner, properties.get(key) or {}, roots, found)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _walk(f"{name}[{position}]", inner, schema.get("items") or {}, roots, found)


def _rule(kind: FieldKind, value: str, roots: Sequence[str]) -> str | None:
    if kind == "path":
        return judge_path(value, roots)
    if kind == "text":
        return _text(value, roots)
    if kind == "unknown":
        return _unknown(value, roots)
    return _BY_VALUE[kind](value)


def _text(value: str, roots: Sequence[str]) -> str | None:
    """Judge what is meant to be read; only a lone path to a sensitive place has no business there."""
    is_lone_path = "/" in value and " " not in value and is_pathlike(value)
    return judge_path(value, roots, must_stay=False) if is_lone_path else None


def _unknown(value: str, roots: Sequence[str]) -> str | None:
    if len(value) > _LONGEST_COMMAND:
        return None
    rule = judge_address(value)
    if rule is None and is_pathlike(value):
        rule = judge_path(value, roots)
    return rule or judge_injection(value) or judge_sql_value(value)
