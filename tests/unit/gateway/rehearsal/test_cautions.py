from __future__ import annotations

from typing import Any

import pytest

from gateway.rehearsal.cautions import all_cautions
from tests.support.policy import SECRET, settings_of

KEY = {"name": "ci", "secret": SECRET}


@pytest.mark.parametrize(
    ("organisation", "path"),
    [
        ({"budgets": [{"usd": 0.1}]}, "organisation.budgets[0].usd"),
        ({"teams": {"t": {"budgets": [{"usd": 100, "window": "day"}, {"usd": 0.1}]}}},
         "organisation.teams.t.budgets[1].usd"),
        ({"teams": {"t": {"keys": [{**KEY, "budgets": [{"usd": 0.1}]}]}}},
         "organisation.teams.t.keys[0].budgets[0].usd"),
        ({"users": {"budgets": [{"usd": 0.1}]}}, "organisation.users.budgets[0].usd"),
    ],
)  # fmt: skip
def test_a_budget_smaller_than_a_request_to_the_dearest_model_is_told(organisation: dict[str, Any], path: str) -> None:
    found = list(all_cautions(settings_of(**organisation)))

    # 8192 tokens of an answer at 20 dollars a million, and a prompt of a few bytes.
    assert len(found) == 1
    assert found[0].startswith(f"{path}: 0.1 is less than a short request to 'big' may cost (0.16")


@pytest.mark.parametrize(
    "organisation",
    [
        {"budgets": [{"usd": 1}]},
        {"budgets": [{"usd": 0.1}], "models": ["small"]},
        {"budgets": [{"usd": 0.1}], "tiers": ["simple", "medium"]},
        {"budgets": [{"usd": 0.1}], "max_output_tokens": 1000},
        {"budgets": [{"usd": 0.1}], "limits": {"output_tokens_per_minute": 1000}},
    ],
)
def test_a_budget_that_fits_what_is_allowed_is_not_told(organisation: dict[str, Any]) -> None:
    assert list(all_cautions(settings_of(**organisation))) == []


def test_a_caller_who_may_only_ask_for_auto_is_judged_by_what_it_may_become() -> None:
    found = list(all_cautions(settings_of(budgets=[{"usd": 0.1}], models=["auto"])))

    assert [text.partition(" may cost")[0] for text in found] == [
        "organisation.budgets[0].usd: 0.1 is less than a short request to 'auto'"
    ]


def test_levels_that_are_wider_than_those_above_are_told_too() -> None:
    teams = {"t": {"limits": {"concurrency": 2}}}

    found = list(all_cautions(settings_of(limits={"concurrency": 1}, teams=teams)))

    assert [text.partition(":")[0] for text in found] == ["organisation.teams.t.limits.concurrency"]


@pytest.mark.parametrize("semantic", [True, "auto"])
def test_a_semantic_cache_that_cannot_be_had_here_is_told(*, semantic: bool | str) -> None:
    settings = settings_of({"cache": {"exact": True, "semantic": semantic, "embedder": "no-such-model"}})

    told = [caution for caution in all_cautions(settings) if caution.startswith("cache.semantic: ")]

    assert len(told) == (semantic is True)
