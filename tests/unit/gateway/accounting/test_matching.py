from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from gateway.accounting.exports import Billed
from gateway.accounting.matching import ASKED, Cause, Reconciliation, family, reconcile
from gateway.domain.usage import NO_USAGE, Usage
from policies.stores.ledgers.base import UsageRecord
from policies.stores.ledgers.memory import MemoryLedger
from tests.support.usage import START, usage_record

NAMES = {"small": "small-2026-01-31", "big": "big", "other": "claude-haiku-4-5"}
DAY = "2027-01-15"


def billed(model: str = "small-2026-01-31", **fields: Any) -> Billed:
    return Billed(**{"day": DAY, "model": model, **fields})


def like(records: int) -> dict[str, Any]:
    """Return what a provider says of so many records of `usage_record`."""
    cost = Decimal(300 * records) / 1_000_000
    return {
        "requests": records,
        "prompt_tokens": 110 * records,
        "cached_tokens": 10 * records,
        "output_tokens": 20 * records,
        "cost_usd": cost,
    }


async def match(
    lines: Sequence[Billed], records: Sequence[UsageRecord], upstream: str | None = None, tolerance: float = 0.01
) -> Reconciliation:
    ledger = MemoryLedger()
    for record in records:
        await ledger.append(record)
    return reconcile(lines, await ledger.usage(ASKED), NAMES, tolerance=tolerance, upstream=upstream)


async def cause(lines: Sequence[Billed], records: Sequence[UsageRecord], upstream: str | None = None) -> Cause:
    found = await match(lines, records, upstream)
    assert not found.is_within
    return found.models[0].cause


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet-latest"),
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
    ],
)
def test_names_of_one_family(one: str, other: str) -> None:
    assert family(one) == family(other)


def test_names_of_two_families() -> None:
    assert len({family(name) for name in ("gpt-4o", "gpt-4o-mini", "gpt-4-0613", "gpt-5", "gpt-5.1")}) == 5


async def test_what_agrees_is_within() -> None:
    found = await match([billed(**like(3))], [usage_record() for _ in range(3)])

    (model,) = found.models
    assert (found.is_within, found.days, model.drift, model.cause) == (True, [], 0.0, "")


async def test_answers_without_a_name_are_found_by_the_settings() -> None:
    found = await match([billed(**like(1))], [usage_record(answered_model="")])

    assert found.is_within


async def test_what_no_provider_was_asked_for_is_left_out() -> None:
    beside = [
        usage_record(cache="exact"),
        usage_record(kind="expired"),
        usage_record(upstream="", usage=NO_USAGE, cost_microusd=0),
    ]

    assert (await match([billed(**like(1))], [usage_record(), *beside])).is_within


@pytest.mark.parametrize(("share", "is_within"), [(100, True), (99, True), (98, False)])
async def test_the_tolerance_is_a_share(share: int, is_within: bool) -> None:  # noqa: FBT001
    found = await match([billed(prompt_tokens=100, output_tokens=0)], [usage_record(usage=Usage(input_tokens=share))])

    assert found.is_within == is_within


async def test_requests_outside_the_gateway() -> None:
    assert await cause([billed(**like(2))], [usage_record()]) == "requests outside the gateway"
    assert await cause([billed("big", **like(1))], []) == "requests outside the gateway"


async def test_missing_usage_at_our_side() -> None:
    records = [usage_record(), usage_record(usage=NO_USAGE, cost_microusd=0)]

    assert await cause([billed(**like(2))], records) == "missing usage at our side"


async def test_usage_estimated_at_our_side() -> None:
    guess = usage_record(usage=Usage(input_tokens=500, output_tokens=500, provenance="estimated"))

    assert await cause([billed(**like(1))], [guess]) == "usage estimated at our side"


async def test_more_here_than_in_the_export() -> None:
    assert await cause([billed(**like(1))], [usage_record(), usage_record()]) == "more here than in the export"


async def test_cache_class_differs() -> None:
    uncached = usage_record(usage=Usage(input_tokens=110, output_tokens=20))

    assert await cause([billed(**like(1))], [uncached]) == "cache class differs"


async def test_price_version_differs() -> None:
    assert await cause([billed(**like(1))], [usage_record(cost_microusd=330)]) == "price version differs"


async def test_price_unknown_to_us() -> None:
    free = usage_record(cost_microusd=0, is_priced=False)

    assert await cause([billed(**like(1))], [free]) == "price unknown to us"


async def test_model_unknown_to_us() -> None:
    assert await cause([billed("whisper-1", cost_usd=Decimal(1))], [usage_record()]) == "model unknown to us"


async def test_charges_that_are_no_tokens() -> None:
    lines = [billed(**like(1)), billed("", cost_usd=Decimal(1))]

    assert await cause(lines, [usage_record()]) == "charges that are no tokens"


async def test_a_model_that_the_export_lacks_is_drift_of_a_named_upstream_only() -> None:
    lines, records = [billed(**like(1))], [usage_record(), usage_record(answered_model="big")]

    found = await match(lines, records)

    assert found.is_within
    assert [one.cause for one in found.models] == ["", "not in the export"]
    assert await cause(lines, records, upstream="openai") == "not in the export"


async def test_a_named_upstream_is_counted_alone() -> None:
    found = await match([billed(**like(1))], [usage_record(), usage_record(upstream="azure")], upstream="openai")

    assert found.is_within


async def test_a_sum_over_all_models_is_compared_with_all_of_ours() -> None:
    line = billed("", cost_usd=Decimal("0.0006"))

    found = await match([line], [usage_record(), usage_record(answered_model="big")])

    assert (found.is_within, found.models[0].model) == (True, "(all models)")


async def test_usage_and_costs_from_two_files_are_one_account() -> None:
    tokens, costs = like(1), {"cost_usd": like(1)["cost_usd"]}
    del tokens["cost_usd"]

    assert (await match([billed(**tokens), billed(**costs)], [usage_record()])).is_within


async def test_fractions_of_a_micro_dollar_are_rounded_once() -> None:
    lines = [billed(cost_usd=Decimal("0.0000001")) for _ in range(3000)]

    assert (await match(lines, [usage_record()])).is_within


async def test_days_that_differ_are_listed_though_their_sum_agrees() -> None:
    lines = [billed(**like(2)), billed(**(like(2) | {"day": "2027-01-16"}))]
    records = [usage_record(at=START + (86_400 if number else 0)) for number in range(4)]

    found = await match(lines, records)

    assert found.is_within
    assert [(one.day, one.drift, one.cause) for one in found.days] == [
        (DAY, 0.5, "requests outside the gateway"),
        ("2027-01-16", pytest.approx(1 / 3), "more here than in the export"),
    ]


async def test_requests_are_compared_where_the_export_says_nothing_else() -> None:
    assert (await match([billed(requests=2)], [usage_record(), usage_record()])).is_within
    assert not (await match([billed(requests=3)], [usage_record(), usage_record()])).is_within
    assert (await match([billed(**(like(1) | {"requests": 9}))], [usage_record()])).is_within


async def test_credits_do_not_break_the_comparison() -> None:
    found = await match([billed(cost_usd=Decimal(-1))], [usage_record(cost_microusd=0)])

    assert found.models[0].drift == 1.0
