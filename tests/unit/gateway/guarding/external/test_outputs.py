from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.completions import read_completions
from gateway.domain.errors import StageUnavailableError
from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.guarding.external import outputs as module
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
    assert inspection.failure == "external.hook:unread"


async def judged(service: GuardService, reply: Stream, request: ModelRequest, **settings: Any) -> Inspection:
    """Have a stream judged by a webhook, and return what is known of it."""
    inspection = Inspection(IDLE)
    guards = guards_of(webhook(service, direction="output", **settings))
    try:
        await judge_answer(guards, inspection, "req-1", reply, request)
    finally:
        await guards.close()
    return inspection


async def test_texts_and_arguments_of_a_stream_are_shown_as_of_a_plain_answer() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "read", "arguments": '{"path":'}}
    rest = {"index": 0, "function": {"arguments": ' "/etc"}'}}
    chunks = [chunk("Hel"), chunk("lo"), chunk(delta_calls=[call]), chunk(delta_calls=[rest]), chunk(finish="stop")]
    with GuardService() as service:
        await judged(service, Blocks(*framed(*chunks)), chat_request())

        shown = [told["text"] for told in service.documents[0]["texts"]]
    assert shown == ["Hello", '{"path": "/etc"}']


@pytest.mark.parametrize("blocks", [[b'data: {"broken\n\n'], [b"data: {}\n\n"]])
async def test_stream_that_makes_no_answer_counts_as_unheard(blocks: list[bytes]) -> None:
    with GuardService() as service:
        inspection = await judged(service, Blocks(*blocks), chat_request(), on_failure="open")

        assert service.requests == []
    assert inspection.failure == "external.hook:unread"


async def test_stream_of_a_shape_that_nothing_reads_counts_as_unheard() -> None:
    request = read_completions(b'{"model": "m", "prompt": "a", "stream": true}')
    with GuardService() as service:
        with pytest.raises(StageUnavailableError):
            await judged(service, Blocks(b'data: {"choices": [{"text": "a"}]}\n\n'), request)

        assert service.requests == []


def chunk(content: str | None = None, finish: str | None = None, delta_calls: Any = None) -> dict[str, Any]:
    delta = {"content": content} if content else {"tool_calls": delta_calls} if delta_calls else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def framed(*chunks: dict[str, Any]) -> list[bytes]:
    return [*(b"data: %b\n\n" % json.dumps(each).encode() for each in chunks), b"data: [DONE]\n\n"]


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
