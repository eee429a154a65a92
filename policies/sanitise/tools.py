"""Judges one call of a tool by what a policy says of the tool: whether it may be called, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from policies.sanitise.arguments.judge import Objection, judge_arguments
from policies.sanitise.plan import ToolRule

_ADDRESS: Final = re.compile(r"\s*(?:https?|wss?|ftps?|sftp)://", re.IGNORECASE)
"""How a value begins that is an address by itself; one within a text is not what a tool opens."""


def judge_call(
    rule: ToolRule, arguments: Mapping[str, Any], schema: Mapping[str, Any] | None = None
) -> list[Objection]:
    """Return what is wrong with a call.

    Args:
        rule: what holds for the tool.
        arguments: as decoded from JSON; nesting is bounded by the decoder.
        schema: of the tool's parameters.
    """
    found = [] if rule.is_allowed else [Objection("", "unknown", "tool_not_allowed")]
    found += judge_arguments(arguments, rule.roots or (), schema)
    if rule.hosts is not None:
        found += [
            Objection(name, "url", "host_not_allowed")
            for name, value in _strings("", arguments)
            if _ADDRESS.match(value) and not _is_admitted(_host(value), rule.hosts)
        ]
    return found


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _strings(f"{name}[{position}]", inner)


def _host(address: str) -> str:
    """Return the host of an address, empty where there is none that all readers agree on."""
    plain = address.strip()
    if "\\" in plain or any(character.isspace() for character in plain):
        return ""
    try:
        return (urlsplit(plain).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_admitted(host: str, hosts: Sequence[str]) -> bool:
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in map(str.lower, hosts))
