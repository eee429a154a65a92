from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.review import cautions, faults
from policies.settings import OrganisationSettings

SECRET = "sk-tw-0123456789abcdef"
KEY: dict[str, Any] = {"name": "ci", "secret": SECRET}


def organisation(**fields: Any) -> OrganisationSettings:
    return msgspec.convert(fields, OrganisationSettings, dec_hook=lambda kind, value: kind(value))


def one_team(
    *, key: dict[str, Any] | None = None, team: dict[str, Any] | None = None, **top: Any
) -> OrganisationSettings:
    return organisation(**top, teams={"search": {**(team or {}), "keys": [{**KEY, **(key or {})}]}})


def test_an_organisation_that_says_nothing_has_no_faults() -> None:
    assert list(faults(OrganisationSettings())) == []
    assert list(cautions(OrganisationSettings())) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (organisation(budgets=[{"usd": 1, "window": "fortnight"}]), "organisation.budgets[0].window: 'fortnight'"),
        (one_team(team={"budgets": [{"usd": 1, "zone": "Mars/Base"}]}),
         "organisation.teams.search.budgets[0].zone: 'Mars/Base'"),
        (one_team(key={"budgets": [{"usd": 1, "window": "rolling 0s"}]}),
         "organisation.teams.search.keys[0].budgets[0].window: 'rolling 0s'"),
        (one_team(team={"users": {"budgets": [{"usd": 1, "window": "x"}]}}),
         "organisation.teams.search.users.budgets[0].window: 'x'"),
        (organisation(budgets=[{"usd": 1, "window": "day"}, {"usd": 2, "window": "Day"}]),
         "organisation.budgets[1].window: 'Day' is the window of organisation.budgets[0] already"),
        (organisation(budgets=[{"usd": 1, "window": "rolling 1h"}, {"usd": 2, "window": "rolling 60m"}]),
         "organisation.budgets[1].window: "),
        (organisation(user_header="x user"), "organisation.user_header: 'x user' is not the name of a header"),
        (organisation(user_header=""), "organisation.user_header: "),
        (organisation(tiers=[]), "organisation.tiers: at least one"),
        (one_team(key={"tiers": []}), "organisation.teams.search.keys[0].tiers: at least one"),
        (one_team(examples=[{"key": "ci", "expect": {}}]), "organisation.examples[0].key: 'ci' is not of the form"),
        (one_team(examples=[{"key": "search/", "expect": {}}]), "organisation.examples[0].key: 'search/' is not of"),
        (one_team(examples=[{"key": "ops/ci", "expect": {}}]), "organisation.examples[0].key: no team is called 'ops'"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_path(settings: OrganisationSettings, expected: str) -> None:
    found = list(faults(settings))

    assert len(found) == 1
    assert found[0].startswith(expected)


def test_budgets_of_one_period_in_two_zones_may_stand_beside_each_other() -> None:
    settings = organisation(budgets=[{"usd": 1, "window": "day"}, {"usd": 1, "window": "day", "zone": "Asia/Tokyo"}])

    assert list(faults(settings)) == []


def test_an_example_may_name_a_key_that_does_not_stand_in_the_file() -> None:
    assert list(faults(one_team(examples=[{"key": "search/unknown", "expect": {}}]))) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (one_team(limits={"requests_per_minute": 10}, key={"limits": {"requests_per_minute": 20}}),
         ("organisation.teams.search.keys[0].limits.requests_per_minute: 20 can never be reached, as 10 of the "
         "organisation holds too")),
        (one_team(team={"limits": {"concurrency": 10}}, key={"limits": {"concurrency": 11}}),
         ("organisation.teams.search.keys[0].limits.concurrency: 11 can never be reached, as 10 of team 'search' "
         "holds too")),
        (one_team(budgets=[{"usd": 5, "window": "day"}], team={"budgets": [{"usd": 7.5, "window": "day"}]}),
         "organisation.teams.search.budgets[0].usd: 7.5 can never be reached, as 5 of the organisation holds too"),
        (organisation(limits={"requests_per_day": 5}, users={"limits": {"requests_per_day": 6}}),
         "organisation.users.limits.requests_per_day: 6 can never be reached, as 5 of the organisation holds too"),
        (one_team(max_output_tokens=100, key={"max_output_tokens": 200}),
         ("organisation.teams.search.keys[0].max_output_tokens: 200 can never be reached, as 100 of the organisation "
         "holds too")),
        (one_team(tiers=["simple", "medium"], team={"tiers": ["medium", "complex"]}),
         "organisation.teams.search.tiers: 'complex' is no tier of the organisation, which holds too"),
    ],
)  # fmt: skip
def test_what_a_higher_level_keeps_from_ever_being_reached_is_told(
    settings: OrganisationSettings, expected: str
) -> None:
    assert list(cautions(settings)) == [expected]


def test_tiers_of_which_none_is_left_are_told() -> None:
    found = list(cautions(one_team(tiers=["simple"], key={"tiers": ["complex"]})))

    assert found[-1] == "organisation.teams.search.keys[0].tiers: no tier is left that the levels above allow too"


@pytest.mark.parametrize(
    "settings",
    [
        one_team(grants=["max_output_tokens"], max_output_tokens=100, team={"max_output_tokens": 200}),
        one_team(team={"grants": ["tiers"], "tiers": ["simple"]}, key={"tiers": ["complex"]}),
        one_team(limits={"requests_per_minute": 10}, key={"limits": {"requests_per_minute": 10}}),
        one_team(limits={"requests_per_minute": 10}, key={"limits": {"requests_per_day": 20}}),
        one_team(budgets=[{"usd": 5, "window": "day"}], team={"budgets": [{"usd": 50, "window": "month"}]}),
        one_team(tiers=["simple"]),
    ],
)
def test_what_is_granted_narrower_or_counted_otherwise_is_not_told(settings: OrganisationSettings) -> None:
    assert list(cautions(settings)) == []


def test_a_grant_to_a_team_does_not_reach_its_keys() -> None:
    settings = one_team(
        grants=["max_output_tokens"],
        max_output_tokens=100,
        team={"max_output_tokens": 200},
        key={"max_output_tokens": 300},
    )

    assert list(cautions(settings)) == [
        (
            "organisation.teams.search.keys[0].max_output_tokens: 300 can never be reached, as 200 of team 'search' "
            "holds too"
        )
    ]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (organisation(guard={"patterns": {"x": "("}}), "guard.patterns.x: "),
        (one_team(team={"guard": {"patterns": {"x": "("}}}), "organisation.teams.search.guard.patterns.x: "),
        (one_team(key={"guard": {"patterns": {"x": "("}}}), "organisation.teams.search.keys[0].guard.patterns.x: "),
    ],
)
def test_a_pattern_of_the_guard_that_cannot_be_used_is_a_fault(settings: OrganisationSettings, path: str) -> None:
    assert [fault[: len(path)] for fault in faults(settings)] == [path]


def test_a_milder_action_of_the_guard_below_a_stricter_one_is_told() -> None:
    settings = one_team(guard={"input": {"pii": "block"}}, key={"guard": {"input": {"pii": "flag"}}})

    path = "organisation.teams.search.keys[0].guard.input.pii"
    assert list(cautions(settings)) == [f"{path}: 'flag' has no effect, as 'block' of a higher level holds too"]


def test_a_granted_milder_action_of_the_guard_is_not_told() -> None:
    settings = one_team(guard={"input": {"pii": "block"}}, team={"guard": {"input": {"pii": "flag"}}}, grants=["guard"])

    assert list(cautions(settings)) == []
