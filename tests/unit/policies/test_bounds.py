from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.bounds import HELD, Bound, bound_of, budgets
from policies.settings import Budget, LevelSettings, OrganisationSettings

SECRET = "sk-tw-0123456789abcdef"


def organisation(**fields: Any) -> OrganisationSettings:
    return msgspec.convert(fields, OrganisationSettings, dec_hook=lambda kind, value: kind(value))


def bound(*, is_shared: bool = False, unpriced: tuple[str, ...] = (), **fields: Any) -> Bound:
    settings = organisation(budgets=[{"usd": 2}], **fields)
    meter = next(budgets(settings, {}))
    return bound_of(meter, settings, unpriced=unpriced, is_shared=is_shared)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"is_shared": True},
        {"lost_state": {"budgets": "share"}},
        {"unpriced": ()},
        {"is_shared": True, "unpriced": ("m",)},
    ],
)
def test_a_budget_is_never_overspent_by_itself(fields: dict[str, Any]) -> None:
    assert bound(**fields) == Bound(0, (HELD,))


def test_shares_of_a_lost_state_may_spend_it_once_more() -> None:
    found = bound(is_shared=True, lost_state={"budgets": "share"})

    assert found.overshoot_microusd == 2_000_000
    assert "shared state" in found.why[0]


def test_holds_that_are_given_back_may_have_been_spent() -> None:
    found = bound(holds={"on_expiry": "release"})

    assert found.overshoot_microusd == 2_000_000
    assert "killed process" in found.why[0]


def test_models_without_a_price_are_bounded_by_nothing() -> None:
    settings = organisation(budgets=[{"usd": 2}], unpriced="worst_case")
    meter = next(budgets(settings, {}))

    found = bound_of(meter, settings, unpriced=[f"m{n}" for n in range(6)], is_shared=False)

    assert found.overshoot_microusd is None
    assert found.why[0].endswith("m0, m1, m2, m3, m4, ...")


def test_worst_case_without_such_a_model_changes_nothing() -> None:
    settings = organisation(budgets=[{"usd": 2}], unpriced="worst_case")

    assert bound_of(next(budgets(settings, {})), settings, unpriced=(), is_shared=False).overshoot_microusd == 0


def levels() -> tuple[OrganisationSettings, dict[tuple[str, str], LevelSettings]]:
    def one(usd: float) -> list[dict[str, float]]:
        return [{"usd": usd}]

    settings = organisation(
        budgets=[{"usd": 1}, {"usd": 2, "window": "day"}],
        limits={"concurrency": 5},
        teams={
            "a": {"budgets": one(3), "keys": [{"name": "k", "secret": SECRET, "budgets": one(4)}]},
            "b": {"keys": [{"name": "k", "secret": SECRET + "2"}, {"name": "l", "secret": SECRET, "budgets": one(5)}]},
        },
    )
    return settings, {
        ("b", "z"): LevelSettings(budgets=(Budget(usd=7),)),
        ("a", "y"): LevelSettings(budgets=(Budget(usd=6),)),
    }


def test_the_budgets_of_every_level_are_listed_in_order() -> None:
    found = [(meter.level, meter.cap // 1_000_000) for meter in budgets(*levels())]

    assert found == [
        ("organisation 'default'", 1), ("organisation 'default'", 2), ("team 'a'", 3), ("key 'a/k'", 4),
        ("key 'b/l'", 5), ("key 'a/y'", 6), ("key 'b/z'", 7),
    ]  # fmt: skip


@pytest.mark.parametrize("skip", range(9))
def test_skipping_goes_on_where_a_page_ended(skip: int) -> None:
    everything = list(budgets(*levels()))

    assert list(budgets(*levels(), skip=skip)) == everything[skip:]


def test_one_teams_budgets_are_those_of_its_keys_too() -> None:
    assert [meter.level for meter in budgets(*levels(), team="a")] == ["team 'a'", "key 'a/k'", "key 'a/y'"]
    assert list(budgets(*levels(), team="nobody")) == []
