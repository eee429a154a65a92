from __future__ import annotations

import numpy as np

from cache.index.exact import ExactIndex
from cache.index.rows import pack
from tests.support.embedding import unit_rows


def test_of_equal_vectors_the_oldest_comes_first() -> None:
    index = ExactIndex(16)
    row = unit_rows(1, 16)[0]
    for entry_id in (5, 3, 9, 1):
        index.add(entry_id, row)

    assert [entry_id for entry_id, _ in index.search(row, 4)] == [5, 3, 9, 1]


def test_rows_beyond_a_block_are_compared_with_as_well() -> None:
    index, rows = ExactIndex(16), unit_rows(1300, 16)
    index.extend(range(1300), pack(rows))

    assert [index.search(rows[place], 1)[0][0] for place in (0, 511, 512, 1299)] == [0, 511, 512, 1299]


def test_many_at_once_are_as_many_one_by_one() -> None:
    rows = unit_rows(20, 16)
    at_once, one_by_one = ExactIndex(16), ExactIndex(16)
    at_once.extend(range(20), pack(rows))
    for entry_id, row in enumerate(rows):
        one_by_one.add(entry_id, row)

    assert at_once.search(rows[7], 20) == one_by_one.search(rows[7], 20)
    assert at_once.bytes == one_by_one.bytes


def test_an_exported_row_is_a_copy() -> None:
    index = ExactIndex(16)
    index.add(1, unit_rows(1, 16)[0])

    _, rows = index.export()
    rows[:] = 0
    index.add(2, unit_rows(2, 16)[1])

    assert np.count_nonzero(index.export()[1][0])
