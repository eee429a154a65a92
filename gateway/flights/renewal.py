"""What lasts for some seconds only, so that a process that dies gives it back, renewed while it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from gateway.domain.errors import StageUnavailableError

Held = TypeVar("Held")


class Renewal(Generic[Held]):
    """Renews whatever is held, all together, while anything is.

    Args:
        renew: makes one last longer; False when it is lost.
        every_s: seconds between two times, > 0.

    Attributes:
        lost: how many were another's before they were given back: this process stood still, or Redis was away.
    """

    def __init__(self, renew: Callable[[Held], Awaitable[bool]], every_s: float) -> None:
        self.lost = 0
        self._renew, self._every_s = renew, every_s
        self._held: set[Held] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, held: Held) -> None:
        """Renew this from now on."""
        self._held.add(held)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="renewal")

    def end(self, held: Held) -> None:
        """Renew this no longer."""
        self._held.discard(held)

    async def close(self) -> None:
        """Renew nothing any more."""
        task, self._task = self._task, None
        self._held.clear()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            if not self._held:
                self._task = None
                return
            await asyncio.gather(*map(self._renew_one, tuple(self._held)))

    async def _renew_one(self, held: Held) -> None:
        try:
            is_held = await self._renew(held)
        except StageUnavailableError:
            return  # tried again with the rest
        if not is_held and held in self._held:
            self._held.discard(held)
            self.lost += 1
