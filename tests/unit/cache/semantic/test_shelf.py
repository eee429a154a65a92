from __future__ import annotations

import numpy as np
import pytest

from cache.semantic.readings import shrink
from cache.semantic.shelf import Kept, Shelf, clues_in
from cache.verifier.reader import read

READING = shrink(read("How long should an egg boil?"))
KEPT = Kept(READING, b"answer", 1000.5, 2000.25)
ROWS = np.arange(12, dtype=np.int8).reshape(4, 3)


@pytest.mark.parametrize("kept", [KEPT, Kept(b"", b"", 0.0, 0.0), Kept(READING, bytes(500), -1.0, 4e9)])
def test_a_record_says_the_same(kept: Kept) -> None:
    assert Kept.unpack(kept.pack()) == kept


def test_what_another_version_of_the_reader_wrote_has_no_clues() -> None:
    assert clues_in(KEPT) is not None
    assert clues_in(Kept(b"of another version", b"", 1.0, 2.0)) is None


def test_an_entry_is_kept_until_it_is_dropped_and_so_is_its_size() -> None:
    shelf = Shelf(10)
    empty = shelf.size
    shelf.put(1, KEPT, clues_in(KEPT))
    held, size = shelf.get(1), shelf.size

    assert shelf.drop(1)
    assert not shelf.drop(1)
    assert (held, shelf.get(1)) == (KEPT, None)
    assert size >= empty + KEPT.size
    assert shelf.size == empty


def test_rows_that_wait_are_taken_once_in_order() -> None:
    shelf = Shelf(10)
    for one in (1, 2, 3):
        shelf.put(one, KEPT, None)
    shelf.let_wait([1, 2], ROWS[:2])
    shelf.let_wait([3], ROWS[2:3])

    ids, rows = shelf.take_waiting()

    assert (list(ids), rows.tolist()) == ([1, 2, 3], ROWS[:3].tolist())
    assert len(shelf.take_waiting()[0]) == 0


def test_of_an_id_that_waits_twice_the_last_row_is_taken_and_of_a_dropped_one_none() -> None:
    shelf = Shelf(10)
    for one in (1, 2, 3):
        shelf.put(one, KEPT, None)
    shelf.let_wait([1, 2, 3], ROWS[:3])
    shelf.drop(1)
    shelf.drop(3)
    shelf.put(3, KEPT, None)
    shelf.let_wait([3], ROWS[3:])

    ids, rows = shelf.take_waiting()

    assert (list(ids), rows.tolist()) == ([2, 3], [ROWS[1].tolist(), ROWS[3].tolist()])
