from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.sanitise.describing import cautions, differences, faults, rules_of
from policies.sanitise.plan import GuardPlan, plan_for
from policies.sanitise.settings import GuardSettings

CANARY = "cnry2345678"


def said(**settings: Any) -> GuardSettings:
    return msgspec.convert(settings, GuardSettings)


def plan(*levels: GuardSettings) -> GuardPlan:
    return plan_for(levels)


def test_each_rule_names_who_says_it() -> None:
    top, team = said(input={"pii": "flag", "secrets": "redact"}), said(input={"pii": "redact"}, limits={"images": 2})

    found = list(rules_of(plan(top, team), [("organisation", top), ("team", team)], "default"))

    assert ("input.pii", "redact", "team") in found
    assert ("input.secrets", "redact", "organisation") in found
    assert ("tool_results.secrets", "redact", "organisation") in found
    assert ("limits.images", "2", "team") in found
    assert not any(name in ("input.unicode", "limits.messages", "restore") for name, _, _ in found)


def test_a_guard_that_looks_for_nothing_has_no_rules() -> None:
    assert list(rules_of(plan(said()), [("organisation", said())], "default")) == []


def test_what_is_looked_for_is_counted_and_not_shown() -> None:
    top = said(canaries=[CANARY], patterns={"ticket": "TKT-[0-9]+"}, restore=False)

    found = dict((name, value) for name, value, _ in rules_of(plan(top), [("organisation", top)], "default"))  # noqa: C402

    assert found["canaries"] == "1"
    assert found["patterns"] == "ticket"
    assert found["restore"] == "no"
    assert CANARY not in str(found)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {"input": {"injection": "flag"}}, ("guard.input.injection: ignore -> flag", True)),
        ({"tool_arguments": "block"}, {"tool_arguments": "flag"}, ("guard.tool_arguments: block -> flag", False)),
        ({}, {"limits": {"tokens": 5}}, ("guard.limits.tokens: no bound -> 5", True)),
        ({"limits": {"images": 5}}, {}, ("guard.limits.images: 5 -> 20", False)),
        ({}, {"allow": {"pii": ["x"]}}, ("guard: patterns, canaries, tools or allow-lists changed", False)),
    ],
)
def test_two_plans_differ_in_words(before: dict[str, Any], after: dict[str, Any], found: tuple[str, bool]) -> None:
    assert found in list(differences(plan(said(**before)), plan(said(**after))))


def test_equal_plans_do_not_differ() -> None:
    assert list(differences(plan(said(input={"pii": "flag"})), plan(said(), said(input={"pii": "flag"})))) == []


def test_a_pattern_that_cannot_be_used_is_a_fault_that_names_it() -> None:
    found = list(faults("guard", said(patterns={"good": "x+", "bad": "("})))

    assert len(found) == 1
    assert found[0].startswith("guard.patterns.bad: ")


def test_a_milder_action_below_a_stricter_one_has_no_effect() -> None:
    top, team = said(input={"pii": "block"}), said(input={"pii": "flag", "secrets": "flag"})

    assert list(cautions("organisation.teams.x.guard", team, plan(top, team))) == [
        "organisation.teams.x.guard.input.pii: 'flag' has no effect, as 'block' of a higher level holds too"
    ]


def test_what_nothing_can_stand_for_cannot_be_redacted() -> None:
    own = said(input={"injection": "redact", "pii": "redact"})

    assert [text.partition(":")[0] for text in cautions("guard", own, plan(own))] == ["guard.input.injection"]
