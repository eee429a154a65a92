from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.sanitise.merging import Resolved, is_host_of, resolve_levels
from policies.sanitise.settings import ACTIONS, STRICTNESS, Action, GuardSettings

NEITHER = (False, False)


def resolved(*levels: dict[str, Any], grants: tuple[bool, ...] | None = None) -> Resolved:
    words = [msgspec.convert(level, GuardSettings) for level in levels]
    return resolve_levels(words, grants or (False,) * (len(levels) - 1))


@pytest.mark.parametrize("above", ACTIONS)
@pytest.mark.parametrize("below", ACTIONS)
def test_of_two_actions_the_stricter_holds(above: Action, below: Action) -> None:
    found = resolved({"input": {"pii": above}}, {"input": {"pii": below}})

    assert found.input["pii"] == max(above, below, key=lambda action: STRICTNESS[action])


def test_a_silent_level_leaves_what_stands_above_it() -> None:
    found = resolved({"input": {"pii": "redact"}, "tool_arguments": "flag", "restore": False}, {}, {})

    assert found.input["pii"] == "redact"
    assert found.tools.action == "flag"
    assert not found.restore


def test_a_level_may_be_granted_to_loosen() -> None:
    found = resolved({"input": {"pii": "block"}}, {"input": {"pii": "flag"}}, {}, grants=(True, False))

    assert found.input["pii"] == "flag"


def test_a_grant_is_not_handed_on() -> None:
    levels = ({"input": {"pii": "block"}}, {"input": {"pii": "flag"}}, {"input": {"pii": "ignore"}})

    assert resolved(*levels, grants=(True, False)).input["pii"] == "flag"
    assert resolved(*levels, grants=(False, True)).input["pii"] == "block"


def test_of_two_limits_the_smaller_holds() -> None:
    found = resolved(
        {"limits": {"characters": 10, "tokens": 5}}, {"limits": {"characters": 20, "tokens": 3, "messages": 1}}
    )

    assert found.limits == {
        "characters": 10, "tokens": 3, "messages": 1, "images": 20, "attachments": None, "depth": None,
    }  # fmt: skip


def test_canaries_of_all_levels_are_looked_for() -> None:
    found = resolved({"canaries": ["cnry1111", "cnry2222"]}, {"canaries": ["cnry2222", "cnry3333"]})

    assert found.canaries == ("cnry1111", "cnry2222", "cnry3333")
    assert found.output["canary"] == "block"


def test_patterns_of_all_levels_are_looked_for_even_where_names_clash() -> None:
    found = resolved({"patterns": {"a": "x", "b": "y"}}, {"patterns": {"a": "z", "b": "y"}})

    assert found.patterns == {"a": "x", "a-2": "z", "b": "y"}
    assert found.input["custom"] == "flag"


def test_without_patterns_none_are_looked_for() -> None:
    assert resolved({"input": {"custom": "block"}}).input["custom"] == "ignore"


@pytest.mark.parametrize(
    ("above", "below", "left"),
    [
        (["/srv"], ["/srv/a", "/etc"], ("/srv/a",)),
        (["/srv/a"], ["/srv"], ("/srv/a",)),
        (["/srv"], ["/srvx"], ()),
        (["/srv/"], ["/srv"], ("/srv", "/srv/")),
        (["/"], ["/etc"], ("/etc",)),
    ],
)
def test_folders_of_a_tool_only_shrink(above: list[str], below: list[str], left: tuple[str, ...]) -> None:
    found = resolved({"tool_arguments": {"roots": above}}, {"tool_arguments": {"roots": below}})

    assert found.tools.roots == left


def test_hosts_of_a_tool_only_shrink() -> None:
    above, below = {"hosts": [".example.org", "one.test"]}, {"hosts": ["api.example.org", "two.test"]}

    assert resolved({"tool_arguments": above}, {"tool_arguments": below}).tools.hosts == ("api.example.org",)


def test_each_level_speaks_of_a_tool_or_of_all() -> None:
    above = {"action": "flag", "roots": ["/srv"], "rules": {"sh": {"action": "redact", "roots": ["/srv/sh"]}}}
    below = {"action": "block"}

    found = resolved({"tool_arguments": above}, {"tool_arguments": below})

    assert (found.tools.action, found.tools.roots) == ("block", ("/srv",))
    assert (found.tool_rules["sh"].action, found.tool_rules["sh"].roots) == ("block", ("/srv/sh",))


def test_a_tool_must_be_allowed_on_every_level() -> None:
    found = resolved({"tool_arguments": {"allowed": ["read_*"]}}, {"tool_arguments": {"allowed": ["*_file"]}})

    assert found.tools_allowed == (("read_*",), ("*_file",))


def test_a_lower_level_cannot_allow_more() -> None:
    found = resolved({"allow": {"pii": ["a", "b"]}}, {"allow": {"pii": ["b", "c"], "secrets": ["x"]}})

    assert found.allow == {"pii": ("b",)}


def test_a_granted_level_has_an_allow_list_of_its_own() -> None:
    found = resolved({"allow": {"pii": ["a"]}}, {"allow": {"pii": ["c"]}}, grants=(True,))

    assert found.allow == {"pii": ("c",)}


def test_a_lower_level_trusts_no_more_roles() -> None:
    found = resolved({"trusted_roles": ["system"]}, {"trusted_roles": ["system", "developer"]})

    assert found.trusted == ("system",)


@pytest.mark.parametrize(
    ("host", "named", "is_one"),
    [
        ("a.test", "a.test", True),
        ("A.test", "a.TEST", True),
        ("b.a.test", ".a.test", True),
        ("a.test", ".a.test", False),
        ("xa.test", "a.test", False),
    ],
)
def test_a_host_is_named_by_itself_or_by_what_is_above_it(host: str, named: str, *, is_one: bool) -> None:
    assert is_host_of(host, named) is is_one
