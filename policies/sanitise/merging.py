"""Resolves the words of several levels on the guard: of two the stricter holds, unless the higher grants otherwise."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import msgspec

from policies.sanitise.settings import (
    STRICTNESS,
    Action,
    AllowLists,
    GuardSettings,
    InputActions,
    OutputActions,
    PromptLimits,
    ResultActions,
    ToolArguments,
    ToolRules,
)

_LIMITS: Final = {"characters": 400_000, "messages": 500, "images": 20}
"""Where no level speaks."""

_TRUSTED: Final = ("system", "developer")
_NO_RULES: Final = ToolRules()

Words = Callable[[Callable[[GuardSettings], Any]], list[Any]]
"""Returns what levels say of something and what holds of it, the highest first."""


class ResolvedTool(msgspec.Struct, frozen=True):
    """Action, roots and hosts of one tool, or of all; None for no bound."""

    action: Action
    roots: tuple[str, ...] | None
    hosts: tuple[str, ...] | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What all levels together say, every gap filled. Its JSON is what a policy's id is a hash of."""

    input: dict[str, Action]
    results: dict[str, Action]
    output: dict[str, Action]
    tools: ResolvedTool
    tools_allowed: tuple[tuple[str, ...], ...]
    tool_rules: dict[str, ResolvedTool]
    restore: bool
    trusted: tuple[str, ...]
    limits: dict[str, int | None]
    patterns: dict[str, str]
    canaries: tuple[str, ...]
    allow: dict[str, tuple[str, ...]]


def resolve_levels(levels: Sequence[GuardSettings], grants: Sequence[bool]) -> Resolved:
    """Resolve what several levels say.

    Args:
        levels: the highest first.
        grants: for each but the last, whether the next one's word may replace its own.
    """

    def words(pick: Callable[[GuardSettings], Any]) -> list[Any]:
        said = [pick(level) for level in levels]
        return [
            word
            for at, word in enumerate(said)
            if word is not None and not (at < len(grants) and grants[at] and said[at + 1] is not None)
        ]

    patterns = _patterns(levels)
    custom: Action = "flag" if patterns else "ignore"
    given = _actions(words, "input", InputActions, {"custom": custom}, can_match=bool(patterns))
    canaries = tuple(dict.fromkeys(word for level in levels for word in level.canaries))
    output = _actions(words, "output", OutputActions, {"canary": "block"}, can_match=bool(patterns))
    tools = sorted({name for level in levels for name in _tools(level).rules})
    return Resolved(
        input=given,
        results=_actions(words, "tool_results", ResultActions, given, can_match=bool(patterns)),
        output=output if canaries else output | {"canary": "ignore"},
        tools=_tool(words, None),
        tools_allowed=tuple(words(lambda level: _tools(level).allowed)),
        tool_rules={name: _tool(words, name) for name in tools},
        restore=all(words(lambda level: level.restore)),
        trusted=tuple(role for role in _TRUSTED if all(role in word for word in words(lambda one: one.trusted_roles))),
        limits={name: _limit(words, name) for name in PromptLimits.__struct_fields__},
        patterns=patterns,
        canaries=canaries,
        allow={name: found for name in AllowLists.__struct_fields__ if (found := _allowed(levels, grants, name))},
    )


def _actions(
    words: Words, direction: str, struct: type[msgspec.Struct], unsaid: dict[str, Action], *, can_match: bool
) -> dict[str, Action]:
    found: dict[str, Action] = {}
    for name in struct.__struct_fields__:
        held = words(lambda level, name=name: getattr(getattr(level, direction), name))  # type: ignore[misc]
        found[name] = _strictest(held) or unsaid.get(name, "ignore")
    return found if can_match else found | {"custom": "ignore"}


def _strictest(held: Sequence[Action]) -> Action | None:
    return max(held, key=STRICTNESS.__getitem__, default=None)


def _limit(words: Words, name: str) -> int | None:
    return min(words(lambda level: getattr(level.limits, name)), default=_LIMITS.get(name))


def _allowed(levels: Sequence[GuardSettings], grants: Sequence[bool], name: str) -> tuple[str, ...]:
    """Return the entries of an allow-list: a level adds none that the one above lacks, unless that one grants it."""
    held: tuple[str, ...] = ()
    for depth, level in enumerate(levels):
        said = getattr(level.allow, name)
        if said is not None:
            may_loosen = depth == 0 or grants[depth - 1]
            held = said if may_loosen else tuple(word for word in said if word in held)
    return held


def _patterns(levels: Sequence[GuardSettings]) -> dict[str, str]:
    """Return the expressions of all levels; one whose name a higher level has for another gets a number."""
    found: dict[str, str] = {}
    for depth, level in enumerate(levels):
        for name, expression in level.patterns.items():
            is_known = found.get(name, expression) == expression
            found[name if is_known else f"{name}-{depth + 1}"] = expression
    return dict(sorted(found.items()))


def _tools(level: GuardSettings) -> ToolArguments:
    said = level.tool_arguments
    return said if isinstance(said, ToolArguments) else ToolArguments(action=said)


def _tool(words: Words, name: str | None) -> ResolvedTool:
    """Return what holds for one tool, or for all others: each level speaks of it, or of all."""

    def said(field: str) -> list[Any]:
        def pick(level: GuardSettings) -> Any:
            tools = _tools(level)
            own = getattr(tools.rules.get(name or "", _NO_RULES), field)
            return getattr(tools, field) if own is None else own

        return words(pick)

    return ResolvedTool(_strictest(said("action")) or "ignore", _folders(said("roots")), _hosts(said("hosts")))


def _folders(held: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the folders that lie within those of every level; None where no level names any."""
    return reduce(_within(_is_below), held) if held else None


def _hosts(held: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    return reduce(_within(is_host_of), held) if held else None


def _within(is_in: Callable[[str, str], bool]) -> Callable[[tuple[str, ...], tuple[str, ...]], tuple[str, ...]]:
    def common(above: tuple[str, ...], below: tuple[str, ...]) -> tuple[str, ...]:
        kept = [one for one in below if any(is_in(one, other) for other in above)]
        kept += [other for other in above if any(is_in(other, one) for one in below)]
        return tuple(dict.fromkeys(kept))

    return common


def _is_below(folder: str, other: str) -> bool:
    folder, other = posixpath.normpath(folder), posixpath.normpath(other)
    return folder == other or folder.startswith(other.rstrip("/") + "/")


def is_host_of(host: str, named: str) -> bool:
    """Tell whether a host is the one that is named, or below it where the name begins with a dot."""
    host, named = host.lower(), named.lower()
    return host == named or (named.startswith(".") and host.endswith(named))
