"""What a stream has in common with the one it stands before."""

from __future__ import annotations

from gateway.domain.usage import Usage
from gateway.upstreams.base import Headers, StreamReply


class PassingStream:
    """A stream that passes another one on; those that do something about its blocks replace `block`.

    Args:
        stream: the other one.
    """

    def __init__(self, stream: StreamReply) -> None:
        self.headers: Headers = stream.headers
        self.dropped = stream.dropped
        self._stream = stream

    @property
    def response_id(self) -> str:
        """The id of the response, once known."""
        return self._stream.response_id

    @property
    def final(self) -> bytes:
        """The whole response, once a translated stream has ended."""
        return self._stream.final

    @property
    def is_ended(self) -> bool:
        """Whether the answer has been read to its end."""
        return self._stream.is_ended

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        return await self._stream.block()

    def usage(self) -> Usage:
        """Return what has been consumed so far."""
        return self._stream.usage()

    async def close(self) -> None:
        """Stop the upstream if it has not finished."""
        await self._stream.close()
