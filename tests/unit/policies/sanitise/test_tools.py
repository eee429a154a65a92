from __future__ import annotations

from typing import Any

import pytest

from policies.sanitise.plan import ToolRule
from policies.sanitise.tools import judge_call


def rules_of(arguments: dict[str, Any], **fields: Any) -> list[str]:
    rule = ToolRule(**{"action": "flag", "is_allowed": True, "roots": None, "hosts": None, **fields})
    return [one.rule for one in judge_call(rule, arguments)]


def test_ordinary_arguments_pass() -> None:
    assert rules_of({"city": "Graz", "path": "notes/today.md", "n": 3, "url": "https://example.org/x"}) == []


def test_a_tool_that_is_not_allowed_is_a_finding() -> None:
    assert rules_of({}, is_allowed=False) == ["tool_not_allowed"]


def test_arguments_are_judged_at_any_depth() -> None:
    assert rules_of({"options": [{"path": "../../etc/passwd"}]}) == ["traversal"]


def test_paths_stay_within_the_roots() -> None:
    assert rules_of({"path": "/srv/data/x"}, roots=("/srv/data",)) == []
    assert rules_of({"path": "/srv/other/x"}, roots=("/srv/data",)) == ["outside_roots"]


@pytest.mark.parametrize(
    ("address", "is_admitted"),
    [
        ("https://example.org/x", True),
        ("https://EXAMPLE.org.:443/x", True),
        ("https://api.example.net/x", True),
        ("https://example.net/x", False),
        ("https://example.org.evil.example/x", False),
        ("https://example.org@evil.example/x", False),
        ("https://evil.example\\@example.org/x", False),
        ("wss://evil.example/x", False),
        (" https://evil.example/x", False),
    ],
)
def test_addresses_stay_with_the_hosts(address: str, *, is_admitted: bool) -> None:
    found = rules_of({"target": [address]}, hosts=("Example.org", ".example.net"))

    assert ("host_not_allowed" not in found) is is_admitted


def test_an_address_within_a_text_is_not_what_the_tool_opens() -> None:
    assert rules_of({"text": "See https://evil.example/x for more."}, hosts=("example.org",)) == []
