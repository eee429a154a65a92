from __future__ import annotations

import asyncio
from typing import Any

import pytest

import gateway.caching.opening as module
from cache.backends.memory import MemoryBackend
from cache.settings import CacheSettings
from gateway import embedding
from gateway.caching.opening import Caches, why_not_semantic
from gateway.domain.secret import Secret
from gateway.embedding import SharedEmbedder
from gateway.upstreams.settings import OpenAIUpstream


class Stores:
    """Keeps nothing outside this process."""

    def __init__(self, backend: MemoryBackend | None = None) -> None:
        self.backend = backend
        self.opened: list[int] = []

    def open_answers(self, max_bytes: int) -> MemoryBackend | None:
        self.opened.append(max_bytes)
        return self.backend

    def open_entry_log(self) -> None:
        return None

    def open_flights(self, _: object) -> None:
        return None


async def _nobody(*_: Any) -> Any:
    raise AssertionError


def caches(stores: Stores | None = None, secret: Secret | None = None) -> Caches:
    return Caches(
        stores or Stores(), secret=secret, ask=_nobody, ceiling=lambda *_: 0, embedder=SharedEmbedder(lambda _: None)
    )


EXACT = CacheSettings(exact=True, semantic=False)


def test_what_did_not_change_is_kept() -> None:
    opened = caches()

    first, again = opened.stage(EXACT, "models"), opened.stage(EXACT, "models")

    assert again is first


def test_what_an_answer_depends_on_is_told_from_what_it_does_not() -> None:
    opened = caches()
    first = opened.stage(EXACT, "models")

    other = opened.stage(EXACT, "other models")

    assert other is not first
    assert other.cache is first.cache
    assert other.version != first.version


def test_a_secret_decides_no_answer_and_leaves_no_trace() -> None:
    opened = caches()
    one = OpenAIUpstream(base_url="http://a/v1", api_key=Secret("first-secret-012345"))
    other = OpenAIUpstream(base_url="http://a/v1", api_key=Secret("other-secret-012345"))

    assert opened.stage(EXACT, one).version == opened.stage(EXACT, other).version


def test_keys_of_answers_cannot_be_guessed_without_the_secret() -> None:
    secrets = (None, Secret("first-secret-012345"), Secret("other-secret-012345"))

    assert len({caches(secret=secret).stage(EXACT, "models").version for secret in secrets}) == 3


def test_a_secret_may_hold_bytes_that_are_no_text() -> None:
    odd = Secret(b"odd-secret-\xff-012345".decode("utf-8", "surrogateescape"))

    assert caches(secret=odd).stage(EXACT, "models").version != caches().stage(EXACT, "models").version


def test_answers_stay_when_only_their_lives_change() -> None:
    stores = Stores()
    opened = caches(stores)
    opened.stage(EXACT)

    opened.stage(CacheSettings(exact=True, semantic=False, ttl_s=5.0))

    assert len(stores.opened) == 1


def test_nothing_is_opened_where_no_cache_is_on() -> None:
    stores = Stores()

    stage = caches(stores).stage(CacheSettings())

    assert not stage.is_on
    assert not stores.opened


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        (EXACT, "is false"),
        (CacheSettings(exact=False), "'cache.exact' is off"),
        (CacheSettings(exact=True, embedder="no-such-model"), ""),
    ],
)
def test_why_there_is_no_semantic_cache_is_said(settings: CacheSettings, part: str) -> None:
    assert part in (why_not_semantic(settings) or "no reason")


def test_whoever_insists_on_meaning_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_not_semantic", lambda _: "usearch is missing")
    insisting = CacheSettings(exact=True, semantic=True)

    with pytest.raises(ValueError, match="usearch is missing"):
        caches().stage(insisting)

    assert caches().stage(CacheSettings(exact=True)).likeness is None


async def test_a_likeness_runs_while_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_not_semantic", lambda _: None)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def open_embedder(*_: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(embedding, "open_embedder", open_embedder)
    opened = caches()
    stage = opened.stage(CacheSettings(exact=True, semantic=True))
    await opened.serve(stage)
    await asyncio.wait_for(begun.wait(), 10)
    assert not ended.is_set()

    await opened.serve(opened.stage(EXACT))

    assert ended.is_set()
    await opened.close()
