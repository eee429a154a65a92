from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from router.scoring.reading import read
from router.scoring.rows import BUCKETS, rows_of, runs_of


def runs(text: str) -> NDArray[np.uint32]:
    return runs_of(read(text, len(text)).words)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("one", 1), ("one two", 3), ("one two three", 6), ("a b c d", 9)])
def test_runs_of_up_to_three_words(text: str, count: int) -> None:
    assert len(runs(text)) == count


def test_a_pair_has_the_same_hash_in_any_text() -> None:
    assert runs("prime number")[-1] in runs("is every prime number odd")


def test_the_order_of_a_pair_counts() -> None:
    assert runs("prime number")[-1] != runs("number prime")[-1]


def test_each_row_is_kept_once_and_kinds_of_run_are_apart() -> None:
    rows, pairs, triples = rows_of(runs("to be or not to be"), 6)

    assert len(rows) == len(set(rows.tolist()))
    assert (pairs, triples - pairs, len(rows) - triples) == (4, 4, 4)
    assert [int(row) // BUCKETS for row in rows] == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize(("text", "found"), [("", (0, 0)), ("one", (1, 1)), ("one two", (2, 3))])
def test_few_words_have_few_rows(text: str, found: tuple[int, int]) -> None:
    rows, pairs, triples = rows_of(runs(text), len(text.split()))

    assert (pairs, triples) == found
    assert len(rows) == triples
