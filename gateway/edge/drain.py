"""The end of a server's connections: requests finish, callers are told, nobody is cut off who can be served."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from typing import Final, cast

from uvicorn.server import ServerState

from gateway.edge.wire import Wire

LINGER_S: Final = 2.0
"""The most a connection stays open for one more request; its caller's may be on the way when the signal comes."""

FAREWELL_S: Final = 1.0
"""Seconds in which the last words to callers whose time is over must be taken."""

SETTLE_S: Final = 5.0
"""Seconds that requests then get to give back what they hold; Kubernetes is asked for `drain_s` + 10."""

_BACKLOG_S: Final = 0.5
_LOOK_S: Final = 0.05

log = logging.getLogger("tierway")


async def accept_waiting(listener: socket.socket) -> None:
    """Let the loop accept who waits already: closing a socket resets those.

    Under a load that never stops somebody always waits, so it ends after half a second.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _BACKLOG_S
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while waiting.poll(0) and loop.time() < until:  # noqa: ASYNC110  the loop accepts one a turn, and tells nobody
        await asyncio.sleep(0)


class Drain:
    """Ends the connections of a server that accepts no more.

    Args:
        state: of the server.
        drain_s: seconds that requests get to finish, >= 0.
        linger_s: seconds that an idle connection stays open for one more request, at most `drain_s`.
        is_hurried: whether everything should end at once.
    """

    def __init__(self, state: ServerState, *, drain_s: float, linger_s: float, is_hurried: Callable[[], bool]) -> None:
        self._connections = cast("set[Wire]", state.connections)
        self._tasks = state.tasks
        self._drain_s = drain_s
        self._linger_s = min(linger_s, drain_s)
        self._is_hurried = is_hurried
        self._time = asyncio.get_running_loop().time

    async def run(self) -> None:
        """Return when every connection is closed and every request has ended, which `drain_s` and 6 s bound."""
        if await self._are_over(self._drain_s, self._look) or self._is_hurried():
            return
        log.warning("%d requests take longer than server.drain_s and are ended", len(self._tasks))
        cancelled: set[asyncio.Task[None]] = set()

        def say_farewell() -> None:
            for task in self._tasks - cancelled:
                task.cancel()
            cancelled.update(self._tasks)
            self._look(linger_s=0.0)

        await self._are_over(FAREWELL_S, say_farewell)
        for connection in list(self._connections):
            connection.cut()
        if not await self._are_over(SETTLE_S, lambda: None):
            log.error("%d requests did not give back what they hold", len(self._tasks))

    def _look(self, linger_s: float | None = None) -> None:
        now = self._time()
        for connection in list(self._connections):
            connection.drain(now, self._linger_s if linger_s is None else linger_s)

    async def _are_over(self, within_s: float, look: Callable[[], None]) -> bool:
        """Look again and again until no connection and no request is left; tell whether that came in time."""
        until = self._time() + within_s
        while self._connections or self._tasks:
            look()
            if self._is_hurried() or self._time() >= until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True
