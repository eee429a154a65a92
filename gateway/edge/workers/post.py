"""A worker's side of its tie to the supervisor and to the other workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from gateway.edge.workers.assignment import Assignment
from gateway.edge.workers.tallies import Tallies
from gateway.telemetry import Telemetry

HURRIED_BY: Final = (signal.SIGINT,)
"""The signal that ends a draining worker at once. It is not SIGTERM, which systemd sends to every process of a service,
and the supervisor to each of its workers once more."""

log = logging.getLogger("tierway")


class Post:
    """The place of a worker, from its start to its end.

    Args:
        assignment: what the supervisor gave it.

    Attributes:
        listeners: the sockets to serve on.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.listeners = assignment.take_listeners()
        self._line = assignment.take_line()
        self._line.setblocking(False)  # noqa: FBT003  its only parameter
        self._is_orphan = False

    def report(self, banner: str) -> None:
        """Tell the supervisor that requests are answered; `banner` is what one worker alone would say."""
        with contextlib.suppress(OSError):  # it is gone, which ends this worker anyway
            self._line.sendall(msgspec.json.encode(banner) + b"\n")

    @asynccontextmanager
    async def held(self, telemetry: Telemetry) -> AsyncIterator[None]:
        """Share the metrics, and drain when the supervisor is gone, for as long as the worker runs."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line, self._hear)
        try:
            async with Tallies(self._assignment, telemetry).shared():
                yield
        finally:
            loop.remove_reader(self._line)
            self._line.close()
            if self._is_orphan:
                shutil.rmtree(self._assignment.folder, ignore_errors=True)

    def _hear(self) -> None:
        """Take in that the line has ended: nothing is ever said on it in this direction."""
        asyncio.get_running_loop().remove_reader(self._line)
        self._is_orphan = True
        log.warning("worker %d: the supervisor is gone, so it drains", self._assignment.number)
        os.kill(os.getpid(), signal.SIGTERM)
