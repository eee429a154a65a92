from __future__ import annotations

from typing import Any

import pytest

from gateway.planning.changes import Comparison
from gateway.planning.comparison import compare
from gateway.settings import Settings
from tests.support.policy import document_of, settings_of

EVERYBODY = ("*/*", "search/*", "search/ci")


async def planned(old: Settings, new: Settings) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return what changes, without the kinds of change that there are none of."""
    found = await compare(old, new)
    kinds = {name: getattr(found, name) for name in Comparison.__struct_fields__}
    return {name: [(change.what, change.who) for change in changes] for name, changes in kinds.items() if changes}


def keys(*names: str, **rules: Any) -> list[dict[str, Any]]:
    return [{"name": name, "secret": f"sk-tw-0123456789-{name}", **rules} for name in names]


async def test_a_file_that_says_the_same_changes_nothing() -> None:
    assert await planned(settings_of(), settings_of()) == {}


async def test_a_model_that_may_no_longer_be_used_is_newly_denied() -> None:
    found = await planned(settings_of(), settings_of(models=["small", "middle", "auto", "auto/*"]))

    assert found == {"denied": [("'big': model_not_allowed", EVERYBODY)]}


async def test_a_model_that_may_be_used_from_now_on_is_newly_allowed() -> None:
    found = await planned(settings_of(models=["small", "middle", "auto", "auto/*"]), settings_of())

    assert found == {"allowed": [("'big'", EVERYBODY)]}


async def test_only_the_keys_that_are_concerned_are_named() -> None:
    old = settings_of(teams={"a": {"keys": keys("x", "y")}, "b": {"keys": keys("z")}})
    new = settings_of(teams={"a": {"keys": [*keys("x"), *keys("y", tiers=["simple"])]}, "b": {"keys": keys("z")}})

    found = await planned(old, new)

    assert {who for _, who in found["denied"]} == {("a/y",)}
    assert {what for what, _ in found["denied"]} == {
        f"'{name}': model_not_allowed" for name in ("middle", "big", "auto/medium", "auto/complex")
    }


async def test_a_key_that_is_gone_is_newly_denied() -> None:
    new = settings_of(teams={"search": {}})

    assert await planned(settings_of(), new) == {"denied": [("the key is gone", ("search/ci",))]}


async def test_a_new_key_denies_nobody() -> None:
    new = settings_of(teams={"search": {"keys": keys("ci", "new")}})

    assert await planned(settings_of(), new) == {}


async def test_a_model_that_is_gone_is_newly_denied() -> None:
    document = document_of()
    del document["models"]["middle"]
    document["router"]["tiers"]["medium"] = ["small"]
    del document["organisation"]

    found = await planned(settings_of(), settings_of(document))

    assert found["denied"] == [("'middle': model_not_found", EVERYBODY)]
    assert found["retiered"] == [("'auto/medium': middle (medium) -> small (medium)", EVERYBODY)]


async def test_a_name_that_is_answered_by_another_tier_is_retiered() -> None:
    router = document_of()["router"]

    found = await planned(settings_of(), settings_of({"router": {**router, "default_tier": "complex"}}))

    assert found == {"retiered": [("'auto': small (simple) -> big (complex)", EVERYBODY)]}


async def test_families_of_paths_are_compared() -> None:
    found = await planned(settings_of(endpoints=["files", "images"]), settings_of(endpoints=["files", "audio"]))

    assert found == {
        "denied": [("the paths of 'images'", EVERYBODY)],
        "allowed": [("the paths of 'audio'", EVERYBODY)],
    }


async def test_end_users_that_must_be_named_from_now_on_are_told() -> None:
    found = await planned(settings_of(), settings_of(users={"required": True}))

    assert found == {"denied": [("requests that name no end user", EVERYBODY)]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"limits": {"concurrency": 9}}, {"limits": {"concurrency": 5}},
         {"tighter": [("9 requests at once -> 5 requests at once", ("organisation 'default'",))]}),
        ({"limits": {"concurrency": 5}}, {"limits": {"concurrency": 9}},
         {"looser": [("5 requests at once -> 9 requests at once", ("organisation 'default'",))]}),
        ({}, {"budgets": [{"usd": 5}]}, {"tighter": [("new: 5.00 USD a month", ("organisation 'default'",))]}),
        ({"budgets": [{"usd": 5}]}, {}, {"looser": [("gone: 5.00 USD a month", ("organisation 'default'",))]}),
        ({"budgets": [{"usd": 5}]}, {"budgets": [{"usd": 5, "window": "day"}]},
         {"tighter": [("new: 5.00 USD a day", ("organisation 'default'",))],
          "looser": [("gone: 5.00 USD a month", ("organisation 'default'",))]}),
        ({}, {"users": {"limits": {"requests_per_day": 7}}},
         {"tighter": [("new: 7 requests a day", ("one end user of organisation 'default'",))]}),
        ({"max_output_tokens": 50}, {"max_output_tokens": 40},
         {"tighter": [("longest answer: 50 tokens -> 40 tokens", EVERYBODY)]}),
        ({"max_output_tokens": 50}, {}, {"looser": [("longest answer: 50 tokens -> the model's own", EVERYBODY)]}),
    ],
)  # fmt: skip
async def test_limits_are_compared(old: dict[str, Any], new: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await planned(settings_of(**old), settings_of(**new)) == expected


async def test_a_budget_smaller_than_a_request_denies() -> None:
    found = await planned(settings_of(), settings_of(budgets=[{"usd": 0.1}]))

    assert ("'big': insufficient_quota (0.10 USD a month of organisation 'default')", EVERYBODY) in found["denied"]


async def test_prices_are_compared() -> None:
    document = document_of()
    document["models"]["small"]["price"]["output"] = 3
    del document["organisation"]

    found = await planned(settings_of(), settings_of(document))

    assert found == {"prices": [("output 2 -> 3 USD a million tokens", ("small",))]}


async def test_examples_are_tried_under_both() -> None:
    example = {"key": "search/ci", "model": "big", "text": "Hello", "max_output_tokens": 100, "expect": {}}

    found = await planned(settings_of(examples=[example]), settings_of(models=["small"]))

    assert ("the example 'Hello' for 'big': model_not_allowed", ("search/ci",)) in found["denied"]


async def test_keys_that_say_the_same_are_named_together() -> None:
    teams = {"a": {"keys": keys(*(f"k{number}" for number in range(50)))}}

    found = await planned(settings_of(teams=teams), settings_of(teams=teams, models=["small", "auto", "auto/*"]))

    assert len(found["denied"][0][1]) == 52


async def test_a_stricter_guard_is_tighter_and_a_milder_one_looser() -> None:
    plain, guarded = settings_of(), settings_of(guard={"input": {"pii": "redact"}})

    assert (await planned(plain, guarded))["tighter"][0] == ("guard.input.pii: ignore -> redact", EVERYBODY)
    assert (await planned(guarded, plain))["looser"][0] == ("guard.input.pii: redact -> ignore", EVERYBODY)


async def test_what_a_team_may_send_less_of_is_told_of_its_keys() -> None:
    new = settings_of(teams={"search": {"guard": {"limits": {"images": 3}}, "keys": keys("ci")}})

    assert (await planned(settings_of(), new))["tighter"] == [
        ("guard.limits.images: 20 -> 3", ("search/*", "search/ci"))
    ]
