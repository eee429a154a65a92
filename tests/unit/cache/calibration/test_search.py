from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cache.calibration.search import MIXED, measure, steps
from cache.calibration.table import Measured


def row(i: int, query: str, class_: str, source: str = "s", not_same: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"i": i, "query": query, "class": class_, "source": source, "not_same": list(not_same)}


ROWS = [
    row(0, "what is a volcano", "v"),
    row(1, "what is the volcano", "v"),
    row(2, "what is a geyser", "g", "t", ("v",)),
]


def hit(i: int, served_from: int | None) -> dict[str, Any]:
    return {"i": i, "hit": served_from is not None, "served_from": served_from}


def test_hits_and_errors_are_shares_of_requests_by_source() -> None:
    measured = measure(ROWS, [hit(0, None), hit(1, 0), hit(2, 0)])

    assert measured[""] == Measured(hits=2 / 3, errors=1 / 3, known_errors=1 / 3)
    assert measured["s"] == Measured(hits=0.5, errors=0.0, known_errors=0.0)
    assert measured["t"] == Measured(hits=1.0, errors=1.0, known_errors=1.0)


def test_an_error_that_no_label_names_is_not_known() -> None:
    rows = [ROWS[0], row(1, "what is a geyser", "g")]

    assert measure(rows, [hit(0, None), hit(1, 0)])[""] == Measured(hits=0.5, errors=0.5, known_errors=0.0)


def test_the_lowest_threshold_that_keeps_the_budget_is_found() -> None:
    # The second is a repeat at a cosine of 0.95; the third, at 0.9, is not.
    embeddings = np.array([[1, 0, 0], [0.95, (1 - 0.95**2) ** 0.5, 0], [0.9, 0, (1 - 0.9**2) ** 0.5]], np.float32)
    told: list[str] = []

    (step,) = steps({MIXED: (ROWS, embeddings)}, told.append, budgets=(0.01,))

    assert step.threshold == pytest.approx(0.905, abs=0.006)
    assert step.measured[MIXED] == Measured(hits=1 / 3, errors=0.0, known_errors=0.0)
    assert told
