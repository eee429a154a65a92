from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.usage import Usage
from gateway.edge.answering import _send_stream
from gateway.edge.explain import ExplainedStream
from gateway.edge.wire import Wire
from gateway.exchange import Exchange
from router.base import Decision
from tests.support.build import exchange

ENDING = [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]


class Stream:
    """Gives blocks, and says that it has ended once the one of a number was given; may then break.

    Args:
        blocks: in order.
        ends_with: how many blocks are given when the end is known.
        error: what is raised instead of a last None.
    """

    headers: Sequence[tuple[bytes, bytes]] = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""

    def __init__(self, blocks: Sequence[bytes], ends_with: int, error: Exception | None = None) -> None:
        self._blocks, self._ends_with, self._error = blocks, ends_with, error
        self._given = 0

    @property
    def is_ended(self) -> bool:
        return self._given >= self._ends_with

    async def block(self) -> bytes | None:
        if self._given == len(self._blocks):
            if self._error is not None:
                raise self._error
            return None
        self._given += 1
        return self._blocks[self._given - 1]

    def usage(self) -> Usage:
        return Usage()

    async def close(self) -> None:
        pass


class Caller:
    """Notes what it is sent, and when the request was settled in between."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.seen.append(message["body"].decode() if message["more_body"] else "END")

    async def settle(self) -> None:
        self.seen.append("SETTLED")

    def hang_up(self) -> None:
        self.seen.append("HUNG UP")


async def deliver(stream: Stream, *, explained: bool = False) -> list[str]:
    """Send a stream to its caller, and return what happened in order."""
    opened: Exchange = exchange()
    opened.decision = Decision(tier="simple", confidence=1.0, reason="named", candidates=("m",))
    caller = Caller()
    opened.settle_with(caller.settle)
    answer = ExplainedStream(stream, opened) if explained else stream
    await _send_stream(cast("Any", caller.send), opened, answer, cast("Wire", caller))
    return caller.seen


@pytest.mark.parametrize("ends_with", [1, 2])
async def test_a_stream_is_settled_before_the_block_that_ends_it_is_sent(ends_with: int) -> None:
    seen = await deliver(Stream(ENDING, ends_with))

    first, last = (block.decode() for block in ENDING)
    assert seen == (["SETTLED", first, last, "END"] if ends_with == 1 else [first, "SETTLED", last, "END"])


async def test_a_stream_whose_end_is_known_late_is_settled_before_its_body_ends() -> None:
    seen = await deliver(Stream(ENDING[:1], 2))

    assert seen == [ENDING[0].decode(), "SETTLED", "END"]


async def test_an_explained_stream_is_settled_before_its_end_is_sent_too() -> None:
    seen = await deliver(Stream(ENDING, 2), explained=True)

    assert seen[0] == "SETTLED"
    assert seen[-2].endswith("data: [DONE]\n\n")
    assert seen.count("SETTLED") == 1


async def test_a_stream_that_breaks_is_settled_when_its_exchange_ends() -> None:
    seen = await deliver(Stream(ENDING[:1], 2, UpstreamGarbledError("broke")))

    assert seen[0] == ENDING[0].decode()
    assert "upstream_garbled" in seen[1]
    assert seen[2:] == ["HUNG UP"]
