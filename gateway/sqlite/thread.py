"""The one thread that a file belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.domain.errors import StageUnavailableError
from gateway.sqlite.file import FILE_ERRORS

T = TypeVar("T")


class FileThread:
    """Does what a file is asked for, one after the other, beside the event loop.

    Args:
        name: of the thread, which starts with the first call.
        what: the file, as callers know it: `the ledger's file`.
    """

    def __init__(self, name: str, what: str) -> None:
        self._executor, self._what = ThreadPoolExecutor(1, name), what
        self._has_ended = False

    async def run(self, verb: Callable[[], T]) -> T:
        """Do something. It is done even if the caller is cancelled: nobody takes a change out of the queue.

        Raises:
            StageUnavailableError: the file fails, or the thread has ended.
        """
        if self._has_ended:
            raise StageUnavailableError(f"{self._what} is closed")
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._executor, verb))
        except FILE_ERRORS as error:
            raise failure(self._what, error) from error

    async def end(self, last: Callable[[], None]) -> None:
        """Do a last thing, such as closing the file, and end; twice is harmless."""
        if not self._has_ended:
            self._has_ended = True
            await asyncio.get_running_loop().run_in_executor(self._executor, last)
            self._executor.shutdown()


def failure(what: str, error: Exception) -> StageUnavailableError:
    """Return what callers are told of a file's failure: its kind alone, as its words may repeat what was asked."""
    return StageUnavailableError(f"{what} fails ({type(error).__name__})")
