from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.domain.usage import NO_USAGE, Usage
from gateway.state.recovery import settle_recovered
from policies.meters import Demand, Meter
from policies.stores.holds.journal import JournaledHoldStore
from policies.stores.ledgers.embedded import EmbeddedLedger, file_of
from policies.windows import TotalWindow
from tests.support.usage import START, usage_record

BUDGET = Meter("org|microusd", "organisation", "microusd", 10_000, TotalWindow())
CALLS = Meter("org|requests", "organisation", "requests", 100, TotalWindow())
METERS = (BUDGET, CALLS)
CEILING = Demand(1, 100, 100, 900)


def holds_of(folder: Path) -> JournaledHoldStore:
    return JournaledHoldStore(folder / "tierway.holds", lambda: START)


def ledger_of(folder: Path) -> EmbeddedLedger:
    return EmbeddedLedger(folder / "tierway.db", lambda: START)


def standing(holds: JournaledHoldStore) -> list[int]:
    return [one.used for one in holds.standing_now(METERS)]


async def left_behind(folder: Path, *held: str, **recorded: str) -> None:
    """Hold calls and write some of them down by id and kind, and end before any is settled."""
    holds, ledger = holds_of(folder), ledger_of(folder)
    for hold_id in held:
        holds.reserve_now(hold_id, METERS, (CEILING,), 60.0)
    for hold_id, kind in recorded.items():
        usage = NO_USAGE if kind == "released" else Usage(input_tokens=10, output_tokens=5)
        cost = 0 if kind == "released" else 20
        ledger.append_now(
            usage_record(
                id=hold_id, usage=usage, cost_microusd=cost, kind="expired" if kind == "released" else "answer"
            )
        )
    await ledger.close()
    holds.close_now()


async def test_a_call_that_was_written_down_is_settled_by_its_record(tmp_path: Path) -> None:
    await left_behind(tmp_path, "a", "b", a="answer")
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)
    assert standing(holds) == [1800, 2]

    settled = settle_recovered(holds, ledger)

    assert settled == 1
    assert standing(holds) == [20 + 900, 2]
    assert [one.hold_id for one in holds.sweep_now(START + 61)] == ["b"]
    await ledger.close()
    holds.close_now()


async def test_what_was_settled_by_its_record_stays_so(tmp_path: Path) -> None:
    await left_behind(tmp_path, "a", a="answer")
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)
    settle_recovered(holds, ledger)
    holds.close_now()

    holds = holds_of(tmp_path)

    assert holds.recovered == ()
    assert standing(holds) == [20, 1]
    await ledger.close()
    holds.close_now()


async def test_a_call_that_was_written_down_as_given_back_counts_nothing(tmp_path: Path) -> None:
    await left_behind(tmp_path, "a", a="released")
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)

    settle_recovered(holds, ledger)

    assert standing(holds) == [0, 0]
    await ledger.close()
    holds.close_now()


async def test_thousands_of_calls_are_looked_up(tmp_path: Path) -> None:
    ids = [f"h{number}" for number in range(1201)]
    cap = [Meter("org|microusd", "organisation", "microusd", 10**9, TotalWindow())]
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)
    for hold_id in ids:
        holds.reserve_now(hold_id, cap, (CEILING,), 60.0)
        ledger.append_now(usage_record(id=hold_id, cost_microusd=3))
    await ledger.close()
    holds.close_now()
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)

    assert settle_recovered(holds, ledger) == len(ids)
    assert holds.standing_now(cap)[0].used == 3 * len(ids)
    await ledger.close()
    holds.close_now()


async def test_holds_wait_for_their_leases_where_the_ledger_cannot_be_read(tmp_path: Path) -> None:
    await left_behind(tmp_path, "a", a="answer")
    holds, ledger = holds_of(tmp_path), ledger_of(tmp_path)
    with sqlite3.connect(file_of(tmp_path / "tierway.db")) as other:
        other.execute("DROP TABLE usage")
    other.close()

    assert settle_recovered(holds, ledger) == 0
    assert standing(holds) == [900, 1]
    await ledger.close()
    holds.close_now()
