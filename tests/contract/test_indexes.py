"""Every form of an index, against comparing with everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cache.index.base import Index
from cache.index.exact import ExactIndex
from cache.index.growing import Build, Form, GrowingIndex
from cache.index.hnsw import HnswIndex
from cache.index.rows import pack
from cache.index.settings import IndexSettings
from tests.support.embedding import unit_rows

DIMENSION: Final = 32
PACKING: Final = 0.01
"""How much 8 bits may move a similarity, at most, at this dimension."""

SETTINGS: Final = IndexSettings(exact_up_to=20)


def at_once(build: Build) -> Future[Form]:
    future: Future[Form] = Future()
    future.set_result(build())
    return future


INDEXES: Final[Mapping[str, Callable[[], Index]]] = {
    "exact": lambda: ExactIndex(DIMENSION),
    "hnsw": lambda: HnswIndex(DIMENSION),
    "growing": lambda: GrowingIndex(DIMENSION, SETTINGS, at_once),
}


@pytest.fixture(params=INDEXES)
def make(request: pytest.FixtureRequest) -> Callable[[], Index]:
    return INDEXES[request.param]


@pytest.fixture
def index(make: Callable[[], Index]) -> Index:
    return make()


def filled(make: Callable[[], Index], rows: NDArray[np.float32]) -> Index:
    index = make()
    for entry_id, row in enumerate(rows):
        index.add(entry_id, row)
    return index


def nearest(rows: NDArray[np.float32], vector: NDArray[np.float32], k: int) -> list[int]:
    return [int(place) for place in np.argsort(-(rows @ vector), kind="stable")[:k]]


def test_an_empty_index_finds_nothing(index: Index) -> None:
    assert index.search(unit_rows(1, DIMENSION)[0], 5) == []
    assert len(index) == 0
    assert index.oldest(5) == []


def test_a_vector_finds_itself_at_a_similarity_of_one(make: Callable[[], Index]) -> None:
    rows = unit_rows(50, DIMENSION)
    index = filled(make, rows)

    for entry_id, row in enumerate(rows):
        (found, similarity), *_ = index.search(row, 1)
        assert found == entry_id
        assert similarity == pytest.approx(1.0, abs=PACKING)


def test_what_is_found_is_what_comparing_with_everything_finds(make: Callable[[], Index]) -> None:
    rows = unit_rows(400, DIMENSION)
    index = filled(make, rows)
    asked = unit_rows(100, DIMENSION, seed=1)

    found = [index.search(vector, 5) for vector in asked]

    hits = sum(
        len({entry_id for entry_id, _ in one} & set(nearest(rows, vector, 5)))
        for one, vector in zip(found, asked, strict=True)
    )
    assert hits >= 0.95 * 5 * len(asked)


def test_similarities_are_cosines_and_fall(make: Callable[[], Index]) -> None:
    rows = unit_rows(100, DIMENSION)
    index = filled(make, rows)
    vector = unit_rows(1, DIMENSION, seed=2)[0]

    found = index.search(vector, 10)

    assert [similarity for _, similarity in found] == sorted((similarity for _, similarity in found), reverse=True)
    for entry_id, similarity in found:
        assert similarity == pytest.approx(float(rows[entry_id] @ vector), abs=PACKING)


def test_fewer_than_asked_for_are_found_where_there_are_fewer(make: Callable[[], Index]) -> None:
    index = filled(make, unit_rows(3, DIMENSION))

    assert len(index.search(unit_rows(1, DIMENSION, seed=1)[0], 10)) == 3
    assert index.search(unit_rows(1, DIMENSION, seed=1)[0], 0) == []


def test_a_removed_vector_is_not_found(make: Callable[[], Index]) -> None:
    rows = unit_rows(60, DIMENSION)
    index = filled(make, rows)

    assert all(index.remove(entry_id) for entry_id in range(0, 60, 2))

    assert len(index) == 30
    assert 2 not in index
    assert 3 in index
    assert all(entry_id % 2 for row in rows for entry_id, _ in index.search(row, 5))


def test_removing_what_is_not_there_says_so(index: Index) -> None:
    index.add(7, unit_rows(1, DIMENSION)[0])

    assert index.remove(8) is False
    assert index.remove(7) is True
    assert index.remove(7) is False


def test_a_second_vector_of_an_id_replaces_the_first(index: Index) -> None:
    first, second = unit_rows(2, DIMENSION)
    index.add(7, first)
    index.add(8, first)

    index.add(7, second)

    assert len(index) == 2
    assert index.search(second, 1)[0][0] == 7
    assert index.search(first, 1)[0][0] == 8
    assert index.oldest(2) == [8, 7]


def test_the_oldest_come_in_the_order_of_adding(make: Callable[[], Index]) -> None:
    index = filled(make, unit_rows(50, DIMENSION))
    index.remove(1)

    assert index.oldest(3) == [0, 2, 3]


def test_ids_may_be_as_large_as_a_database_makes_them(index: Index) -> None:
    row = unit_rows(1, DIMENSION)[0]

    index.add(2**63 - 1, row)

    assert index.search(row, 1)[0][0] == 2**63 - 1
    assert 2**63 - 1 in index


def test_a_packed_row_is_as_good_as_the_vector_it_was_made_of(make: Callable[[], Index]) -> None:
    rows = unit_rows(30, DIMENSION)
    plain, packed = filled(make, rows), make()
    for entry_id, row in enumerate(rows):
        packed.add(entry_id, pack(row))

    assert plain.search(rows[3], 5) == packed.search(rows[3], 5)


def test_what_is_exported_can_be_added_elsewhere(make: Callable[[], Index]) -> None:
    rows = unit_rows(150, DIMENSION)
    index = filled(make, rows)
    index.remove(5)

    ids, packed = index.export()

    assert list(ids) == [entry_id for entry_id in range(150) if entry_id != 5]
    assert np.array_equal(packed, pack(rows[list(ids)]))


def test_a_vector_of_another_length_is_refused(index: Index) -> None:
    row = unit_rows(1, DIMENSION + 1)[0]

    with pytest.raises(ValueError, match="shape"):
        index.add(1, row)
    with pytest.raises(ValueError, match="shape"):
        index.search(row, 1)
    assert len(index) == 0


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_vector_without_a_direction_is_refused(index: Index, value: float) -> None:
    with pytest.raises(ValueError, match="direction"):
        index.add(1, np.full(DIMENSION, value, np.float32))
    assert len(index) == 0


def test_more_vectors_take_more_memory_and_removed_ones_give_it_back(make: Callable[[], Index]) -> None:
    empty = make().bytes
    index = filled(make, unit_rows(100, DIMENSION))
    full = index.bytes

    for entry_id in range(100):
        index.remove(entry_id)

    assert full >= empty + 100 * DIMENSION
    assert index.bytes == empty


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "add", "remove", "search"]), st.integers(0, 39)), max_size=120
)


@pytest.mark.parametrize("name", INDEXES)
@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_whatever_is_done_the_index_holds_what_a_dict_would(name: str, steps: list[tuple[str, int]]) -> None:
    index, rows = INDEXES[name](), unit_rows(40, DIMENSION)
    kept: dict[int, None] = {}

    for verb, entry_id in steps:
        if verb == "add":
            index.add(entry_id, rows[entry_id])
            kept.pop(entry_id, None)
            kept[entry_id] = None
        elif verb == "remove":
            assert index.remove(entry_id) is (entry_id in kept)
            kept.pop(entry_id, None)
        else:
            assert {found for found, _ in index.search(rows[entry_id], 40)} <= set(kept)
        assert len(index) == len(kept)

    assert index.oldest(40) == list(kept)
    assert all(index.search(rows[entry_id], 1)[0][0] == entry_id for entry_id in kept)
