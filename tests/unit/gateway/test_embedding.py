from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway.embedding as module
from cache.calibration.table import UNMEASURED
from cache.calibration.table import table as packaged
from cache.settings import EmbeddingUpstream
from gateway.domain.embedding import EmbedderUnavailableError
from gateway.embedding import Opened, SharedEmbedder, open_embedder, why_no_embedder
from gateway.upstreams.base import Headers, RelayCall
from tests.support.embedding import FakeEmbedder

REMOTE = EmbeddingUpstream(upstream="there", model="m")


class Answering:
    """Satisfies `RelaySupport`: embeds every text as the same three numbers."""

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.calls: list[RelayCall] = []
        self._status, self._body = status, body

    async def relay(self, call: RelayCall) -> Relayed:
        self.calls.append(call)
        assert isinstance(call.body, bytes)
        count = len(msgspec.json.decode(call.body)["input"])
        rows = [{"index": at, "embedding": [3.0, 0.0, 4.0]} for at in range(count)]
        return Relayed(self._status, self._body or msgspec.json.encode({"data": rows}))


class Relayed:
    headers: Headers = ()

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self._body = status, body
        self.is_closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        self.is_closed = True


def finding(upstream: Any) -> Any:
    return {"there": upstream}.get


async def test_a_server_embeds_and_tells_how_long_its_vectors_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    upstream = Answering()

    embedder, table = await open_embedder(REMOTE, finding(upstream))
    vectors = await embedder.embed(["a text"])

    assert table is UNMEASURED
    assert (embedder.identity, embedder.dimension) == ("there/m@1+3", 3)
    assert vectors.tolist() == [pytest.approx([0.6, 0.0, 0.8])]
    assert {(call.method, call.path) for call in upstream.calls} == {("POST", "/embeddings")}


@pytest.mark.parametrize("upstream", [None, Answering(500), Answering(200, b"no json"), Answering(200, b'{"data":[]}')])
async def test_a_server_that_gives_no_vectors_is_no_embedder(upstream: Any) -> None:
    with pytest.raises(EmbedderUnavailableError, match="'there' gives no embeddings"):
        await open_embedder(REMOTE, finding(upstream))


def test_a_missing_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "find_spec", lambda _: object())

    assert "no embedding model no-such-model" in (why_no_embedder("no-such-model") or "")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "usearch" else object())

    assert "usearch is missing" in (why_no_embedder(REMOTE) or "")


def test_a_server_needs_no_model_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: object())

    assert why_no_embedder(REMOTE) is None


async def test_all_who_want_the_same_embedder_share_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shared = SharedEmbedder(finding(Answering()))

    one, again = await asyncio.gather(shared.open(REMOTE), shared.open(REMOTE))
    other = await shared.open(msgspec.structs.replace(REMOTE, model="n"))

    assert again.embedder is one.embedder
    assert other.embedder is not one.embedder


async def test_only_the_embedder_of_the_release_gives_second_opinions(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = [Opened(FakeEmbedder(identity=identity), UNMEASURED) for identity in ("another", packaged().embedder)]

    async def open_next(*_: Any) -> Opened:
        return opened.pop(0)

    monkeypatch.setattr(module, "open_embedder", open_next)
    shared = SharedEmbedder(finding(None))
    assert shared.measured() is None
    await shared.open("another")
    assert shared.measured() is None

    found = await shared.open("the one")

    assert shared.measured() is found.embedder
