from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cache.base import Entry, Hit
from gateway.domain.errors import GatewayError, UpstreamGarbledError
from gateway.domain.usage import Usage
from gateway.edge.explain import ExplainedStream, explain_document
from gateway.exchange import Exchange
from router.base import Decision
from tests.support.build import chat_request, exchange

USAGE = Usage(input_tokens=3, output_tokens=4)
DONE = b"data: [DONE]\n\n"


def decided() -> Exchange:
    opened = exchange()
    opened.request = chat_request(model="auto")
    opened.decision = Decision(tier="simple", confidence=0.75, reason="short", candidates=("a", "b"))
    opened.routed_model, opened.attempts = "a", 1
    opened.usage, opened.cost_microusd = USAGE, 75
    return opened


class Blocks:
    headers: Sequence[tuple[bytes, bytes]] = ((b"x", b"1"),)
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""
    is_ended = False

    def __init__(self, *blocks: bytes | GatewayError) -> None:
        self._blocks = list(blocks)
        self.closed = False

    async def block(self) -> bytes | None:
        block = self._blocks.pop(0) if self._blocks else None
        if isinstance(block, GatewayError):
            raise block
        return block

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        self.closed = True


async def every(stream: ExplainedStream) -> list[bytes]:
    found = []
    while (block := await stream.block()) is not None:
        found.append(block)
    return found


def event(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def test_the_explanation_is_put_last_and_the_rest_stays() -> None:
    body = b' {"a" : 1E0,\n"b":"\\ud83d"} \n'

    explained = explain_document(body, decided())

    assert explained.startswith(b' {"a" : 1E0,\n"b":"\\ud83d","tierway":{')
    found = json.loads(explained)["tierway"]
    assert found["request_id"] == "req-1"
    assert found["requested_model"] == "auto"
    assert found["routed_model"] == "a"
    assert found["tier"] == {"name": "simple", "confidence": 0.75, "reason": "short"}
    assert found["candidates"] == ["a", "b"]
    assert found["attempts"] == 1
    assert found["cache"] == "off"
    assert found["usage"]["input_tokens"] == 3
    assert found["cost_usd"] == "0.000075"
    assert found["overhead_ms"] >= 0
    assert found["upstream_ms"] == 0


async def test_an_empty_object_gets_no_comma() -> None:
    assert list(json.loads(explain_document(b"{ }", decided()))) == ["tierway"]


@pytest.mark.parametrize("body", [b"", b"[]", b"text", b'"x"'])
async def test_what_is_no_object_stays(body: bytes) -> None:
    assert explain_document(body, decided()) == body


async def test_what_is_not_known_is_null() -> None:
    found = json.loads(explain_document(b"{}", exchange()))["tierway"]

    assert found["tier"] is None
    assert found["requested_model"] is None
    assert found["cost_usd"] is None


async def test_a_hit_is_named() -> None:
    opened = decided()
    entry = Entry(body=b"", usage=USAGE, answered_model="", stored_at=0.0)
    opened.hit = Hit(entry, "exact", 5.0)

    assert json.loads(explain_document(b"{}", opened))["tierway"]["cache"] == "exact"


async def test_the_last_chunk_of_a_stream_is_explained() -> None:
    stream = ExplainedStream(Blocks(event({"n": 1}), event({"n": 2}), DONE), decided())

    first, last = await every(stream)

    assert first == event({"n": 1})
    assert last.endswith(DONE)
    found = json.loads(last.removesuffix(DONE).removeprefix(b"data: "))
    assert found["n"] == 2
    assert found["tierway"]["usage"]["output_tokens"] == 4


@pytest.mark.parametrize(
    "blocks",
    [
        [event({"n": 1}) + event({"n": 2}) + DONE],
        [event({"n": 1}), event({"n": 2}) + DONE],
        [event({"n": 1}) + event({"n": 2}), DONE],
        [event({"n": 1}), event({"n": 2})],
        [event({"n": 1}) + event({"n": 2})],
    ],
)
async def test_blocks_of_any_size_are_explained_once_at_the_end(blocks: list[bytes]) -> None:
    text = b"".join(await every(ExplainedStream(Blocks(*blocks), decided())))

    events = [json.loads(part.removeprefix(b"data: ")) for part in text.removesuffix(DONE).split(b"\n\n")[:-1]]
    assert [found["n"] for found in events] == [1, 2]
    assert ["tierway" in found for found in events] == [False, True]
    assert text.endswith(DONE) == blocks[-1].endswith(DONE)


async def test_text_that_looks_like_an_event_is_text() -> None:
    (block,) = await every(ExplainedStream(Blocks(event({"text": "data: {x}"}) + DONE), decided()))

    found = json.loads(block.removesuffix(DONE).removeprefix(b"data: "))
    assert found["text"] == "data: {x}"
    assert "tierway" in found


@pytest.mark.parametrize(("blocks", "expected"), [([], []), ([DONE], [DONE])])
async def test_a_stream_without_chunks_has_nothing_to_explain(blocks: list[bytes], expected: list[bytes]) -> None:
    assert await every(ExplainedStream(Blocks(*blocks), decided())) == expected


async def test_what_came_before_a_failure_is_sent_before_it_is_raised() -> None:
    stream = ExplainedStream(Blocks(event({"n": 1}), event({"n": 2}), UpstreamGarbledError("cut")), decided())

    assert await stream.block() == event({"n": 1})
    assert await stream.block() == event({"n": 2})
    with pytest.raises(UpstreamGarbledError):
        await stream.block()


async def test_a_stream_keeps_its_headers_usage_and_end() -> None:
    below = Blocks()
    stream = ExplainedStream(below, decided())

    await stream.close()

    assert stream.headers == below.headers
    assert stream.usage() == USAGE
    assert below.closed
