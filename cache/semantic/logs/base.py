"""The seam of the logs: events are appended, never changed, and read in the order in which they came."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Protocol

import msgspec

from cache.semantic.events import Event, Written

BATCH: Final = 256
"""Events read at a time: about 180 kB, and 1 ms to open and decode."""

MAX_EVENTS: Final = 250_000
"""Events that a log keeps unless it is told otherwise, about 0.7 kB each; the oldest are dropped."""


class Batch(msgspec.Struct, frozen=True):
    """Some events of a log.

    Attributes:
        written: oldest first; may be none.
        position: goes on after these; see `EntryLog.follow`.
        is_last: whether nothing came after them when they were read.
    """

    written: list[Written]
    position: str
    is_last: bool


class EntryLog(Protocol):
    """Keeps events in the order in which they came, within a bound. For one event loop.

    What was appended survives a kill of the process after 1 s at most. What one process appended is read by all that
    follow, within 1 s.

    Attributes:
        written: events that are kept.
        failed: events that are lost, and bytes in the log that are no event or do not open.
        origin: what the events of this process are marked with; another one has another.
    """

    written: int
    failed: int
    origin: bytes

    @property
    def complaint(self) -> str:
        """Return why events are not kept, empty when all is well."""

    def append(self, event: Event) -> None:
        """Keep an event. It never raises and never waits: one that cannot be kept is counted, and told of.

        A `Deleted` takes the event of its entry with it where the log can.
        """

    def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        """Read what stands after a position, then what comes, until the log is closed or the iterator is.

        The first batch with `is_last` may be empty. What was dropped meanwhile is left out. Events of this process come
        too.

        Args:
            position: of the last batch that was read; empty for the beginning.

        Raises:
            StageUnavailableError: the log cannot be read; follow again from the last position.
            ValueError: this is no position of this log.
        """

    async def trim(self, before: float) -> int:
        """Forget what was appended before a moment, in seconds since the epoch; returns how many that were.

        Raises:
            StageUnavailableError: the log cannot be written.
        """

    async def close(self) -> None:
        """Write what waits, and end those that follow; twice is harmless."""
