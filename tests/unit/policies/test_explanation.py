from __future__ import annotations

from typing import Any

import msgspec

from policies.explanation import Explanation, explain
from policies.settings import LevelSettings, Limits, OrganisationSettings

KEY: dict[str, Any] = {"name": "ci", "secret": "sk-tw-0123456789abcdef"}


def organisation(**fields: Any) -> OrganisationSettings:
    return msgspec.convert(fields, OrganisationSettings, dec_hook=lambda kind, value: kind(value))


def explained(*, key: dict[str, Any] | None = None, team: dict[str, Any] | None = None, **top: Any) -> Explanation:
    settings = organisation(name="acme", **top, teams={"search": {**(team or {}), "keys": [{**KEY, **(key or {})}]}})
    return explain(settings, "search", "ci")


def rules(explanation: Explanation, name: str) -> list[tuple[str, str]]:
    return [(rule.value, rule.level) for rule in explanation.rules if rule.name == name]


def test_what_nobody_says_is_the_default() -> None:
    found = explained()

    assert rules(found, "models") == [("*", "default")]
    assert rules(found, "tiers") == [("simple, medium, complex", "default")]
    assert rules(found, "max_output_tokens") == [("the model's own", "default")]
    assert rules(found, "endpoints") == [("none", "organisation 'acme'")]
    assert rules(found, "users.required") == [("no", "default")]
    assert found.limits == found.user_limits == []


def test_every_level_that_narrows_the_models_is_named() -> None:
    found = explained(models=["gpt-*"], team={"models": ["*-nano"]})

    assert rules(found, "models") == [("gpt-*", "organisation 'acme'"), ("*-nano", "team 'search'")]


def test_the_levels_that_leave_tiers_out_are_named() -> None:
    found = explained(tiers=["simple", "medium"], key={"tiers": ["simple"]})

    assert rules(found, "tiers") == [("simple", "organisation 'acme' and key 'search/ci'")]


def test_the_level_with_the_shortest_answer_is_named() -> None:
    found = explained(max_output_tokens=100, team={"max_output_tokens": 50})

    assert rules(found, "max_output_tokens") == [("50", "team 'search'")]


def test_a_grant_is_followed() -> None:
    found = explained(grants=["max_output_tokens", "models"], max_output_tokens=100, models=["a"],
                      team={"max_output_tokens": 200, "models": ["b"]})  # fmt: skip

    assert rules(found, "max_output_tokens") == [("200", "team 'search'")]
    assert rules(found, "models") == [("b", "team 'search'")]


def test_limits_name_their_level() -> None:
    found = explained(limits={"requests_per_minute": 100}, key={"budgets": [{"usd": 5, "window": "day", "soft": 0.5}]})

    assert [(limit.limit, limit.level, limit.soft, limit.lost) for limit in found.limits] == [
        ("100 requests a minute", "organisation 'acme'", None, "share"),
        ("5.00 USD a day", "key 'search/ci'", 2_500_000, "deny"),
    ]


def test_limits_of_end_users_are_listed_apart() -> None:
    found = explained(team={"users": {"limits": {"requests_per_day": 7}, "required": True}})

    assert [(limit.limit, limit.level) for limit in found.user_limits] == [
        ("7 requests a day", "each end user of team 'search'")
    ]
    assert rules(found, "users.required") == [("yes", "team 'search'")]


def test_endpoints_are_those_that_every_level_admits() -> None:
    found = explained(endpoints=["*"], team={"endpoints": ["files", "images"]})

    assert rules(found, "endpoints") == [("files, images", "team 'search'")]


def test_a_key_that_stands_nowhere_follows_its_team() -> None:
    found = explain(organisation(limits={"concurrency": 3}), "search", "stored")

    assert not found.has_own_word
    assert [limit.limit for limit in found.limits] == ["3 requests at once"]


def test_rules_of_a_stored_key_are_its_own_word() -> None:
    found = explain(organisation(), "search", "stored", LevelSettings(limits=Limits(concurrency=3)))

    assert found.has_own_word
    assert [limit.level for limit in found.limits] == ["key 'search/stored'"]


def test_what_the_guard_does_is_explained() -> None:
    found = explained(guard={"input": {"pii": "flag"}}, team={"guard": {"input": {"pii": "redact"}}})

    assert rules(found, "guard.input.pii") == [("redact", "team 'search'")]
    assert rules(found, "guard.tool_results.pii") == [("redact", "team 'search'")]
    assert rules(found, "guard.input.secrets") == []


def test_a_guard_that_looks_for_nothing_is_not_explained() -> None:
    assert [rule.name for rule in explained().rules if rule.name.startswith("guard")] == []
