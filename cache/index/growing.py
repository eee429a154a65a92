"""An index that is exact while it is small and a graph beyond, and changes from one to the other on a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cache.index.base import Found, Vector
from cache.index.exact import ExactIndex
from cache.index.hnsw import ENTRY_BYTES, HnswIndex
from cache.index.rows import check_length, pack
from cache.index.settings import IndexSettings

Form = ExactIndex | HnswIndex
Build = Callable[[], Form]
Spawn = Callable[[Build], "Future[Form]"]
"""Runs a function on a thread, such as the `submit` of an executor."""

_Rows = tuple[Sequence[int], "NDArray[np.int8]"]
"""n ids with their rows, (n, d)."""

Export = Callable[[], _Rows]

_Changes = dict[int, "NDArray[np.int8] | None"]
"""Rows that were added, and None for what was removed, oldest first."""

MOST_AT_ONCE: Final = 12
"""Changes that a call makes to a finished graph before it is taken into use: 4 ms at most. More go to the thread."""


class _Building:
    """A form on its way.

    Attributes:
        changed: what changed since the thread was told last.
        extra_bytes: about how much memory the form will take beyond the one there is.
    """

    __slots__ = ("changed", "extra_bytes", "future")

    def __init__(self, future: Future[Form], extra_bytes: int) -> None:
        self.future, self.extra_bytes = future, extra_bytes
        self.changed: _Changes = {}

    def note(self, entry_id: int, row: NDArray[np.int8] | None) -> None:
        """Note a change; the last one of an id counts."""
        self.changed.pop(entry_id, None)
        self.changed[entry_id] = row


class GrowingIndex:
    """Keeps the vectors of one scope; see `Index`. For one thread, such as the event loop's.

    While another form is built, searches go on in the one there is; it takes twice the memory for that long. The change
    is made by the first call after the new form is ready and has caught up.

    Args:
        dimension: length of a vector.
        settings: when to change.
        spawn: runs the building.

    Attributes:
        failures: builds that raised or could not begin. The form there was stays, and is tried again at twice its size.
    """

    __slots__ = ("_building", "_dimension", "_form", "_retry_at", "_settings", "_spawn", "failures")

    def __init__(self, dimension: int, settings: IndexSettings, spawn: Spawn) -> None:
        self._dimension, self._settings, self._spawn = dimension, settings, spawn
        self._form: Form = ExactIndex(dimension)
        self._building: _Building | None = None
        self._retry_at = 0
        self.failures = 0

    @property
    def bytes(self) -> int:
        """Return about how much memory it takes, or will once what is being loaded is there."""
        return self._form.bytes + (self._building.extra_bytes if self._building is not None else 0)

    @property
    def is_exact(self) -> bool:
        """Tell whether every entry is compared with."""
        return isinstance(self._form, ExactIndex)

    @property
    def is_building(self) -> bool:
        """Tell whether another form is on its way."""
        return self._building is not None

    def __len__(self) -> int:
        return len(self._form)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._form

    def add(self, entry_id: int, vector: Vector) -> None:
        """Keep a vector; see `Index.add`."""
        check_length(vector, self._dimension)
        row = pack(vector)
        self._form.add(entry_id, row)
        if self._building is not None:
            self._building.note(entry_id, row)
        self.settle()

    def extend(self, ids: Sequence[int], rows: NDArray[np.int8]) -> None:
        """Keep vectors that were written down earlier; ids that are here stay as they are.

        Those of a large scope are found once the graph is built, in about 0.2 ms an entry; this returns before.

        Args:
            ids: n different ones, oldest first.
            rows: (n, d) as `pack` returns them.

        Raises:
            ValueError: the rows have another length than the index was made for.
        """
        if rows.shape != (len(ids), self._dimension):
            raise ValueError(f"rows of shape {rows.shape} for {len(ids)} ids of {self._dimension}")
        if self._building is not None:
            for entry_id, row in zip(*self._new(ids, rows), strict=True):
                if entry_id not in self._building.changed:
                    self._building.note(entry_id, row)
            self._building.extra_bytes += len(ids) * (self._dimension + ENTRY_BYTES)
        elif isinstance(self._form, ExactIndex) and len(self._form) + len(ids) <= self._settings.exact_up_to:
            self._form.extend(*self._new(ids, rows))
        else:
            build = partial(_build, self._dimension, (ids, rows), self._held())
            self._begin(build, len(ids) * (self._dimension + ENTRY_BYTES))

    def search(self, vector: Vector, k: int) -> Found:
        """Return the k nearest; see `Index.search`."""
        if self._building is not None:
            self.settle()
        return self._form.search(vector, k)

    def remove(self, entry_id: int) -> bool:
        """Forget a vector; see `Index.remove`. One that is still being loaded is forgotten as well."""
        is_known = self._form.remove(entry_id)
        if self._building is not None:
            self._building.note(entry_id, None)
        self.settle()
        return is_known

    def oldest(self, count: int) -> list[int]:
        """Return the ids that were added first; see `Index.oldest`."""
        return self._form.oldest(count)

    def export(self) -> tuple[Sequence[int], NDArray[np.int8]]:
        """Return every id and row; see `Index.export`."""
        return self._form.export()

    def settle(self) -> None:
        """Take a form that is ready into use, or begin one that is needed."""
        if self._building is not None:
            if self._building.future.done():
                self._take(self._building)
        elif len(self._form) >= self._retry_at and self._is_outgrown():
            self._begin(self._rebuild())

    def _new(self, ids: Sequence[int], rows: NDArray[np.int8]) -> _Rows:
        return _without(ids, rows, self._form.oldest(len(self._form)))

    def _held(self) -> Export:
        """Return what exports the form there is, on a thread: a small one is copied at once, a graph by the thread."""
        if isinstance(self._form, HnswIndex):
            return self._form.export
        exported = self._form.export()
        return lambda: exported

    def _is_outgrown(self) -> bool:
        bound = self._settings.exact_up_to
        if isinstance(self._form, ExactIndex):
            return len(self._form) > bound
        return self._form.stale > self._settings.stale_share * max(len(self._form), bound)

    def _rebuild(self) -> Build:
        if isinstance(self._form, ExactIndex):
            return partial(_build, self._dimension, ((), np.empty((0, self._dimension), np.int8)), self._held())
        # Half of the bound, so that no scope goes to and fro between the forms.
        least = self._settings.exact_up_to // 2
        return partial(_rebuild, self._dimension, self._form, least)

    def _begin(self, build: Build, extra_bytes: int = 0) -> None:
        try:
            self._building = _Building(self._spawn(build), extra_bytes)
        except RuntimeError:  # an executor that is shut down
            self._fail()

    def _take(self, building: _Building) -> None:
        if building.future.exception() is not None:
            self._fail()
            return
        form = building.future.result()
        if len(building.changed) > MOST_AT_ONCE:
            self._begin(partial(_catch_up, form, building.changed), building.extra_bytes)
            return
        self._form, self._building = _catch_up(form, building.changed), None

    def _fail(self) -> None:
        self.failures += 1
        self._building, self._retry_at = None, 2 * len(self._form)


def _build(dimension: int, loaded: _Rows, held: Export) -> Form:
    """Make a graph of rows that were written down earlier, and of those that are here already."""
    ids, rows = held()
    form = HnswIndex(dimension)
    form.extend(*_without(*loaded, ids))
    form.extend(ids, rows)
    return form


def _without(ids: Sequence[int], rows: NDArray[np.int8], held: Sequence[int]) -> _Rows:
    """Return the ids that are not held, and their rows."""
    known = set(held)
    if known.isdisjoint(ids):
        return ids, rows
    new = [place for place, entry_id in enumerate(ids) if entry_id not in known]
    return [ids[place] for place in new], rows[new]


def _rebuild(dimension: int, old: HnswIndex, least: int) -> Form:
    ids, rows = old.export()
    form: Form = ExactIndex(dimension) if len(ids) <= least else HnswIndex(dimension)
    form.extend(ids, rows)
    return form


def _catch_up(form: Form, changes: _Changes) -> Form:
    for entry_id, row in changes.items():
        if row is None:
            form.remove(entry_id)
        else:
            form.add(entry_id, row)
    return form
