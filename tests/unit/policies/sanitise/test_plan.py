from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.sanitise.personal.custom import InvalidPatternError
from policies.sanitise.plan import IDLE, GuardPlan, ToolPlan, ToolRule, kinds_of, plan_for
from policies.sanitise.settings import Action, GuardSettings


def said(**settings: Any) -> GuardSettings:
    return msgspec.convert(settings, GuardSettings)


def plan(*levels: dict[str, Any], grants: tuple[bool, ...] = ()) -> GuardPlan:
    return plan_for([said(**level) for level in levels], grants=grants)


def test_a_level_that_says_nothing_looks_for_nothing() -> None:
    found = plan({})

    assert found.is_idle
    assert [found.scans_input, found.scans_output, found.needs_scanner, found.needs_injection] == [False] * 4
    assert found.limits == IDLE.limits
    assert found.trusted == IDLE.trusted


@pytest.mark.parametrize(
    ("section", "flags"),
    [
        ({"input": {"pii": "flag"}}, {"scans_input", "needs_scanner"}),
        ({"input": {"pii": "monitor"}}, {"scans_input", "needs_scanner"}),
        ({"input": {"pii": "redact"}}, {"scans_input", "scans_output", "needs_scanner"}),
        ({"input": {"injection": "block"}}, {"scans_input", "needs_injection"}),
        ({"tool_results": {"injection": "flag"}}, {"scans_input", "needs_injection"}),
        ({"output": {"secrets": "flag"}}, {"scans_output", "needs_scanner"}),
        ({"output": {"leak": "flag"}}, {"scans_output"}),
        ({"tool_arguments": "flag"}, {"scans_output"}),
        ({"tool_arguments": {"rules": {"sh": {"action": "block"}}}}, {"scans_output"}),
        ({"canaries": ["cnry2345678"]}, {"scans_output"}),
        ({"output": {"canary": "block"}}, set()),
        ({"patterns": {"x": "x+"}}, {"scans_input"}),
        ({"input": {"custom": "flag"}}, set()),
        ({"input": {"pii": "ignore"}, "restore": True}, set()),
    ],
)
def test_a_plan_knows_what_it_needs(section: dict[str, Any], flags: set[str]) -> None:
    found = plan(section)

    names = ("scans_input", "scans_output", "needs_scanner", "needs_injection")
    assert {name for name in names if getattr(found, name)} == flags
    assert found.is_idle == flags.isdisjoint({"scans_input", "scans_output"})


def test_what_the_scanner_looks_for_is_called_its_way() -> None:
    assert kinds_of(plan({"input": {"pii": "flag", "injection": "flag"}}).input) == {"personal"}
    assert kinds_of(plan({"input": {"unicode": "flag", "secrets": "block"}}).input) == {"unicode", "secrets"}


def test_results_are_treated_as_the_input_where_nothing_else_is_said() -> None:
    found = plan({"input": {"pii": "redact", "injection": "flag"}, "tool_results": {"injection": "block"}})

    assert found.results.pii == "redact"
    assert found.results.injection == "block"
    assert found.input.injection == "flag"


def test_the_same_words_give_the_same_object() -> None:
    assert plan({"input": {"pii": "flag"}}, {}) is plan({"input": {"pii": "flag"}}, {})


def test_a_policy_has_the_same_id_where_it_says_the_same() -> None:
    one = plan({"input": {"pii": "flag"}})
    same = plan({}, {"input": {"pii": "flag"}})
    other = plan({"input": {"pii": "redact"}})

    assert one.policy_id == same.policy_id != other.policy_id
    assert one.policy_id.startswith("g")
    assert len(one.policy_id) == 11


def test_an_id_does_not_hide_what_only_lists_say() -> None:
    levels: list[dict[str, Any]] = [
        {},
        {"canaries": ["cnry2345678"]},
        {"allow": {"pii": ["x"]}},
        {"patterns": {"x": "x+"}},
        {"restore": False},
        {"trusted_roles": []},
        {"tool_arguments": {"roots": ["/srv"]}},
    ]

    assert len({plan(level).policy_id for level in levels}) == len(levels)


def test_a_pattern_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(InvalidPatternError, match="broken"):
        plan({"patterns": {"broken": "("}})


def test_an_allow_list_admits_values_and_rules() -> None:
    found = plan({"allow": {"pii": ["*@firm.org", "rule:phone"], "secrets": ["AKIA*EXAMPLE"]}})

    assert found.admits("personal", "email", "Ann@FIRM.org")
    assert found.admits("pii", "phone", "anything")
    assert not found.admits("personal", "email", "ann@firm.org.evil.example")
    assert not found.admits("secrets", "aws", "AKIAOTHER")
    assert not found.admits("injection", "override", "x")


def rule(action: Action, *, is_allowed: bool = True, **bounds: Any) -> ToolRule:
    return ToolRule(action, is_allowed, **{"roots": None, "hosts": None, **bounds})


def test_a_tool_without_a_rule_has_what_holds_for_all() -> None:
    shell = rule("block", hosts=())
    tools = ToolPlan(action="flag", allowed=(("read_*",),), roots=("/srv",), rules={"sh": shell})

    assert tools.of("read_file") == rule("flag", roots=("/srv",))
    assert tools.of("write_file") == rule("flag", is_allowed=False, roots=("/srv",))
    assert tools.of("sh") is shell


def test_links_have_hosts_that_they_may_name() -> None:
    assert plan({"allow": {"links": ["docs.example.org"]}}).hosts == ("docs.example.org",)
