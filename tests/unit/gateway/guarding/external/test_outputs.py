from __future__ import annotations

import json

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.domain.usage import NO_USAGE
from gateway.guarding.external import outputs as module
from gateway.guarding.external.guards import ExternalGuards
from gateway.guarding.external.outputs import HeldStream, judge_answer
from gateway.upstreams.base import PlainReply
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import IDLE
from tests.support.attempting import Stream
from tests.support.build import chat_request
from tests.support.guards import GuardService, guards_of, webhook


class Blocks(Stream):
    def __init__(self, *blocks: bytes) -> None:
        super().__init__()
        self._blocks = list(blocks)

    async def block(self) -> bytes | None:
        block = self._blocks.pop(0) if self._blocks else None
        self.is_ended = not self._blocks
        return block


async def given(stream: HeldStream) -> list[tuple[bytes, bool]]:
    """Return the blocks, and whether the stream had ended when each was given."""
    blocks = []
    while (block := await stream.block()) is not None:
        blocks.append((block, stream.is_ended))
    return blocks


async def test_stream_that_was_read_ahead_ends_with_its_last_block() -> None:
    held = HeldStream(Blocks(b"a", b"b", b"c"))

    await held.read()

    assert held.events == b"abc"
    assert await given(held) == [(b"a", False), (b"b", False), (b"c", True)]


async def test_no_more_is_read_ahead_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HELD_BYTES", 1)
    held = HeldStream(Blocks(b"a", b"b", b"c"))

    await held.read()

    assert held.is_too_long
    assert held.events == b"ab"
    assert [block for block, _ in await given(held)] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("way", ["open", "closed"])
async def test_stream_that_is_too_long_is_open_or_closed_as_said(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(module, "MOST_HELD_BYTES", 1)
    inspection = Inspection(IDLE)
    with GuardService() as service:
        guards = guards_of(webhook(service, direction="output", on_failure=way))
        try:
            if way == "closed":
                with pytest.raises(StageUnavailableError):
                    await judge_answer(guards, inspection, "req-1", Blocks(b"a", b"b", b"c"), chat_request())
            else:
                await judge_answer(guards, inspection, "req-1", Blocks(b"a", b"b", b"c"), chat_request())
        finally:
            await guards.close()

        assert service.requests == []
    assert inspection.failure == "external.hook:too_long"


async def test_stream_without_text_is_shown_to_nobody() -> None:
    with GuardService() as service:
        guards: ExternalGuards = guards_of(webhook(service, direction="output"))
        try:
            await judge_answer(guards, Inspection(IDLE), "req-1", Blocks(b"data: {}\n\n"), chat_request())
        finally:
            await guards.close()

        assert service.requests == []


@pytest.mark.parametrize(
    ("places", "left"),
    [
        ([(0, 3)], "[REDACTED_CUSTOM] and Grace"),
        ([(8, 13), (0, 3)], "[REDACTED_CUSTOM] and [REDACTED_CUSTOM]"),
        ([(0, 5), (3, 8)], "[REDACTED_CUSTOM]Grace"),
        ([(0, 8), (1, 3)], "[REDACTED_CUSTOM]Grace"),
        ([(0, 0), (13, 13)], "Ada and Grace"),
        ([(0, 3), (3, 8)], "[REDACTED_CUSTOM][REDACTED_CUSTOM]Grace"),
    ],
)
async def test_answer_loses_what_was_found(places: list[tuple[int, int]], left: str) -> None:
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Ada and Grace"}}]})
    found = [{"index": 0, "start": start, "end": end} for start, end in places]
    with GuardService(lambda _: {"findings": found}) as service:
        guards = guards_of(webhook(service, direction="output", action="redact"))
        try:
            reply = await judge_answer(guards, Inspection(IDLE), "req-1", plain_reply(body), chat_request())
        finally:
            await guards.close()

    assert isinstance(reply, PlainReply)
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == left


def plain_reply(body: str) -> PlainReply:
    return PlainReply(body=body.encode(), usage=NO_USAGE)
