"""The threshold for an error budget, as `calibrate` measured it on the public streams."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec

DEFAULT_ERROR_BUDGET: Final = 0.01
"""One request in a hundred: what the page of the cache promises unless the settings say otherwise."""

STRICTEST: Final = 0.99
"""The threshold below the smallest budget of the table, and of an embedder that nobody measured."""

FILE: Final = "thresholds.json"
"""The name of a table in the folder of the embedder it was made for."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Measured(msgspec.Struct, frozen=True):
    """What a threshold gave on one stream, as shares of its requests.

    Attributes:
        hits: answered from the cache.
        errors: answered from an entry of another class, an upper bound: two classes nobody compared may mean the same.
        known_errors: of a class that a label calls different, a lower bound.
    """

    hits: Share
    errors: Share
    known_errors: Share


class Step(msgspec.Struct, frozen=True):
    """A budget and the threshold that keeps it.

    Attributes:
        error_budget: share of requests.
        threshold: cosine similarity.
        measured: by stream, and by source as `stream/source`.
    """

    error_budget: Annotated[float, msgspec.Meta(gt=0, le=1)]
    threshold: Share
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


UNMEASURED: Final = Table(embedder="", made_by="", steps=())
"""The table of an embedder that nobody measured."""


class TableError(ValueError):
    """A file holds no table; the message names the file and says why."""


@lru_cache(maxsize=1)
def table() -> Table:
    """Return the table in the package."""
    return _read(resources.files("cache.calibration").joinpath(FILE).read_bytes())


def load_table(path: Path) -> Table:
    """Return the table that `calibrate` wrote to a file.

    Raises:
        TableError: it cannot be read, or is no such table.
    """
    try:
        return _read(path.read_bytes())
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # msgspec's errors are of this kind
        raise TableError(f"{path} is no table of thresholds: {error}") from error


def table_for(identity: str, beside: Path | None) -> Table | None:
    """Return the table that was measured with an embedder, None where there is none.

    Args:
        identity: of the embedder.
        beside: the folder of its artefact, in which a table of its own may lie; None without one. The packaged table
            goes first, as it is the one this release was measured with.

    Raises:
        TableError: the folder has a table that cannot be read. One of another embedder is none of this one's.
    """
    if identity == table().embedder:
        return table()
    if beside is None or not (beside / FILE).is_file():
        return None
    found = load_table(beside / FILE)
    return found if found.embedder == identity else None


def folder_for(identity: str, root: Path) -> Path:
    """Return the folder in which the table of an embedder without an artefact lies: of a server.

    Args:
        identity: of the embedder; its slashes name no folders.
        root: the folder of artefacts.
    """
    return root / identity.replace("/", "_")


def threshold_for(error_budget: float, measured: Table | None = None) -> float:
    """Return the cosine similarity that keeps an error budget.

    Between two budgets of the table the threshold of the smaller one holds; beyond the largest, that of the largest;
    below the smallest, `STRICTEST`.

    Args:
        error_budget: share of requests that may be answered from a wrong entry, above 0.
        measured: the table; None for the packaged one.

    Raises:
        ValueError: the budget is not above 0 and at most 1.
    """
    if not 0 < error_budget <= 1:
        raise ValueError(f"an error budget is a share above 0 and at most 1, not {error_budget}")
    steps = (measured or table()).steps
    kept = [step.threshold for step in steps if step.error_budget <= error_budget]
    return kept[-1] if kept else STRICTEST


def _read(written: bytes) -> Table:
    """Decode a table.

    Raises:
        ValueError: it is none.
    """
    read = msgspec.json.decode(written, type=Table)
    budgets = [step.error_budget for step in read.steps]
    if not budgets or budgets != sorted(set(budgets)):
        raise ValueError("its budgets do not ascend")
    return read
