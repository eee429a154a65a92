from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.domain.errors import StageUnavailableError
from policies.meters import Demand, Meter
from policies.segments import JournalInUseError
from policies.stores.holds import journal as holds_journal
from policies.stores.holds.base import Expired, Granted, Refused
from policies.stores.holds.journal import JournaledHoldStore
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.clock import Clock

START = 1_800_000_000.0
BUDGET = Meter("team|microusd", "team", "microusd", 100_000, TotalWindow())
RATE = Meter("team|requests", "team", "requests", 1000, SlidingWindow(60))
PLACES = Meter("team|concurrency", "team", "concurrency", 1000, None)
DAY = Meter("team|tokens", "team", "output_tokens", 100_000, CalendarWindow("day"))
METERS = (BUDGET, RATE, PLACES, DAY)
CALL = Demand(1, 0, 50, 100)
KILLS = 50


@pytest.fixture(params=["at_once", "by_reading"])
def way_of_snapshots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take snapshots of a small store as of a large one."""
    if request.param == "by_reading":
        monkeypatch.setattr(holds_journal, "SMALL", -1)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


Open = Callable[..., JournaledHoldStore]


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Open a store in the test's folder; the one opened before is left as a killed process would leave it."""
    opened: list[JournaledHoldStore] = []

    def start(max_segment_bytes: int = 1 << 24) -> JournaledHoldStore:
        for before in opened:
            before.close_now()
        opened.append(JournaledHoldStore(tmp_path, clock, max_segment_bytes=max_segment_bytes, sync_s=0.01))
        return opened[-1]

    yield start
    for one in opened:
        one.close_now()


def used(store: JournaledHoldStore, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in store.standing_now(meters))


def journal(folder: Path) -> Path:
    return max(folder.glob("*.journal"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Disk:
    """Stands in for `os.write`: a disk that may be full, after taking half of what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = self.takes_half = False
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd: int, content: bytes) -> int:
        if self.is_full and self.takes_half:
            return self._write(fd, content[: len(content) // 2])
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(fd, content)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_what_was_settled_is_there_after_a_restart(open_store: Open) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    store.settle_now("a", Demand(1, 0, 7, 33))

    again = open_store()

    assert used(again, *METERS) == (33, 1, 0, 7)
    assert again.recovered == ()


def test_what_was_released_extended_and_exchanged_is_as_it_was(open_store: Open, clock: Clock) -> None:
    store = open_store()
    for hold_id in "abc":
        store.reserve_now(hold_id, METERS, (CALL,), 10.0)
    store.release_now("a")
    store.extend_now("b", 100.0)
    store.exchange_now("c", Demand(1, 0, 1, 500))

    again = open_store()
    clock.now += 11

    assert used(again, *METERS) == (600, 2, 2, 51)
    assert [one.hold_id for one in again.sweep_now()] == ["c"]


def test_holds_that_were_open_are_listed_and_end_by_their_leases(open_store: Open, clock: Clock) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (Demand(), CALL), 10.0)
    clock.now += 4

    again = open_store()

    assert again.recovered == ("a",)
    assert again.sweep_now() == []
    clock.now += 6.5
    assert again.sweep_now() == [Expired("a", Demand(), charged=True)]
    assert used(again, PLACES, RATE) == (0, 1)


def test_what_ended_by_its_lease_does_not_end_again_after_a_restart(open_store: Open, clock: Clock) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 10.0)
    clock.now += 11
    store.sweep_now()

    again = open_store()

    assert again.recovered == ()
    assert used(again, BUDGET) == (100,)


def test_a_recovered_hold_is_settled_like_any_other(open_store: Open) -> None:
    open_store().reserve_now("a", METERS, (CALL,), 10.0)

    again = open_store()

    assert again.settle_now("a", Demand(1, 0, 5, 20)).was_known is True
    assert used(again, *METERS) == (20, 1, 0, 5)


def test_a_recovered_hold_is_granted_again_on_its_tier(open_store: Open) -> None:
    dear = Demand(1, 0, 0, 200_000)
    first = open_store().reserve_now("a", METERS, (dear, CALL), 10.0)

    assert open_store().reserve_now("a", METERS, (dear, CALL), 10.0) == first
    assert isinstance(first, Granted)
    assert first.tier_index == 1


def test_a_refusal_writes_nothing(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    size = journal(tmp_path).stat().st_size

    assert isinstance(store.reserve_now("a", METERS, (Demand(1, 0, 0, 100_001),), 10.0), Refused)
    assert journal(tmp_path).stat().st_size == size


def test_an_open_hold_asked_for_again_writes_nothing(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 10.0)
    size = journal(tmp_path).stat().st_size

    store.reserve_now("a", METERS, (CALL,), 10.0)

    assert journal(tmp_path).stat().st_size == size


def test_a_journal_cut_anywhere_is_read_up_to_its_last_whole_record(
    open_store: Open, tmp_path: Path, clock: Clock
) -> None:
    store = open_store()
    ends = [journal(tmp_path).stat().st_size]
    for number in range(3):
        store.reserve_now(str(number), METERS, (CALL,), 60.0)
        store.settle_now(str(number), CALL)
        ends.append(journal(tmp_path).stat().st_size)
    store.close_now()
    whole = journal(tmp_path).read_bytes()

    for length in range(len(whole) + 1):
        journal(tmp_path).write_bytes(whole[:length])
        again = open_store()
        settled = sum(length >= end for end in ends[1:])
        (spent,) = used(again, BUDGET)
        assert spent // 100 in {settled, settled + 1}
        assert spent == 100 * (settled + len(again.recovered))
        again.close_now()


def test_what_is_written_after_a_cut_is_read(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    store.close_now()
    with journal(tmp_path).open("ab") as file:
        file.write(b"\x50\x00\x00\x00half a record")
    store = open_store()
    assert store.cut_bytes == 17
    store.settle_now("a", CALL)

    assert used(open_store(), BUDGET, PLACES) == (100, 0)


def test_a_changed_byte_ends_the_journal(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    end = journal(tmp_path).stat().st_size
    store.reserve_now("b", METERS, (CALL,), 60.0)
    store.close_now()
    content = bytearray(journal(tmp_path).read_bytes())
    content[end + 12] ^= 1
    journal(tmp_path).write_bytes(content)

    assert open_store().recovered == ("a",)


def test_a_file_of_another_kind_is_an_error(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "00000001.journal").write_bytes(b"something else entirely")

    with pytest.raises(ValueError, match="journal"):
        open_store()
    (tmp_path / "00000001.journal").unlink()

    assert open_store().recovered == ()


def test_a_folder_belongs_to_one_store(open_store: Open, tmp_path: Path, clock: Clock) -> None:
    open_store()

    with pytest.raises(JournalInUseError):
        JournaledHoldStore(tmp_path, clock)


def test_a_key_may_mean_another_window_after_a_restart(open_store: Open) -> None:
    store = open_store()
    store.reserve_now("a", (RATE,), (CALL,), 60.0)
    store.settle_now("a", CALL)
    changed = Meter(RATE.key, "team", "requests", 5, SlidingWindow(10))
    store._memory.forget_changed((changed,))
    store.reserve_now("b", (changed,), (CALL,), 60.0)

    assert used(open_store(), changed) == (1,)


FORWARD = (0.0, 0.01, 1.0, 20.0)
BOTH_WAYS = (*FORWARD, -0.5, -300.0)


def run(store: JournaledHoldStore, clock: Clock, chance: random.Random, jumps_s: tuple[float, ...]) -> None:
    sets = (METERS, (BUDGET, PLACES), (RATE, DAY, PLACES), tuple(reversed(METERS)))
    for _ in range(150):
        clock.now += chance.choice(jumps_s)
        hold_id = str(chance.randrange(20))
        actual = Demand(1, 0, chance.randrange(90), chance.randrange(200))
        match chance.randrange(7):
            case 0 | 1 | 2:
                store.reserve_now(hold_id, chance.choice(sets), (actual, CALL), chance.choice([5.0, 600.0]))
            case 3:
                store.settle_now(hold_id, actual)
            case 4:
                store.exchange_now(hold_id, actual, chance.choice([None, METERS]))
            case 5:
                store.extend_now(hold_id, 50.0)
            case _:
                store.sweep_now()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("max_segment_bytes", [500, 5000, 1 << 24])
@pytest.mark.usefixtures("way_of_snapshots")
def test_a_restart_changes_nothing(open_store: Open, clock: Clock, seed: int, max_segment_bytes: int) -> None:
    chance = random.Random(seed)  # noqa: S311  reproducible, nothing secret
    store = open_store(max_segment_bytes)

    for _ in range(4):
        run(store, clock, chance, FORWARD)
        before = used(store, *METERS), set(store._memory.open_holds())
        store = open_store(max_segment_bytes)
        assert (used(store, *METERS), set(store._memory.open_holds())) == before


@pytest.mark.usefixtures("way_of_snapshots")
def test_windows_still_count_after_a_restart_at_the_very_beginning_of_a_journal(
    open_store: Open, tmp_path: Path
) -> None:
    store = open_store(max_segment_bytes=1)
    store.reserve_now("a", METERS, (CALL,), 60.0)
    before = used(store, *METERS)
    wait_for(lambda: bool(list(tmp_path.glob("*.snapshot"))))

    assert used(open_store(), *METERS) == before == (100, 1, 1, 50)


@pytest.mark.parametrize("seed", range(20))
def test_a_restart_after_the_clock_jumped_about_forgets_no_budget(open_store: Open, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  reproducible, nothing secret
    store = open_store(5000)

    for _ in range(4):
        run(store, clock, chance, BOTH_WAYS)
        # Windows may differ by what left or stayed at a look that counted nothing, for such looks are not written: a
        # store that saw midnight before its clock went back counts in the new day, a restarted one in the old.
        before = used(store, BUDGET, PLACES), set(store._memory.open_holds())
        store = open_store(5000)
        assert (used(store, BUDGET, PLACES), set(store._memory.open_holds())) == before


@pytest.mark.usefixtures("way_of_snapshots")
def test_a_long_journal_is_replaced_by_how_everything_stood(open_store: Open, tmp_path: Path) -> None:
    store = open_store(max_segment_bytes=4000)
    store.reserve_now("open", METERS, (CALL,), 60.0)

    for number in range(500):
        store.reserve_now(str(number), METERS, (CALL,), 60.0)
        store.settle_now(str(number), Demand(1, 0, 1, 1))
        if number % 50 == 0:
            wait_for(lambda: not store._is_compacting.is_set())
    wait_for(lambda: not store._is_compacting.is_set())

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
    assert len(list(tmp_path.glob("*.snapshot"))) == 1
    assert used(open_store(), *METERS) == (600, 501, 1, 550)


@pytest.mark.usefixtures("way_of_snapshots")
def test_a_process_that_ends_between_two_segments_loses_nothing(open_store: Open, tmp_path: Path) -> None:
    store = open_store(max_segment_bytes=1000)
    store._is_closing.set()  # no thread: the segments stay as they are
    store._wake.set()
    store._keeper.join()
    for number in range(50):
        store.reserve_now(str(number), METERS, (CALL,), 60.0)
        store.settle_now(str(number), Demand(1, 0, 1, 1))
    assert len(list(tmp_path.glob("*.journal"))) == 2
    (tmp_path / "00000002.draft").write_bytes(b"half a snapsh")

    again = open_store()

    assert used(again, *METERS) == (50, 50, 0, 50)
    assert not list(tmp_path.glob("*.draft"))


def test_a_full_disk_refuses_budgets_and_lets_others_pass(open_store: Open, disk: Disk) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    disk.is_full = True

    with pytest.raises(StageUnavailableError):
        store.reserve_now("b", METERS, (CALL,), 60.0)

    assert isinstance(store.reserve_now("c", (RATE, PLACES), (CALL,), 60.0), Granted)
    assert used(store, *METERS) == (100, 2, 2, 50)
    assert store.failed_writes == 2


def test_a_full_disk_refuses_the_exchange_of_a_budget(open_store: Open, disk: Disk) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    disk.is_full = True

    with pytest.raises(StageUnavailableError):
        store.exchange_now("a", Demand(1, 0, 50, 900))

    assert store.settle_now("a", CALL).was_known is True
    assert used(store, BUDGET, PLACES) == (100, 0)


def test_settling_never_fails_on_a_full_disk(open_store: Open, disk: Disk) -> None:
    store = open_store()
    for hold_id in "abc":
        store.reserve_now(hold_id, METERS, (CALL,), 10.0)
    disk.is_full = True

    assert store.settle_now("a", Demand(1, 0, 1, 1)).was_known is True
    assert store.release_now("b") is True
    assert store.extend_now("c", 5.0) is True
    assert store.failed_writes == 3


@pytest.mark.parametrize("takes", ["nothing", "half"])
def test_what_a_full_disk_missed_is_put_down_once_it_has_room(open_store: Open, disk: Disk, takes: str) -> None:
    store = open_store()
    for hold_id in "ab":
        store.reserve_now(hold_id, METERS, (CALL,), 60.0)
    disk.is_full, disk.takes_half = True, takes == "half"
    store.settle_now("a", Demand(1, 0, 1, 1))
    store.sweep_now()
    disk.is_full = False
    store.reserve_now("c", METERS, (CALL,), 60.0)
    store.sweep_now()
    store.settle_now("b", Demand(1, 0, 2, 2))
    wait_for(lambda: not store._is_compacting.is_set())

    again = open_store()

    assert used(again, *METERS) == (103, 3, 1, 53)
    assert again.recovered == ("c",)


def test_a_killed_process_finds_its_ceiling_where_a_settle_was_not_written(open_store: Open, disk: Disk) -> None:
    store = open_store()
    store.reserve_now("a", METERS, (CALL,), 60.0)
    disk.is_full = True
    store.settle_now("a", Demand(1, 0, 1, 1))
    disk.is_full = False

    again = open_store()

    assert used(again, BUDGET) == (100,)
    assert again.recovered == ("a",)


def test_meters_first_named_on_a_full_disk_are_named_again_in_the_journal(open_store: Open, disk: Disk) -> None:
    store, rates = open_store(), (RATE, PLACES)
    disk.is_full = True
    store.reserve_now("a", rates, (CALL,), 60.0)
    disk.is_full = False
    store.reserve_now("b", rates, (CALL,), 60.0)

    again = open_store()

    assert used(again, *rates) == (1, 1)
    assert again.recovered == ("b",)


def test_what_is_asked_after_closing_is_not_kept(open_store: Open) -> None:
    store = open_store()
    store.close_now()

    with pytest.raises(StageUnavailableError):
        store.reserve_now("a", METERS, (CALL,), 60.0)


def test_closing_ends_the_thread(open_store: Open) -> None:
    store = open_store()

    store.close_now()

    assert store._keeper not in threading.enumerate()


PROGRAM = """
import os, sys, time
from pathlib import Path
from policies.meters import Demand, Meter
from policies.stores.holds.journal import JournaledHoldStore
from policies.windows import TotalWindow
meters = (Meter("team|microusd", "team", "microusd", 10**9, TotalWindow()),)
store = JournaledHoldStore(Path(sys.argv[1]), time.time, max_segment_bytes=20_000)
for number in range(10**9):
    hold_id = f"{sys.argv[2]}-{number}"
    store.reserve_now(hold_id, meters, (Demand(1, 0, 0, 1000),), 3600.0)
    store.settle_now(hold_id, Demand(1, 0, 0, 3))
    os.write(1, hold_id.encode() + b"\\n")
"""


def test_a_killed_process_has_lost_nothing_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311  reproducible, nothing secret
    acknowledged = 0

    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), str(kill)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        heard = process.stdout.read(chance.choice([1, 100, 3000, 20_000]))
        process.kill()
        heard += process.stdout.read()
        process.wait()
        process.stdout.close()
        acknowledged += heard.count(b"\n")

        store = JournaledHoldStore(tmp_path, time.time, max_segment_bytes=20_000)
        (spent,) = used(store, BUDGET)
        settled, open_holds = (spent - 1000 * len(store.recovered)) // 3, len(store.recovered)
        assert acknowledged <= settled <= acknowledged + kill + 1
        assert spent == 3 * settled + 1000 * open_holds
        assert not {one.encode() for one in store.recovered} & set(heard.split())
        store.close_now()
