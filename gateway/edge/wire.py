"""The server's connection: uvicorn's httptools protocol, and what it lacks."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SCOPE_KEY = "tierway.wire"
"""Where a request's scope holds its connection."""


class Wire(HttpToolsProtocol):
    """A connection that tells the request on it when the caller has left.

    uvicorn raises nothing on `send` after a disconnect and says it only to whoever waits in `receive`; a task
    that waits there costs 10 us a request, this costs nothing until a connection is lost.
    """

    _watched: asyncio.Task[Any] | None = None
    has_left = False

    def on_message_begin(self) -> None:
        """Start a request's scope, with the connection in it."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[SCOPE_KEY] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request that is being answered."""
        super().connection_lost(exc)
        self.has_left = True
        if self._watched is not None:
            self._watched.cancel()

    def watch_this_task(self) -> asyncio.Task[Any]:
        """Cancel the running task when the caller leaves, and return it."""
        task = asyncio.current_task(self.loop)
        assert task is not None  # noqa: S101  the server answers each request in a task
        self._watched = task
        return task

    def unwatch(self) -> None:
        """Cancel nothing any more: the request is answered."""
        self._watched = None

    def hang_up(self) -> None:
        """Close the connection once what was sent is out, without the bytes that would end the body well."""
        self.cycle.disconnected = True
        self.transport.close()
