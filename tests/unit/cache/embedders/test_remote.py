from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import numpy as np
import pytest

from cache.embedders.remote import HttpEmbedder
from cache.embedders.settings import RemoteEmbedder
from gateway.domain.embedding import EmbedderLateError, EmbedderUnavailableError, TextTooLongError
from gateway.domain.errors import UpstreamTimeoutError

SETTINGS = RemoteEmbedder(model="text-embedding-3-small", dimension=2, budget_ms=30_000)


class Server:
    """Answers with the rows it was given, or waits until the gate is open."""

    def __init__(self, *rows: object) -> None:
        self.rows: list[Any] = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
        self.bodies: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.cancelled = 0

    async def ask(self, body: bytes) -> bytes:
        self.bodies.append(msgspec.json.decode(body))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return msgspec.json.encode({"object": "list", "data": self.rows})


def make(server: Server, settings: RemoteEmbedder = SETTINGS) -> HttpEmbedder:
    return HttpEmbedder(settings, server.ask, "openai")


async def test_rows_are_made_unit_norm_and_put_in_order() -> None:
    server = Server([3, 4], [0, 2])
    server.rows.reverse()

    vectors = await make(server).embed(["a", "b"])

    assert vectors.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 1]]
    assert vectors.dtype == np.float32
    assert server.bodies == [{"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "float"}]


async def test_base64_is_read_as_well() -> None:
    server = Server(base64.b64encode(np.array([0, 5], "<f4").tobytes()).decode())

    assert (await make(server).embed(["a"])).tolist() == [[0, 1]]


async def test_the_dimension_is_asked_for_where_settings_say_so() -> None:
    server = Server([1, 0])

    await make(server, msgspec.structs.replace(SETTINGS, asks_dimension=True)).embed(["a"])

    assert server.bodies[0]["dimensions"] == 2


async def test_a_text_is_asked_for_once() -> None:
    server = Server([1, 0])
    embedder = make(server)

    first = await embedder.embed(["a", "a"])
    second = await embedder.embed(["a"])

    assert [body["input"] for body in server.bodies] == [["a"]]
    assert first.tolist() == [[1, 0], [1, 0]]
    assert second.tolist() == [[1, 0]]


async def test_no_texts_ask_nobody() -> None:
    server = Server()

    assert (await make(server).embed([])).shape == (0, 2)
    assert server.bodies == []


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[1, 0], [0, 1]],
        [[1, 0, 0]],
        [[0, 0]],
        [base64.b64encode(np.array([np.nan, 1], "<f4").tobytes()).decode()],
        ["!!!"],
        ["AAA="],
        [["x"]],
    ],
    ids=["none", "too many", "too long", "zero", "no number", "no base64", "no float32", "no numbers"],
)
async def test_an_answer_that_is_no_answer_is_unavailable(rows: list[object]) -> None:
    with pytest.raises(EmbedderUnavailableError):
        await make(Server(*rows)).embed(["a"])


async def test_rows_of_other_texts_are_unavailable() -> None:
    server = Server([1, 0])
    server.rows[0]["index"] = 1

    with pytest.raises(EmbedderUnavailableError):
        await make(server).embed(["a"])


async def test_a_server_that_fails_is_unavailable() -> None:
    server = Server()
    server.error = UpstreamTimeoutError("silent")

    with pytest.raises(EmbedderUnavailableError, match="upstream_timeout"):
        await make(server).embed(["a"])


async def test_a_timeout_of_the_connection_is_not_the_budgets() -> None:
    server = Server()
    server.error = TimeoutError()

    with pytest.raises(EmbedderUnavailableError):
        await make(server).embed(["a"])


async def test_past_the_budget_the_call_is_cancelled_and_late() -> None:
    server = Server([1, 0])
    server.gate.clear()
    embedder = make(server)

    with pytest.raises(EmbedderLateError):
        await embedder.embed(["a"], budget_s=0.02)

    assert server.cancelled == 1
    assert embedder.late == 1


async def test_calls_beyond_the_bounds_wait_and_then_are_late() -> None:
    server = Server([1, 0])
    server.gate.clear()
    embedder = make(server, msgspec.structs.replace(SETTINGS, max_in_flight=1, max_waiting=1))
    calls = []
    for text in "ab":
        calls.append(asyncio.create_task(embedder.embed([text])))
        await asyncio.sleep(0)

    with pytest.raises(EmbedderLateError, match="wait already"):
        await embedder.embed(["c"])

    assert len(server.bodies) == 1
    server.gate.set()
    await asyncio.gather(*calls)
    assert len(server.bodies) == 2


async def test_a_text_that_is_too_long_is_not_sent() -> None:
    server = Server([1, 0])

    with pytest.raises(TextTooLongError):
        await make(server).embed(["x" * 4097])

    assert server.bodies == []


async def test_an_identity_names_server_model_revision_and_dimension() -> None:
    assert make(Server()).identity == "openai/text-embedding-3-small@1+2"
