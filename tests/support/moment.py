"""Something that happens once, in one thread or event loop, and is waited for in another."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, InvalidStateError

PATIENCE_S = 10.0
"""Seconds a test waits for what must happen before it fails; long, as it is never waited for in full."""


class Moment:
    """A flag that a test sets to let a server go on, or that a server sets to tell a test.

    Args:
        name: what happens, for the message of a failure.
    """

    def __init__(self, name: str = "the moment") -> None:
        self._name = name
        self._future: Future[float] = Future()

    def happen(self) -> None:
        """Let it happen; a second time changes nothing."""
        try:
            self._future.set_result(time.monotonic())
        except InvalidStateError:
            return

    @property
    def has_happened(self) -> bool:
        return self._future.done()

    def wait(self, within_s: float = PATIENCE_S) -> float:
        """Wait in a thread; return the moment on the monotonic clock, in seconds."""
        try:
            return self._future.result(within_s)
        except TimeoutError:
            raise AssertionError(f"{self._name} did not come within {within_s:g} s") from None

    async def reached(self, within_s: float | None = PATIENCE_S) -> float:
        """Wait in an event loop; None waits for ever."""
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(asyncio.wrap_future(self._future))
        except TimeoutError:
            raise AssertionError(f"{self._name} did not come within {within_s or 0:g} s") from None
