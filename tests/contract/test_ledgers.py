"""Every ledger."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.usage import NO_USAGE, Usage
from policies.meters import MAX_PER_CALL
from policies.stores.ledgers.base import (
    GROUPS,
    MAX_TEXT,
    BadCursorError,
    Group,
    Ledger,
    Selection,
    TooManyRowsError,
    UsageQuery,
    UsageRecord,
    UsageRow,
)
from tests.support.clock import Clock
from tests.support.members import LEDGERS
from tests.support.usage import START, usage_record

DAY_S = 86_400.0
HOUR_S = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(params=LEDGERS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    made = LEDGERS[request.param](tmp_path, clock)
    yield made
    await made.close()


async def append(ledger: Ledger, *records: UsageRecord) -> None:
    for record in records:
        await ledger.append(record)


async def everything(ledger: Ledger, since: float | None = None, until: float | None = None) -> list[UsageRecord]:
    return [record async for batch in ledger.records(since, until) for record in batch]


async def total(ledger: Ledger, **selection: Any) -> UsageRow:
    (row,) = await ledger.usage(UsageQuery(**selection))
    return row


async def test_a_record_comes_back_as_it_was(ledger: Ledger) -> None:
    usage = Usage(
        input_tokens=1, cached_tokens=2, cache_write_tokens=3, input_audio_tokens=4,
        output_tokens=5, reasoning_tokens=6, output_audio_tokens=7, provenance="estimated",
    )  # fmt: skip
    record = usage_record(
        usage=usage, user="\U0001f600 ü", is_priced=False, status=499, kind="expired", at=START + 0.123
    )

    await append(ledger, record)

    assert await everything(ledger) == [record]


async def test_a_question_sees_what_was_appended_just_before(ledger: Ledger) -> None:
    for number in range(1, 4):
        await append(ledger, usage_record())

        assert (await total(ledger)).requests == number


async def test_everything_is_summed_up(ledger: Ledger) -> None:
    await append(
        ledger,
        usage_record(under_reserved_microusd=7),
        usage_record(usage=Usage(cache_write_tokens=5, reasoning_tokens=3), cost_microusd=0, is_priced=False),
        usage_record(usage=Usage(input_audio_tokens=4, output_audio_tokens=2), kind="expired", cost_microusd=1000),
    )

    assert await total(ledger) == UsageRow(
        (), requests=2, expired=1, unpriced=1, input_tokens=100, cached_tokens=10, cache_write_tokens=5,
        input_audio_tokens=4, output_tokens=20, reasoning_tokens=3, output_audio_tokens=2, cost_microusd=1300,
        expired_microusd=1000, held_microusd=3000, under_reserved_microusd=7,
    )  # fmt: skip


async def test_an_empty_ledger_has_used_nothing(ledger: Ledger) -> None:
    assert await total(ledger) == UsageRow(())
    assert await ledger.usage(UsageQuery(group_by=("team",))) == []
    assert await everything(ledger) == []
    assert await ledger.prune(START) == 0


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("team", "search"),
        ("key", "search/ci"),
        ("user", "ann"),
        ("model", "small"),
        ("requested_model", "auto"),
        ("answered_model", "small-2026-01-31"),
        ("upstream", "openai"),
        ("tier", "simple"),
        ("day", "2027-01-15"),
        ("hour", "2027-01-15T08:00Z"),
        ("cache", "exact"),
        ("provenance", "provider"),
        ("kind", "answer"),
    ],
)
async def test_usage_is_grouped(ledger: Ledger, group: Group, expected: str) -> None:
    await append(ledger, usage_record(user="ann", cache="exact", at=START + 1799.0))

    (row,) = await ledger.usage(UsageQuery(group_by=(group,)))

    assert row.group == (expected,)


async def test_usage_can_be_grouped_by_everything_at_once_in_order(ledger: Ledger) -> None:
    await append(ledger, usage_record(team="b"), usage_record(team="a"), usage_record(team="b", at=START - DAY_S))

    rows = await ledger.usage(UsageQuery(group_by=("team", "day")))
    all_rows = await ledger.usage(UsageQuery(group_by=GROUPS))

    assert [row.group for row in rows] == [("a", "2027-01-15"), ("b", "2027-01-14"), ("b", "2027-01-15")]
    assert [row.requests for row in all_rows] == [1, 1, 1]
    assert {len(row.group) for row in all_rows} == {len(GROUPS)}


async def test_two_teams_keys_of_one_name_are_two(ledger: Ledger) -> None:
    await append(ledger, usage_record(team="a"), usage_record(team="b"))

    rows = await ledger.usage(UsageQuery(group_by=("key",)))

    assert [row.group for row in rows] == [("a/ci",), ("b/ci",)]


@pytest.mark.parametrize(
    ("selection", "requests"),
    [
        ({"team": "a"}, 2),
        ({"team": "nobody"}, 0),
        ({"key": "ci"}, 2),
        ({"key": "a/ci"}, 1),
        ({"key": "b/other"}, 0),
        ({"model": "big"}, 1),
        ({"since": START}, 2),
        ({"until": START}, 1),
        ({"since": START, "until": START + 10}, 1),
        ({"since": START, "team": "a", "key": "other", "model": "big"}, 1),
        ({"team": "' OR 1=1 --"}, 0),
    ],
)
async def test_usage_is_filtered(ledger: Ledger, selection: dict[str, Any], requests: int) -> None:
    await append(
        ledger,
        usage_record(team="a", at=START - 1),
        usage_record(team="b", at=START),
        usage_record(team="a", key="other", routed_model="big", at=START + 10),
    )

    assert (await total(ledger, **selection)).requests == requests
    assert len((await ledger.page(Selection(**selection), limit=10)).records) == requests


async def test_the_same_id_twice_is_recorded_once(ledger: Ledger) -> None:
    record = usage_record()

    await append(ledger, record, record)
    first = await total(ledger)
    await append(ledger, msgspec.structs.replace(record, cost_microusd=99))

    assert first.requests == 1
    assert await everything(ledger) == [record]


async def test_more_rows_than_asked_for_are_an_error(ledger: Ledger) -> None:
    await append(ledger, *(usage_record(user=f"user-{number}") for number in range(4)))

    rows = await ledger.usage(UsageQuery(group_by=("user",), max_rows=4))

    assert len(rows) == 4
    with pytest.raises(TooManyRowsError, match="more than 3 rows"):
        await ledger.usage(UsageQuery(group_by=("user",), max_rows=3))


async def test_records_are_read_oldest_first_in_batches(ledger: Ledger) -> None:
    records = [usage_record(at=START + number) for number in range(1201)]
    await append(ledger, *records)

    batches = [batch async for batch in ledger.records()]

    assert [record for batch in batches for record in batch] == records
    assert max(map(len, batches)) <= 500
    assert await everything(ledger, START + 1100, START + 1102) == records[1100:1102]


async def test_pages_follow_each_other_without_gaps(ledger: Ledger) -> None:
    records = [usage_record(at=START, team="ab"[number % 2]) for number in range(25)]
    await append(ledger, *records)

    found, after = [], ""
    for _ in range(10):
        page = await ledger.page(Selection(team="a"), limit=4, after=after)
        found += page.records
        assert len(page.records) <= 4
        after = page.after
        if not after:
            break

    assert after == ""
    assert sorted(one.id for one in found) == sorted(one.id for one in records if one.team == "a")


async def test_a_place_nobody_named_is_refused(ledger: Ledger) -> None:
    await append(ledger, usage_record())

    with pytest.raises(BadCursorError):
        await ledger.page(Selection(), limit=1, after="no place")


async def test_records_that_come_late_are_found_by_their_moment(ledger: Ledger) -> None:
    early, late = usage_record(at=START), usage_record(at=START + 3 * HOUR_S)
    latest = usage_record(at=START + 4 * HOUR_S)
    await append(ledger, late, early, latest)

    assert (await total(ledger, until=START + HOUR_S)).requests == 1
    assert await everything(ledger, START - 1, START + HOUR_S) == [early]
    assert (await total(ledger, since=START + HOUR_S, until=START + 3.5 * HOUR_S)).requests == 1


async def test_pruning_forgets_what_is_old_and_nothing_else(ledger: Ledger) -> None:
    await append(ledger, *(usage_record(at=START + number * DAY_S) for number in range(5)))

    dropped = await ledger.prune(START + 2 * DAY_S)

    assert dropped == 2
    assert [one.at for one in await everything(ledger)] == [START + number * DAY_S for number in (2, 3, 4)]
    assert await ledger.prune(START + 2 * DAY_S) == 0


async def test_many_records_are_pruned(ledger: Ledger) -> None:
    await append(ledger, *(usage_record(at=START + number / 10) for number in range(2500)))

    assert await ledger.prune(START + 240) == 2400
    assert (await total(ledger)).requests == 100


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "\ud800"},
        {"requested_model": "m" * 100_000},
        {"requested_model": "nul\0'; DROP TABLE usage; --"},
        {"user": "=cmd()"},
        {"cost_microusd": 10**30, "usage": Usage(input_tokens=10**40)},
        {"cost_microusd": -5, "usage": Usage(output_tokens=-1)},
        {"held_microusd": 2**63},
        {"at": math.nan},
        {"at": math.inf},
        {"at": -1.0},
        {"status": 2**70},
    ],
    ids=str,
)
async def test_a_hostile_record_is_kept_within_bounds_and_hurts_no_other(
    ledger: Ledger, fields: dict[str, Any]
) -> None:
    hostile, other = usage_record(**fields), usage_record()

    await append(ledger, hostile, other)

    kept = {one.id: one for one in await everything(ledger)}
    assert kept[other.id] == other
    found = kept[hostile.id]
    assert 0 <= found.cost_microusd <= MAX_PER_CALL
    assert 0 <= found.usage.input_tokens <= MAX_PER_CALL
    assert found.usage.output_tokens >= 0
    assert len(found.requested_model) <= MAX_TEXT
    assert math.isfinite(found.at)
    assert (ledger.written, ledger.failed) == (2, 0)


async def test_a_released_hold_is_told_from_a_charged_one(ledger: Ledger) -> None:
    released = usage_record(kind="expired", usage=NO_USAGE, cost_microusd=0)
    charged = usage_record(kind="expired")
    await append(ledger, released, charged)

    assert {one.id: one.is_released for one in await everything(ledger)} == {released.id: True, charged.id: False}


async def test_closing_twice_is_harmless(ledger: Ledger) -> None:
    await append(ledger, usage_record())

    await ledger.close()
    await ledger.close()
