"""Says what a plan of the guard amounts to, from whom each part of it comes, and how two plans differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from policies.sanitise.plan import AnswerActions, GuardPlan, SizeLimits, TextActions, plan_for
from policies.sanitise.settings import STRICTNESS, Action, GuardSettings, ToolArguments

Said = tuple[str, GuardSettings]
"""A level, as people call it, and its word."""

_USUAL: Final = SizeLimits()
_IMPOSSIBLE: Final = {"injection", "leak", "canary"}
"""Detectors whose findings no placeholder can stand for."""


def actions_of(plan: GuardPlan) -> dict[str, Action]:
    """Return what is done about findings, by the names of the settings: `input.pii`, `tool_arguments`, ..."""
    found: dict[str, Action] = {}
    for direction, actions, kind in (
        ("input", plan.input, TextActions),
        ("tool_results", plan.results, TextActions),
        ("output", plan.output, AnswerActions),
    ):
        found |= {f"{direction}.{name}": actions.of(name) for name in kind.__struct_fields__}
    found["tool_arguments"] = plan.tools.action
    return found


def limits_of(plan: GuardPlan) -> dict[str, int | None]:
    """Return how large a prompt may be, by the names of the settings."""
    return {f"limits.{name}": cap for name, cap in msgspec.structs.asdict(plan.limits).items()}


def rules_of(plan: GuardPlan, levels: Sequence[Said], default: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and speaker of each rule that is not the usual one, without anything that is looked for.

    Args:
        levels: those the plan was made of.
        default: who speaks where no level does.
    """
    for name, action in actions_of(plan).items():
        if action != "ignore":
            yield name, action, _speaker(levels, name, action) or default
    usual: dict[str, Any] = msgspec.structs.asdict(_USUAL)
    for name, cap in limits_of(plan).items():
        if cap != usual[name.removeprefix("limits.")]:
            yield name, f"{cap}", _speaker(levels, name, cap) or default
    if plan.canaries:
        yield "canaries", f"{len(plan.canaries)}", _speakers(levels, "canaries")
    if plan.custom is not None:
        names = sorted({name for _, level in levels for name in level.patterns})
        yield "patterns", ", ".join(names), _speakers(levels, "patterns")
    if not plan.restore:
        yield "restore", "no", _speaker(levels, "restore", wanted=False) or default
    if not plan.is_idle:
        yield "policy", plan.policy_id, " and ".join(label for label, _ in levels) or default


def differences(before: GuardPlan, after: GuardPlan) -> Iterator[tuple[str, bool]]:
    """Yield how two plans differ, and whether the later one is tighter there."""
    was, is_now = actions_of(before), actions_of(after)
    for name, action in is_now.items():
        if action != was[name]:
            yield f"guard.{name}: {was[name]} -> {action}", STRICTNESS[action] > STRICTNESS[was[name]]
    had, has = limits_of(before), limits_of(after)
    for name, cap in has.items():
        if cap != had[name]:
            is_tighter = cap is not None and (had[name] is None or cap < (had[name] or 0))
            yield f"guard.{name}: {_shown(had[name])} -> {_shown(cap)}", is_tighter
    if was == is_now and had == has and before.policy_id != after.policy_id:
        yield "guard: patterns, canaries, tools or allow-lists changed", False


def faults(path: str, settings: GuardSettings) -> Iterator[str]:
    """Yield what must not be served of one level's word, each with the path of its field."""
    for name, expression in settings.patterns.items():
        try:
            plan_for([GuardSettings(patterns={name: expression})])
        except ValueError as error:
            yield f"{path}.patterns.{error}"


def cautions(path: str, settings: GuardSettings, held: GuardPlan) -> Iterator[str]:
    """Yield what is served of one level's word but has no effect, each with the path of its field.

    Args:
        held: what holds for the level with all those above it.
    """
    for name, action in _stated(settings):
        holds = actions_of(held).get(name, action)
        if STRICTNESS[action] < STRICTNESS[holds]:
            yield f"{path}.{name}: '{action}' has no effect, as '{holds}' of a higher level holds too"
        if action == "redact" and name.rpartition(".")[2] in _IMPOSSIBLE:
            yield f"{path}.{name}: nothing can stand in place of such a finding: it is only flagged"


def _stated(settings: GuardSettings) -> Iterator[tuple[str, Action]]:
    for direction in ("input", "tool_results", "output"):
        for name, action in msgspec.structs.asdict(getattr(settings, direction)).items():
            if action is not None:
                yield f"{direction}.{name}", action
    tools = settings.tool_arguments
    action = tools.action if isinstance(tools, ToolArguments) else tools
    if action is not None:
        yield "tool_arguments", action


def _speaker(levels: Sequence[Said], name: str, wanted: object) -> str:
    """Return who says something; of a result's action that nobody states, who says it of the input."""
    found = [label for label, level in levels if _word(level, name) == wanted]
    if not found and name.startswith("tool_results."):
        return _speaker(levels, name.replace("tool_results.", "input."), wanted)
    return " and ".join(found)


def _word(level: GuardSettings, name: str) -> object:
    if name == "tool_arguments":
        return next((action for stated, action in _stated(level) if stated == name), None)
    value: object = level
    for step in name.split("."):
        value = getattr(value, step)
    return value


def _speakers(levels: Sequence[Said], field: str) -> str:
    return " and ".join(label for label, level in levels if getattr(level, field))


def _shown(cap: int | None) -> str:
    return "no bound" if cap is None else f"{cap:,}"
