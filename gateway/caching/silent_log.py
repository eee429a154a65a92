"""The log of a semantic cache whose answers live in this process's memory: there is nothing to remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from cache.semantic.events import Event
from cache.semantic.logs.base import Batch


class SilentLog:
    """Keeps nothing; see `EntryLog`."""

    complaint = ""
    origin = b""

    def __init__(self) -> None:
        self.written = self.failed = 0
        self._is_closed = asyncio.Event()

    def append(self, event: Event) -> None:
        """Forget an event."""

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        """Say that there is nothing, and wait until the log is closed."""
        yield Batch([], position, is_last=True)
        await self._is_closed.wait()

    async def trim(self, before: float) -> int:  # noqa: ARG002  nothing is that old
        """Nothing to forget."""
        return 0

    async def close(self) -> None:
        """Let those who follow go."""
        self._is_closed.set()
