"""Finds the lowest threshold that keeps an error budget, by replaying labelled streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cache.calibration.table import STRICTEST, Measured, Step
from cache.evaluation import replay_stream

MIXED: Final = "stream_mixed"
"""The stream that keeps a budget as a whole: questions, instructions and dated questions, 40 % of them repeats."""

BUDGETS: Final = (0.005, 0.01, 0.02, 0.03, 0.05)

KEPT_BACK: Final = 0.08
"""The share of a budget that is not spent: the threshold is chosen on the very data that measures it."""

_ONE_SOURCE: Final = 3.0
"""How many times the budget one source of a stream may err."""

_HIGHEST: Final = STRICTEST
_LOWEST: Final = 0.62
_GRID: Final = 0.005

Row = dict[str, Any]
Stream = tuple[list[Row], NDArray[np.float32]]


def steps(
    streams: dict[str, Stream], say: Callable[[str], object], budgets: Sequence[float] = BUDGETS
) -> Iterator[Step]:
    """Yield the lowest threshold of a fine grid that keeps each budget, and what it gave; none for one that none keeps.

    The mixed stream keeps the budget less `KEPT_BACK`; on every stream no source errs more than three times the budget.
    Going down the grid stops at the first threshold that fails: one that happens to pass below it is luck.

    Args:
        streams: rows and their embeddings, (n, d) float32, rows unit-norm, by name.
        say: told of each threshold that was measured.
        budgets: ascending.
    """
    measured: dict[float, dict[str, Measured]] = {}
    for budget in budgets:
        chosen: float | None = None
        for threshold in _grid():
            if threshold not in measured:
                measured[threshold] = _measure_all(streams, threshold)
                say(f"{threshold:.3f} {measured[threshold][MIXED]}")
            if not _keeps(measured[threshold], budget):
                break
            chosen = threshold
        if chosen is not None:
            yield Step(budget, chosen, measured[chosen])


def measure(rows: Iterable[Row], decisions: Iterable[Row]) -> dict[str, Measured]:
    """Return hits and errors of a replay by source, and of all under an empty name.

    Args:
        rows: with labels, in order of their `i`, which counts from 0.
        decisions: as `replay_stream` yields them.
    """
    kept = list(rows)
    found: dict[str, list[tuple[bool, bool, bool]]] = {}
    for row, decision in zip(kept, decisions, strict=True):
        outcome = _outcome(row, kept, decision)
        found.setdefault("", []).append(outcome)
        found.setdefault(row["source"], []).append(outcome)
    return {
        name: Measured(*(sum(kind) / len(all_) for kind in zip(*all_, strict=True))) for name, all_ in found.items()
    }


def _outcome(row: Row, rows: list[Row], decision: Row) -> tuple[bool, bool, bool]:
    if not decision["hit"]:
        return False, False, False
    entry = rows[decision["served_from"]]
    is_error = row["class"] != entry["class"]
    is_known = entry["class"] in row.get("not_same", ()) or row["class"] in entry.get("not_same", ())
    return True, is_error, is_error and is_known


def _measure_all(streams: dict[str, Stream], threshold: float) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for name, (rows, embeddings) in streams.items():
        decisions = replay_stream(rows, embeddings, 1.0, threshold)
        for source, measured in measure(rows, decisions).items():
            found[f"{name}/{source}" if source else name] = measured
    return found


def _keeps(measured: dict[str, Measured], budget: float) -> bool:
    if measured[MIXED].errors > budget * (1.0 - KEPT_BACK):
        return False
    return all(of.errors <= budget * _ONE_SOURCE for of in measured.values())


def _grid() -> list[float]:
    count = round((_HIGHEST - _LOWEST) / _GRID)
    return [round(_HIGHEST - step * _GRID, 3) for step in range(count + 1)]
