"""The threshold for an error budget, as `calibrate` measured it on the public streams."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Final

import msgspec

DEFAULT_ERROR_BUDGET: Final = 0.01
"""One request in a hundred: what the page of the cache promises unless the settings say otherwise."""

STRICTEST: Final = 0.99
"""The threshold below the smallest budget of the table."""


class Measured(msgspec.Struct, frozen=True):
    """What a threshold gave on one stream, as shares of its requests.

    Attributes:
        hits: answered from the cache.
        errors: answered from an entry of another class, an upper bound: two classes nobody compared may mean the same.
        known_errors: of a class that a label calls different, a lower bound.
    """

    hits: float
    errors: float
    known_errors: float


class Step(msgspec.Struct, frozen=True):
    """A budget and the threshold that keeps it.

    Attributes:
        error_budget: share of requests.
        threshold: cosine similarity.
        measured: by stream, and by source as `stream/source`.
    """

    error_budget: float
    threshold: float
    measured: dict[str, Measured]


class Table(msgspec.Struct, frozen=True):
    """What `calibrate` wrote.

    Attributes:
        embedder: identity of the artefact the thresholds hold for: name, revision and quantisation.
        made_by: the command that makes it anew.
        steps: by error budget, ascending.
    """

    embedder: str
    made_by: str
    steps: tuple[Step, ...]


@lru_cache(maxsize=1)
def table() -> Table:
    """Return the table in the package."""
    written = resources.files("cache.calibration").joinpath("thresholds.json").read_bytes()
    return msgspec.json.decode(written, type=Table)


def threshold_for(error_budget: float) -> float:
    """Return the cosine similarity that keeps an error budget.

    Between two budgets of the table the threshold of the smaller one holds; beyond the largest, that of the largest.

    Args:
        error_budget: share of requests that may be answered from a wrong entry, above 0.

    Raises:
        ValueError: it is not above 0 and at most 1.
    """
    if not 0 < error_budget <= 1:
        raise ValueError(f"an error budget is a share above 0 and at most 1, not {error_budget}")
    kept = [step.threshold for step in table().steps if step.error_budget <= error_budget]
    return kept[-1] if kept else STRICTEST
