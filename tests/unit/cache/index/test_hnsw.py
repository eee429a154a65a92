from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cache.index.hnsw import HnswIndex
from cache.index.rows import pack
from tests.support.embedding import unit_rows


def test_many_at_once_are_found_one_by_one() -> None:
    rows = unit_rows(300, 32)
    index = HnswIndex(32)

    index.extend(range(300), pack(rows))

    assert len(index) == 300
    assert sum(index.search(row, 1)[0][0] == entry_id for entry_id, row in enumerate(rows)) >= 299


def test_removals_and_replacements_make_it_stale() -> None:
    rows = unit_rows(3, 32)
    index = HnswIndex(32)
    for entry_id, row in enumerate(rows):
        index.add(entry_id, row)

    index.add(0, rows[1])
    index.remove(2)
    index.remove(2)

    assert index.stale == 2


def test_a_place_that_was_removed_is_taken_again_by_the_same_id() -> None:
    rows = unit_rows(2, 32)
    index = HnswIndex(32)
    for _ in range(50):
        index.add(1, rows[0])
        index.remove(1)

    index.add(1, rows[1])

    assert [entry_id for entry_id, _ in index.search(rows[1], 5)] == [1]


def test_it_can_be_copied_while_it_changes() -> None:
    rows = unit_rows(2000, 32)
    index = HnswIndex(32)
    index.extend(range(1000), pack(rows[:1000]))

    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(index.export)
        for entry_id in range(1000, 2000):
            index.add(entry_id, rows[entry_id])
            index.remove(entry_id - 1000)
        ids, copied = copying.result()

    assert set(ids) <= set(range(2000))
    assert np.array_equal(copied, pack(rows[list(ids)]))
