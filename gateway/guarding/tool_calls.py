"""Judges what an answer asks of tools: which one, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.outputs.compiled import Unchecked
from gateway.outputs.schemas import Schemas
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection, Verdict
from policies.sanitise.output.sighting import BlockedError
from policies.sanitise.plan import ToolRule
from policies.sanitise.tools import judge_call

MOST_CHARACTERS: Final = 1 << 20
"""Of the arguments of one call; longer ones are a finding."""


class CallJudge:
    """Judges the calls of one answer.

    Args:
        inspection: of the request; takes in what is found.
        schemas: where compiled schemas of tools are kept.
    """

    __slots__ = ("_inspection", "_schemas", "is_idle")

    def __init__(self, inspection: Inspection, schemas: Schemas) -> None:
        self._inspection, self._schemas = inspection, schemas
        self.is_idle = not inspection.plan.tools.is_on

    def judge(self, name: str, arguments: Any, place: str) -> None:
        """Judge a complete call.

        Args:
            name: of the tool.
            arguments: as JSON, or decoded.
            place: the call, as a path in the answer.

        Raises:
            BlockedError: it must not be made.
        """
        rule = self._inspection.plan.tools.of(name)
        if self.is_idle or rule.action == "ignore":
            return
        action = "flag" if rule.action == "redact" else rule.action  # there is nothing to put in a call's place
        rules = self._objections(name, rule, arguments)
        for broken in dict.fromkeys(rules):
            verdict = Verdict(
                detector="tools",
                rule=broken,
                action=action,
                direction="tool_arguments",
                count=rules.count(broken),
                place=place,
            )
            self._inspection.note(verdict)
        if rules and action == "block":
            raise BlockedError(Finding("tools", rules[0], 0, 0, 1.0))

    def _objections(self, name: str, rule: ToolRule, arguments: Any) -> list[str]:
        """Return the rules that a call breaks."""
        declared = self._inspection.tools
        found = [] if not declared or name in declared else ["tool_not_declared"]
        text = arguments if isinstance(arguments, str) else None
        if text is not None:
            if len(text) > MOST_CHARACTERS:
                return [*found, "too_long"]
            try:
                arguments = msgspec.json.decode(text) if text.strip() else {}
            except (msgspec.DecodeError, RecursionError):
                return [*found, "invalid_json"]
        if not isinstance(arguments, Mapping):
            return [*found, "invalid_json"]
        schema = declared.get(name)
        found += [one.rule for one in judge_call(rule, arguments, schema)]
        if schema and not self._fits(arguments, schema, text):
            found.append("schema")
        return found

    def _fits(self, arguments: Mapping[str, Any], schema: Mapping[str, Any], text: str | None) -> bool:
        """Tell whether arguments fit their schema; those that cannot be held against it do."""
        compiled = self._schemas.compiled(schema)
        if isinstance(compiled, Unchecked):
            return True
        written = msgspec.json.encode(arguments).decode() if text is None else text
        problems = compiled.problems(arguments, written)
        return isinstance(problems, Unchecked) or not problems
