from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.index.growing import Build, Form
from cache.index.rows import pack
from cache.index.settings import IndexSettings
from cache.semantic.entries import ScopedEntries
from cache.semantic.readings import shrink
from cache.semantic.shelf import Kept
from cache.verifier.reader import read
from tests.support.embedding import unit_rows

D = 64
A, B, C = b"a", b"b", b"c"
TEXT = "How long should an egg boil?"
READING = read(TEXT)
KEPT = Kept(shrink(READING), b"answer", 1000.0, 2000.0)
ROWS = pack(unit_rows(6000, D))


def at_once(build: Build) -> Future[Form]:
    future: Future[Form] = Future()
    future.set_result(build())
    return future


@pytest.fixture
def entries() -> ScopedEntries:
    return ScopedEntries(D, IndexSettings(max_mb=4, exact_up_to=100), at_once)


def kept_of(text: str) -> Kept:
    return Kept(shrink(read(text)), text.encode(), 1000.0, 2000.0)


def some(ids: range) -> dict[int, tuple[Kept, NDArray[np.int8]]]:
    return {one: (KEPT, ROWS[one]) for one in ids}


def nearest(entries: ScopedEntries, scope: bytes, entry_id: int) -> int | None:
    found = entries.search(scope, ROWS[entry_id], 1)
    return found[0][0] if found else None


def test_an_entry_is_found_in_its_scope_only(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)

    [(entry_id, similarity, kept)] = entries.search(A, ROWS[1], 3)

    assert (entry_id, kept) == (1, KEPT)
    assert similarity == pytest.approx(1.0, abs=1e-5)
    assert entries.search(B, ROWS[1], 3) == []
    assert (entries.holds(A), entries.holds(B)) == (True, False)


def test_an_entry_is_told_by_id(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)
    entries.add(B, 2, KEPT, ROWS[2], READING)

    assert (entries.find(1), entries.find(2), entries.find(3)) == (A, B, None)
    assert (entries.has(A, 1), entries.has(B, 1)) == (True, False)


def test_one_of_the_same_id_is_replaced(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)
    entries.add(A, 1, Kept(KEPT.reading, b"other", 1.0, 2.0), ROWS[2], READING)

    assert [kept.answer for _, _, kept in entries.search(A, ROWS[2], 3)] == [b"other"]
    assert len(entries) == 1


def test_a_removed_entry_is_gone_and_its_scope_with_it(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)

    assert entries.remove(A, 1)
    assert not entries.remove(A, 1)
    assert (len(entries), entries.scopes, entries.holds(A), entries.search(A, ROWS[1], 3)) == (0, 0, False, [])


def test_sizes_return_to_nothing(entries: ScopedEntries) -> None:
    for one in range(50):
        entries.add(bytes([one % 5]), one, KEPT, ROWS[one], READING)
    assert entries.size > 50 * (D + KEPT.size)

    for one in range(50):
        entries.remove(bytes([one % 5]), one)

    assert entries.size == 0


def test_a_row_of_another_length_changes_nothing(entries: ScopedEntries) -> None:
    short = np.ones(D - 1, np.int8)
    with pytest.raises(ValueError, match="shape"):
        entries.add(A, 1, KEPT, short, READING)
    with pytest.raises(ValueError, match="rows of"):
        entries.extend(A, {1: (KEPT, short)})

    assert (len(entries), entries.size) == (0, 0)


def test_what_was_written_earlier_is_found_at_once_in_a_small_scope(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(50)))

    assert nearest(entries, A, 49) == 49
    assert len(entries) == 50


def test_what_is_here_already_stays(entries: ScopedEntries) -> None:
    own = Kept(KEPT.reading, b"own", 1000.0, 2.0)
    entries.add(A, 1, own, ROWS[1], READING)

    entries.extend(A, some(range(3)))

    assert entries.search(A, ROWS[1], 1)[0][2] == own
    assert len(entries) == 3


def test_what_was_stored_again_is_renewed(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(3)))
    again = Kept(KEPT.reading, b"again", 1500.0, 2500.0)
    before = Kept(KEPT.reading, b"before", 500.0, 1500.0)

    entries.extend(A, {1: (again, ROWS[1]), 2: (before, ROWS[2])})

    assert [entries.search(A, ROWS[one], 1)[0][2] for one in (1, 2)] == [again, KEPT]
    assert len(entries) == 3


def test_it_is_told_which_entry_is_older(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)

    assert [entries.is_older(A, 1, at) for at in (999.0, 1000.0, 1001.0)] == [False, False, True]
    assert entries.is_older(A, 2, 0.0)
    assert entries.is_older(B, 1, 0.0)


def test_a_large_scope_is_found_whole_once_loading_ends(entries: ScopedEntries) -> None:
    for start in range(0, 1000, 50):
        entries.extend(A, some(range(start, start + 50)))
    assert nearest(entries, A, 0) == 0
    assert nearest(entries, A, 999) != 999

    entries.finish()

    assert nearest(entries, A, 999) == 999
    assert nearest(entries, A, 500) == 500
    assert len(entries) == 1000


def test_an_entry_that_was_removed_while_it_waited_does_not_come_back(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(90)))
    entries.extend(A, some(range(90, 200)))

    entries.remove(A, 150)
    entries.finish()

    assert nearest(entries, A, 150) != 150
    assert nearest(entries, A, 151) == 151


def test_an_entry_that_is_added_while_it_waits_stays_as_it_is(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(90)))
    entries.extend(A, some(range(90, 200)))
    own = Kept(KEPT.reading, b"own", 1.0, 2.0)
    entries.add(A, 150, own, ROWS[150], READING)

    entries.finish()

    entry_id, _, kept = entries.search(A, ROWS[150], 1)[0]
    assert (entry_id, kept) == (150, own)


def test_finishing_twice_is_harmless(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(200)))
    entries.finish()
    size = entries.size

    entries.finish()

    assert entries.size == size


def test_beyond_the_bound_the_scope_least_recently_used_goes_whole() -> None:
    entries = ScopedEntries(D, IndexSettings(max_mb=1), at_once)
    entries.extend(A, some(range(500)))
    entries.extend(B, some(range(1000, 1500)))
    entries.search(A, ROWS[0], 1)

    entries.extend(C, some(range(2000, 4000)))

    assert (entries.holds(A), entries.holds(B), entries.holds(C)) == (True, False, True)
    assert entries.evicted == 500
    assert entries.size <= 2**20


def test_of_the_only_scope_the_oldest_entries_go() -> None:
    entries = ScopedEntries(D, IndexSettings(max_mb=1), at_once)
    for one in range(3000):
        entries.add(A, one, KEPT, ROWS[one], READING)

    assert entries.size <= 2**20
    assert nearest(entries, A, 2999) == 2999
    assert not entries.has(A, 0)
    assert len(entries) + entries.evicted == 3000


def test_the_bound_holds_over_readings_too() -> None:
    entries = ScopedEntries(D, IndexSettings(max_mb=1), at_once)
    long = Kept(bytes(10_000), b"", 0.0, 1.0)
    for one in range(200):
        entries.add(bytes([one]), one, long, ROWS[one], READING)

    assert entries.size <= 2**20
    assert 50 < len(entries) < 105


def test_loading_more_than_fits_keeps_the_bound_and_the_youngest() -> None:
    entries = ScopedEntries(D, IndexSettings(max_mb=1, exact_up_to=100), at_once)
    for start in range(0, 6000, 250):
        entries.extend(A, some(range(start, start + 250)))
        assert entries.size <= 2**20
    entries.finish()

    assert entries.size <= 2**20
    assert nearest(entries, A, 5999) == 5999
    assert not entries.has(A, 0)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(1)
    yield pool
    pool.shutdown()


def test_a_graph_on_its_way_loses_nothing(thread: ThreadPoolExecutor) -> None:
    entries = ScopedEntries(D, IndexSettings(max_mb=64, exact_up_to=100), thread.submit)
    entries.extend(A, some(range(2000)))
    entries.finish()
    for one in range(2000, 2100):
        entries.add(A, one, KEPT, ROWS[one], READING)
    while nearest(entries, A, 1) != 1:
        pass

    assert [nearest(entries, A, one) for one in (0, 1999, 2000, 2099)] == [0, 1999, 2000, 2099]


def test_a_scope_is_plausible_for_questions_with_a_common_word(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], READING)

    assert entries.is_plausible(A, read("Which eggs are the largest?"))
    assert not entries.is_plausible(A, read("What is the capital of Chile?"))
    assert not entries.is_plausible(B, READING)


def test_what_was_loaded_is_plausible_as_well(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(2)))

    assert entries.is_plausible(A, read("Which eggs are the largest?"))
    assert not entries.is_plausible(A, read("What is the capital of Chile?"))


def test_in_a_large_scope_too_one_entry_must_share_the_words(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(300)))
    for one, text in enumerate(["Who was king of Spain?", "What is the capital of Chile?"], 300):
        entries.add(A, one, kept_of(text), ROWS[one], read(text))

    assert entries.is_plausible(A, read("Which is Chile's capital?"))
    assert not entries.is_plausible(A, read("What do penguins eat in the wild?"))


def test_what_was_removed_is_not_plausible_any_more(entries: ScopedEntries) -> None:
    entries.extend(A, some(range(3)))
    entries.add(A, 7, kept_of("What is the capital of Chile?"), ROWS[7], read("What is the capital of Chile?"))

    entries.remove(A, 7)

    assert not entries.is_plausible(A, read("What is the capital of Chile?"))
    assert entries.is_plausible(A, READING)


def test_what_another_version_of_the_reader_wrote_is_left_out(entries: ScopedEntries) -> None:
    old = Kept(b"of another version", b"", 1.0, 2.0)

    entries.extend(A, {1: (old, ROWS[1]), 2: (KEPT, ROWS[2])})
    entries.extend(B, {3: (old, ROWS[3])})

    assert (len(entries), nearest(entries, A, 2), entries.holds(B)) == (1, 2, False)


def test_words_are_counted_in_the_size(entries: ScopedEntries) -> None:
    entries.add(A, 1, KEPT, ROWS[1], read("Is it?"))
    entries.add(B, 2, KEPT, ROWS[2], read("Is it?"))
    blank = entries.size
    entries.remove(A, 1)

    entries.add(A, 1, KEPT, ROWS[1], READING)

    assert entries.size > blank


def test_a_large_scope_that_had_to_go_is_cleared_by_later_calls(entries: ScopedEntries) -> None:
    small = ScopedEntries(D, IndexSettings(max_mb=1), at_once)
    small.extend(A, some(range(1000)))
    kept = weakref.ref(small._shelves[A])
    small.extend(B, some(range(1000, 3000)))
    assert not small.holds(A)

    for one in range(3000, 3040):
        small.add(C, one, KEPT, ROWS[one], READING)

    gc.collect()
    assert kept() is None
