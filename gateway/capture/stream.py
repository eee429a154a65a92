"""A stream whose events are kept for a capture."""

from __future__ import annotations

from typing import Final

from gateway.upstreams.base import StreamReply
from gateway.upstreams.passing import PassingStream

MOST_ANSWER_BYTES: Final = 1 << 20
"""Of one answer; what follows is left out, and the record says so."""


class CapturedStream(PassingStream):
    """Keeps the blocks that pass, up to a bound.

    Attributes:
        is_cut: whether there were more.
    """

    def __init__(self, stream: StreamReply) -> None:
        super().__init__(stream)
        self.is_cut = False
        self._blocks: list[bytes] = []
        self._size = 0

    @property
    def kept(self) -> bytes:
        """Return the events so far."""
        return b"".join(self._blocks)

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        block = await self._stream.block()
        if block is None or self.is_cut:
            return block
        self._size += len(block)
        if self._size > MOST_ANSWER_BYTES:
            self.is_cut = True
        else:
            self._blocks.append(block)
        return block
