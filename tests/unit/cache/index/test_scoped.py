from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.index.rows import pack
from cache.index.scoped import ScopedIndex
from cache.index.settings import IndexSettings
from tests.support.embedding import unit_rows
from tests.support.held_back import HeldBack

DIMENSION = 384
ROWS = unit_rows(64, DIMENSION)
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def make(*, exact_up_to: int = 10_000, pool: HeldBack | None = None) -> ScopedIndex:
    return ScopedIndex(DIMENSION, IndexSettings(max_mb=1, exact_up_to=exact_up_to), (pool or HeldBack()).submit)


def fill(index: ScopedIndex, scope: bytes, count: int, first: int = 0) -> list[tuple[bytes, int]]:
    gone: list[tuple[bytes, int]] = []
    for entry_id in range(first, first + count):
        gone += index.add(scope, entry_id, ROWS[entry_id % 64])
    return gone


def test_a_vector_is_found_in_its_own_scope_only() -> None:
    index = make()
    index.add(A, 1, ROWS[0])
    index.add(B, 2, ROWS[0])

    assert [entry_id for entry_id, _ in index.search(A, ROWS[0], 5)] == [1]
    assert index.search(C, ROWS[0], 5) == []


def test_searching_makes_no_scope() -> None:
    index = make()

    index.search(A, ROWS[0], 5)
    index.remove(A, 1)

    assert index.scopes == 0


def test_the_scope_that_was_not_used_for_longest_goes_as_a_whole() -> None:
    index = make()
    fill(index, A, 800)
    fill(index, B, 800)
    index.search(A, ROWS[0], 1)

    gone = fill(index, C, 1200)

    assert sorted(gone) == [(B, entry_id) for entry_id in range(800)]
    assert index.search(B, ROWS[0], 1) == []
    assert index.search(A, ROWS[0], 1)
    assert index.evicted == 800


def test_a_scope_that_fills_the_bound_alone_loses_its_oldest_entries() -> None:
    index = make()

    gone = fill(index, A, 4000)

    assert gone
    assert gone == [(A, entry_id) for entry_id in range(len(gone))]
    assert len(index) == 4000 - len(gone)
    assert index.bytes <= 2**20


def test_an_emptied_scope_is_forgotten() -> None:
    index = make()
    index.add(A, 1, ROWS[0])

    assert index.remove(A, 1) is True
    assert index.remove(A, 1) is False
    assert (index.scopes, len(index), index.bytes) == (0, 0, 0)


def test_a_dropped_scope_says_how_many_vectors_it_held() -> None:
    index = make()
    fill(index, A, 5)
    fill(index, B, 2)

    assert index.drop(A) == 5
    assert index.drop(A) == 0
    assert len(index) == 2


def test_a_refused_vector_leaves_no_scope_behind() -> None:
    index = make()

    with pytest.raises(ValueError, match="shape"):
        index.add(A, 1, ROWS[0][:5])

    assert (index.scopes, index.bytes) == (0, 0)


def test_of_more_than_fit_the_newest_are_loaded() -> None:
    pool = HeldBack()
    index = make(exact_up_to=100, pool=pool)
    rows = pack(unit_rows(2000, DIMENSION))

    gone = index.extend(A, range(2000), rows)
    while pool.waiting:
        pool.run()
        index.search(A, ROWS[0], 1)

    assert gone[:2] == [(A, 0), (A, 1)]
    assert len(index) >= 1000
    assert index.search(A, rows[1999], 1)[0][0] == 1999
    assert index.bytes <= 1.01 * 2**20


def test_loading_nothing_makes_no_scope() -> None:
    index = make()

    assert index.extend(A, [], pack(ROWS[:0])) == []
    assert index.scopes == 0


def test_a_scope_that_is_being_loaded_is_not_forgotten() -> None:
    pool = HeldBack()
    index = make(exact_up_to=10, pool=pool)
    index.extend(A, range(50), pack(ROWS[:50]))

    index.remove(A, 3)
    pool.run()
    index.search(A, ROWS[0], 1)

    assert len(index) == 49


def test_a_graph_is_built_on_a_real_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        index = ScopedIndex(DIMENSION, IndexSettings(exact_up_to=30), pool.submit)
        for entry_id, row in enumerate(ROWS):
            index.add(A, entry_id, row)
        pool.submit(int).result()

    assert all(index.search(A, row, 1)[0][0] == entry_id for entry_id, row in enumerate(ROWS))


VERBS = st.sampled_from(["add", "add", "remove", "search", "drop", "extend", "build"])
STEPS = st.lists(st.tuples(VERBS, st.sampled_from([A, B, C]), st.integers(0, 60)), max_size=80)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_scopes_and_no_scope_sees_another(steps: list[tuple[str, bytes, int]]) -> None:
    pool = HeldBack()
    index = make(exact_up_to=12, pool=pool)
    offsets = {A: 0, B: 1000, C: 2000}

    for verb, scope, number in steps:
        entry_id = offsets[scope] + number
        if verb == "add":
            index.add(scope, entry_id, ROWS[number])
        elif verb == "remove":
            index.remove(scope, entry_id)
        elif verb == "drop":
            index.drop(scope)
        elif verb == "extend":
            index.extend(scope, [entry_id], pack(ROWS[number : number + 1]))
        elif verb == "build" and pool.waiting:
            pool.run()
        found = index.search(scope, ROWS[number], 5)
        assert all(offsets[scope] <= near < offsets[scope] + 1000 for near, _ in found)
        assert len(index) == sum(size for _, size in index.sizes())
        assert index.bytes == sum(one.bytes + 450 for one in index._scopes.values())
