from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.usage import NO_USAGE, Usage
from policies.derivation import Derivation, Drift, demand_of, derive, derive_batches, drifts
from policies.meters import Demand, Meter, Standing
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.ledgers.base import UsageRecord
from policies.stores.ledgers.memory import MemoryLedger
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.clock import Clock
from tests.support.usage import START, usage_record

CAP = 10**15

EVERYONE = (
    Meter("org|microusd|month", "organisation", "microusd", CAP, CalendarWindow("month", "Europe/Berlin")),
    Meter("org|requests|60", "organisation", "requests", CAP, SlidingWindow(60)),
    Meter("org|concurrency", "organisation", "concurrency", CAP, None),
)


def meters_of(record: UsageRecord) -> Sequence[Meter]:
    return (
        *EVERYONE,
        Meter(f"{record.team}|microusd|total", record.team, "microusd", CAP, TotalWindow()),
        Meter(f"{record.team}|input_tokens|3600", record.team, "input_tokens", CAP, SlidingWindow(3600)),
        Meter(f"{record.team}|output_tokens|day", record.team, "output_tokens", CAP, CalendarWindow("day")),
    )


def used(standings: Sequence[Standing]) -> dict[str, int]:
    return {one.meter.key: one.used for one in standings}


def settled_by_a_store(records: Sequence[UsageRecord], now: float) -> MemoryHoldStore:
    clock = Clock(START)
    store = MemoryHoldStore(clock)
    for record in sorted(records, key=lambda one: one.at):
        clock.now = record.at
        store.reserve_now(record.id, tuple(meters_of(record)), (Demand(1, 50_000, 50_000, 50_000),), 600.0)
        store.settle_now(record.id, demand_of(record))
    clock.now = now
    return store


amounts = st.integers(0, 100_000)
records_at_any_time = st.lists(
    st.builds(
        lambda age_s, team, tokens, cached, generated, cost, is_released: usage_record(
            at=START - age_s,
            team=team,
            usage=NO_USAGE
            if is_released
            else Usage(input_tokens=tokens, cached_tokens=cached, output_tokens=generated),
            cost_microusd=0 if is_released else cost,
            kind="expired" if is_released else "answer",
        ),
        st.floats(0, 40 * 86_400) | st.floats(0, 120) | st.just(0.0),
        st.sampled_from(["a", "b"]),
        amounts,
        amounts,
        amounts,
        amounts,
        st.booleans(),
    ),
    max_size=30,
)


@given(records_at_any_time)
def test_the_ledger_says_what_a_store_counted(records: list[UsageRecord]) -> None:
    derived = derive(records, meters_of, START)

    store = settled_by_a_store(records, START)
    assert derived == store.standing_now(tuple(one.meter for one in derived))


@given(records_at_any_time)
def test_the_order_of_records_does_not_matter(records: list[UsageRecord]) -> None:
    assert derive(records, meters_of, START) == derive(records[::-1], meters_of, START)


def test_what_has_left_a_window_is_not_counted() -> None:
    derived = used(derive([usage_record(at=START - 62), usage_record(at=START - 60)], meters_of, START))

    assert derived["org|requests|60"] == 1
    assert derived["search|microusd|total"] == 600


def test_an_expired_hold_counts_at_its_ceiling_and_a_released_one_not_at_all() -> None:
    charged = usage_record(kind="expired", usage=Usage(input_tokens=7), cost_microusd=1000)
    released = usage_record(kind="expired", usage=NO_USAGE, cost_microusd=0)

    assert demand_of(charged) == Demand(1, 7, 0, 1000)
    assert demand_of(released) == Demand(0, 0, 0, 0)


def test_an_answer_that_cost_nothing_is_a_request() -> None:
    assert demand_of(usage_record(usage=NO_USAGE, cost_microusd=0)) == Demand(1, 0, 0, 0)


def test_absurd_usage_is_counted_within_bounds() -> None:
    assert demand_of(usage_record(cost_microusd=10**30)).microusd == 10**12


async def test_a_ledger_is_derived_batch_by_batch() -> None:
    ledger = MemoryLedger()
    records = [usage_record(at=START - number) for number in range(1100)]
    for record in records:
        await ledger.append(record)

    assert await derive_batches(ledger.records(), meters_of, START) == derive(records, meters_of, START)


@pytest.fixture
def records() -> list[UsageRecord]:
    return [usage_record(at=START - number) for number in range(3)]


async def test_a_store_that_counted_the_same_has_no_drift(records: list[UsageRecord]) -> None:
    store = settled_by_a_store(records, START)

    assert await drifts(derive(records, meters_of, START), store) == ()


async def test_drift_is_told_per_meter_the_largest_first(records: list[UsageRecord]) -> None:
    store = settled_by_a_store(records, START)
    store.reserve_now("in flight", EVERYONE, (Demand(2, 0, 0, 5),), 60.0)

    found = await drifts(derive(records, meters_of, START), store)

    assert [(one.meter.key, one.difference) for one in found] == [
        ("org|microusd|month", 5),
        ("org|requests|60", 2),
        ("org|concurrency", 1),
    ]
    assert found[0] == Drift(EVERYONE[0], 900, 905)


def test_a_derivation_of_nothing_has_no_meters() -> None:
    assert Derivation(meters_of, START).standings() == ()
