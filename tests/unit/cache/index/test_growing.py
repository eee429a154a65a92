from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.index.growing import MOST_AT_ONCE, GrowingIndex
from cache.index.rows import pack
from cache.index.settings import IndexSettings
from tests.support.embedding import unit_rows
from tests.support.held_back import HeldBack

DIMENSION = 32
BOUND = 20
ROWS = unit_rows(400, DIMENSION)


def make(pool: HeldBack, *, exact_up_to: int = BOUND, stale_share: float = 0.5) -> GrowingIndex:
    return GrowingIndex(DIMENSION, IndexSettings(exact_up_to=exact_up_to, stale_share=stale_share), pool.submit)


def fill(index: GrowingIndex, first: int, last: int) -> None:
    for entry_id in range(first, last):
        index.add(entry_id, ROWS[entry_id])


def graph_of(count: int, pool: HeldBack) -> GrowingIndex:
    index = make(pool)
    fill(index, 0, count)
    while index.is_building:
        pool.run()
        index.settle()
    return index


def finds_itself(index: GrowingIndex, entry_id: int) -> bool:
    return [found for found, _ in index.search(ROWS[entry_id], 1)] == [entry_id]


def test_up_to_its_bound_it_is_exact() -> None:
    pool = HeldBack()
    index = make(pool)

    fill(index, 0, BOUND)

    assert index.is_exact
    assert not index.is_building


def test_beyond_it_a_graph_is_built_while_searches_go_on() -> None:
    pool = HeldBack()
    index = make(pool)

    fill(index, 0, BOUND + 1)

    assert index.is_exact
    assert index.is_building
    assert finds_itself(index, BOUND)
    pool.run()
    assert finds_itself(index, BOUND)
    assert not index.is_exact
    assert len(index) == BOUND + 1


def test_what_changed_meanwhile_is_in_the_graph() -> None:
    pool = HeldBack()
    index = make(pool)
    fill(index, 0, BOUND + 1)
    index.add(300, ROWS[300])
    index.remove(3)
    index.add(4, ROWS[304])
    index.add(301, ROWS[301])
    index.remove(301)

    pool.run()
    index.settle()

    assert not index.is_exact
    assert finds_itself(index, 300)
    assert 3 not in index
    assert 301 not in index
    assert [found for found, _ in index.search(ROWS[304], 1)] == [4]
    assert len(index) == BOUND + 1


def test_many_changes_are_caught_up_with_on_the_thread() -> None:
    pool = HeldBack()
    index = make(pool)
    fill(index, 0, BOUND + 1)
    fill(index, BOUND + 1, BOUND + 2 + MOST_AT_ONCE)

    pool.run()
    index.settle()

    assert index.is_exact
    assert index.is_building
    assert finds_itself(index, BOUND + 1)
    pool.run()
    index.settle()
    assert not index.is_exact
    assert len(index) == BOUND + 2 + MOST_AT_ONCE
    assert index.oldest(1000) == list(range(BOUND + 2 + MOST_AT_ONCE))


def test_a_build_that_fails_leaves_what_there_is_and_is_tried_again_at_twice_the_size() -> None:
    pool = HeldBack()
    index = make(pool)
    fill(index, 0, BOUND + 1)
    _, future = pool.waiting.pop()
    future.set_exception(MemoryError())

    fill(index, BOUND + 1, 2 * BOUND + 2)

    assert index.failures == 1
    assert index.is_exact
    assert finds_itself(index, BOUND + 1)
    fill(index, 2 * BOUND + 2, 2 * BOUND + 4)
    assert index.is_building


def test_after_the_executor_is_shut_down_it_stays_as_it_is() -> None:
    pool = HeldBack()
    index = make(pool)
    pool.is_shut = True

    fill(index, 0, BOUND + 1)

    assert index.failures == 1
    assert finds_itself(index, BOUND)


def test_a_graph_with_many_removed_entries_is_built_anew() -> None:
    pool = HeldBack()
    index = graph_of(60, pool)
    begun = pool.begun

    for entry_id in range(30):
        index.remove(entry_id)
    while index.is_building:
        pool.run()
        index.settle()

    assert pool.begun == begun + 1
    assert not index.is_exact
    assert index.oldest(100) == list(range(30, 60))
    assert all(finds_itself(index, entry_id) for entry_id in range(30, 60))


def test_a_scope_that_shrank_becomes_exact_again() -> None:
    pool = HeldBack()
    index = graph_of(60, pool)

    for entry_id in range(58):
        index.remove(entry_id)
        while pool.waiting:
            pool.run()
            index.settle()

    assert index.is_exact
    assert index.oldest(100) == [58, 59]


def test_few_vectors_that_were_written_down_are_there_at_once() -> None:
    pool = HeldBack()
    index = make(pool)
    index.add(300, ROWS[300])

    index.extend([1, 2], pack(ROWS[1:3]))

    assert len(index) == 3
    assert finds_itself(index, 2)
    assert not index.is_building


def test_many_are_there_once_the_graph_is_built_and_newer_ones_win() -> None:
    pool = HeldBack()
    index = make(pool)
    index.add(7, ROWS[300])

    index.extend(range(100), pack(ROWS[:100]))
    index.add(8, ROWS[308])
    index.remove(9)

    assert len(index) == 2
    pool.run()
    index.settle()
    assert len(index) == 99
    assert finds_itself(index, 50)
    assert [found for found, _ in index.search(ROWS[300], 1)] == [7]
    assert [found for found, _ in index.search(ROWS[308], 1)] == [8]
    assert 9 not in index


def test_more_may_be_loaded_while_a_graph_is_built() -> None:
    pool = HeldBack()
    index = make(pool)
    index.extend(range(50), pack(ROWS[:50]))

    index.remove(120)
    index.extend(range(100, 150), pack(ROWS[100:150]))
    while index.is_building:
        pool.run()
        index.settle()

    assert len(index) == 99
    assert 120 not in index
    assert finds_itself(index, 149)


def test_what_is_being_loaded_counts_as_memory() -> None:
    pool = HeldBack()
    index = make(pool)
    index.extend(range(100), pack(ROWS[:100]))
    promised = index.bytes

    pool.run()
    index.settle()

    assert promised >= 100 * DIMENSION
    assert index.bytes == pytest.approx(promised, rel=0.05)


@pytest.mark.parametrize("rows", [pack(ROWS[:3]), pack(unit_rows(2, DIMENSION + 1))])
def test_rows_that_do_not_fit_their_ids_are_refused(rows: NDArray[np.int8]) -> None:
    with pytest.raises(ValueError, match="shape"):
        make(HeldBack()).extend([1, 2], rows)
