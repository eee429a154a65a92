from __future__ import annotations

import pytest

from policies.meters import Demand, Meter
from policies.stores.holds import memory
from policies.stores.holds.base import Granted
from policies.stores.holds.memory import MemoryHoldStore, Snapshot
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.clock import Clock

START = 1_800_000_000.0
RATE = Meter("org|requests", "organisation", "requests", 5, SlidingWindow(60))
BUDGET = Meter("org|microusd", "organisation", "microusd", 1000, TotalWindow())
DAY = Meter("org|tokens", "organisation", "output_tokens", 1000, CalendarWindow("day"))
PLACES = Meter("org|concurrency", "organisation", "concurrency", 5, None)
METERS = (RATE, BUDGET, DAY, PLACES)
CALL = Demand(1, 0, 50, 100)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def store(clock: Clock) -> MemoryHoldStore:
    return MemoryHoldStore(clock)


def used(store: MemoryHoldStore, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in store.standing_now(meters))


def test_meters_that_count_nothing_are_forgotten_by_a_sweep(store: MemoryHoldStore, clock: Clock) -> None:
    store.reserve_now("a", METERS, (CALL,), 60.0)
    store.settle_now("a", Demand(1, 0, 50, 0))
    store.sweep_now()
    assert set(store._counters) == {RATE.key, DAY.key}

    clock.now += 86_400
    store.sweep_now()

    assert store._counters == {}


def test_a_meter_that_was_forgotten_counts_anew(store: MemoryHoldStore, clock: Clock) -> None:
    store.reserve_now("a", METERS, (CALL,), 60.0)
    store.release_now("a")
    store.sweep_now()
    assert store._counters == {}

    store.reserve_now("b", METERS, (CALL,), 60.0)

    assert used(store, *METERS) == (1, 100, 50, 1)


def test_a_meter_on_which_a_hold_may_yet_be_charged_is_kept(store: MemoryHoldStore) -> None:
    store.reserve_now("a", METERS, (Demand(1, 0, 0, 0),), 60.0)
    store.sweep_now()

    store.settle_now("a", Demand(1, 0, 7, 30))

    assert used(store, *METERS) == (1, 30, 7, 0)


def test_a_sweep_looks_at_some_counters_and_the_next_goes_on(
    store: MemoryHoldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SWEPT_COUNTERS", 10)
    for number in range(35):
        store.standing_now((Meter(f"user:{number}|requests", "user", "requests", 5, SlidingWindow(60)),))

    left = [len(store._counters)]
    for _ in range(4):
        store.sweep_now()
        left.append(len(store._counters))

    assert left == [35, 25, 15, 5, 0]


def test_remembered_callers_are_bounded(store: MemoryHoldStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_PLANS", 8)

    for number in range(100):
        store.reserve_now(str(number), (Meter(RATE.key, str(number), "requests", 500, RATE.window),), (CALL,), 60.0)
        assert len(store._plans) <= 8

    assert used(store, RATE) == (100,)


def test_a_list_of_meters_is_looked_at_every_time(store: MemoryHoldStore) -> None:
    meters = [RATE]
    store.reserve_now("a", meters, (CALL,), 60.0)
    meters.append(BUDGET)

    store.reserve_now("b", meters, (CALL,), 60.0)

    assert used(store, RATE, BUDGET) == (2, 100)


@pytest.mark.parametrize(
    "changed",
    [
        Meter(RATE.key, "organisation", "requests", 5, SlidingWindow(61)),
        Meter(RATE.key, "organisation", "input_tokens", 5, SlidingWindow(60)),
    ],
)
def test_a_key_means_one_unit_and_window(store: MemoryHoldStore, changed: Meter) -> None:
    store.reserve_now("a", (RATE,), (CALL,), 60.0)

    with pytest.raises(ValueError, match="another unit or window"):
        store.reserve_now("b", (changed,), (CALL,), 60.0)


def test_a_snapshot_restores_everything(store: MemoryHoldStore, clock: Clock) -> None:
    for hold_id in "abc":
        store.reserve_now(hold_id, METERS, (CALL,), 60.0)
    store.settle_now("a", Demand(1, 0, 1, 1))
    clock.now += 30
    store.extend_now("c", 90.0)
    again = MemoryHoldStore(clock)

    again.restore([store.snapshot()])

    assert used(again, *METERS) == used(store, *METERS) == (3, 201, 101, 2)
    clock.now += 31
    assert [one.hold_id for one in again.sweep_now()] == ["b"]
    again.settle_now("c", Demand(1, 0, 0, 0))
    assert used(again, *METERS) == (0, 101, 51, 0)


def test_a_snapshot_in_pieces_restores_everything(store: MemoryHoldStore, clock: Clock) -> None:
    for hold_id in "abc":
        store.reserve_now(hold_id, METERS, (CALL,), 60.0)
    whole = store.snapshot()
    again = MemoryHoldStore(clock)

    again.restore([Snapshot([one], []) for one in whole.counters] + [Snapshot([], [one]) for one in whole.holds])

    assert used(again, *METERS) == (3, 300, 150, 3)
    assert again.open_holds() == ("a", "b", "c")


def test_a_snapshot_is_not_changed_by_what_follows(store: MemoryHoldStore, clock: Clock) -> None:
    store.reserve_now("a", METERS, (CALL,), 60.0)
    taken = store.snapshot()
    store.settle_now("a", Demand(1, 0, 1, 1))
    again = MemoryHoldStore(clock)

    again.restore([taken])

    assert used(again, *METERS) == (1, 100, 50, 1)


def test_a_restored_hold_whose_bucket_has_left_is_not_counted_again(store: MemoryHoldStore, clock: Clock) -> None:
    store.reserve_now("a", METERS, (CALL,), 6000.0)
    clock.now += 100
    again = MemoryHoldStore(clock)
    again.restore([store.snapshot()])

    answer = again.exchange_now("a", Demand(1, 0, 50, 200), METERS)

    assert isinstance(answer, Granted)
    assert used(again, *METERS) == (0, 200, 50, 1)
