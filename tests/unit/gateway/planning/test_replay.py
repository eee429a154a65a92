from __future__ import annotations

from typing import Any

import pytest

from gateway.accounting.lines import to_line
from gateway.domain.usage import NO_USAGE, Usage
from gateway.planning.replay import Replay, ReplayError, replay
from gateway.settings import Settings
from policies.stores.ledgers.base import UsageRecord
from tests.support.policy import document_of, settings_of
from tests.support.usage import START, usage_record

USAGE = Usage(input_tokens=1000, output_tokens=100)
MINUTE = "2 requests a minute of organisation 'default'"


def record(**fields: Any) -> UsageRecord:
    return usage_record(**{"requested_model": "big", "usage": USAGE, **fields})


async def played(records: list[UsageRecord], new: Settings, old: Settings | None = None) -> Replay:
    return await replay([to_line(one) for one in records], old or settings_of(), new)


async def test_requests_that_a_new_limit_would_stop_are_counted_by_key_and_limit() -> None:
    records = [record(at=START + second) for second in range(3)]

    found = await played(records, settings_of(limits={"requests_per_minute": 2}))

    one = found.by_key["search/ci"]
    assert (one.requests, one.newly_denied) == (3, 1)
    assert (one.old.denied, one.new.denied) == ({}, {MINUTE: 1})


async def test_time_passes_as_it_was_recorded() -> None:
    records = [record(at=START + 62 * minute) for minute in range(5)]

    found = await played(records, settings_of(limits={"requests_per_minute": 1}))

    assert found.total.newly_denied == 0


async def test_spend_is_counted_at_the_prices_of_each_file() -> None:
    document = document_of()
    document["models"]["big"]["price"] = {"input": 20, "output": 40}
    del document["organisation"]

    found = await played([record()] * 2, settings_of(document))

    assert (found.total.old.cost_microusd, found.total.new.cost_microusd) == (2 * 12_000, 2 * 24_000)


async def test_a_budget_is_used_up_by_what_was_consumed() -> None:
    found = await played([record(at=START + n) for n in range(10)], settings_of(budgets=[{"usd": 0.06}]))

    # An answer costs 0.012 dollars. Before it came, 0.043 were held for a prompt of 4,000 bytes: 2 * 0.012 + 0.043 is
    # too much.
    assert (found.total.new.allowed, found.total.newly_denied) == (2, 8)
    assert found.total.new.cost_microusd == 2 * 12_000


async def test_the_mix_of_tiers_is_counted() -> None:
    router = {**document_of()["router"], "default_tier": "complex"}
    records = [record(requested_model="auto"), record(requested_model="middle")]

    found = await played(records, settings_of({"router": router}))

    assert found.total.old.tiers == {"simple": 1, "medium": 1}
    assert found.total.new.tiers == {"complex": 1, "medium": 1}


async def test_a_hit_costs_nothing() -> None:
    found = await played([record(cache="exact")], settings_of())

    assert (found.total.new.allowed, found.total.new.cost_microusd) == (1, 0)


@pytest.mark.parametrize(
    "skipped", [{"requested_model": ""}, {"kind": "expired", "usage": NO_USAGE, "cost_microusd": 0}]
)
async def test_records_without_a_model_or_given_back_are_skipped(skipped: dict[str, Any]) -> None:
    found = await played([record(**skipped), record()], settings_of())

    assert (found.skipped, found.total.requests) == (1, 1)


async def test_end_users_are_counted_by_themselves() -> None:
    records = [record(user="ann"), record(user="bob"), record(user="ann")]

    found = await played(records, settings_of(users={"limits": {"requests_per_day": 1}}))

    assert found.total.newly_denied == 1


async def test_what_both_deny_is_not_newly_denied() -> None:
    narrow = settings_of(models=["small"])

    found = await played([record()], narrow, old=narrow)

    assert found.total.newly_denied == 0
    assert found.total.old.denied == found.total.new.denied == {"model_not_allowed": 1}


async def test_empty_lines_are_passed_over() -> None:
    found = await replay([b"\n", to_line(record()), b"  \n"], settings_of(), settings_of())

    assert found.total.requests == 1


async def test_a_line_that_is_no_record_is_named() -> None:
    with pytest.raises(ReplayError, match=r"^line 2: not a record"):
        await replay([to_line(record()), b'{"at": 1}'], settings_of(), settings_of())


async def test_a_long_prompt_is_not_refused_for_its_stand_in() -> None:
    found = await played([record(usage=Usage(input_tokens=150_000, output_tokens=1))], settings_of())

    assert found.total.new.allowed == 1
