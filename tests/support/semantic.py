"""Parts of a semantic cache for tests: answers in memory, a log that can be broken, and a cache on any log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

from cache.calibration.keeper import BudgetKeeper
from cache.calibration.table import table
from cache.semantic.cache import SemanticCache
from cache.semantic.events import Event, Written, decode, encode
from cache.semantic.logs.base import BATCH, Batch, EntryLog
from cache.semantic.logs.redis import RedisEntryLog
from cache.semantic.logs.sqlite import SqliteEntryLog
from cache.semantic.settings import SemanticSettings
from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from tests.support.embedding import FakeEmbedder
from tests.support.redis_server import shared_server
from tests.support.resilience import organisation_of
from tests.support.sealed import SEALER

DIMENSION: Final = 64
SCOPE: Final = b"scope of one team"
EGG: Final = "How long should an egg boil until it is firm enough to be peeled?"
THE_EGG: Final = "How long should the egg boil until it is firm enough to be peeled?"
"""The same question as `EGG`: the guard has nothing against it, and the vectors of `FakeEmbedder` have 0.95."""
WHY_EGG: Final = "Why should an egg boil until it is firm enough to be peeled?"
"""Refused as `wh-words`."""
CAPITAL: Final = "What is the capital of Chile?"
"""No word in common with the others that matters."""

FAR_AWAY: Final = 4e9


def embedder() -> FakeEmbedder:
    """Return an embedder that passes for the one the thresholds were measured with."""
    return FakeEmbedder(DIMENSION, identity=table().embedder)


class DictPayloads:
    """Answers in memory, by number; satisfies `Payloads`.

    Attributes:
        kept: scope and answer of each.
        error: raised instead of an answer, if set.
    """

    def __init__(self) -> None:
        self.kept: dict[int, tuple[bytes, str]] = {}
        self.error: Exception | None = None

    async def get(self, entry_id: int, scope: bytes) -> Any | None:
        if self.error is not None:
            raise self.error
        kept_in, answer = self.kept.get(entry_id, (b"", ""))
        return answer if kept_in == scope else None

    async def delete(self, entry_id: int) -> None:
        if self.error is not None:
            raise self.error
        self.kept.pop(entry_id, None)


class MemoryLog:
    """A log in memory, of one process; satisfies `EntryLog`.

    Attributes:
        lines: what was appended, encoded.
        is_held: whether those that follow get nothing for now.
        error: raised to those that follow, if set.
    """

    def __init__(self, lines: list[bytes] | None = None) -> None:
        self.lines = [] if lines is None else lines
        self.written = self.failed = self.trimmed = 0
        self.origin = str(id(self)).encode()
        self.complaint = ""
        self.error: Exception | None = None
        self._news = asyncio.Event()
        self.is_held = False

    def append(self, event: Event) -> None:
        self.lines.append(encode(Written(self.origin, event)))
        self.written += 1
        self.tell()

    def tell(self) -> None:
        """Let those that follow look again."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        at = int(position or 0)
        while True:
            news = self._news
            if self.error is not None:
                raise self.error
            if not self.is_held:
                lines = self.lines[at : at + BATCH]
                at += len(lines)
                written = [one for line in lines if (one := decode(line)) is not None]
                yield Batch(written, str(at), at == len(self.lines))
            if self.is_held or at == len(self.lines):
                await news.wait()

    async def trim(self, before: float) -> int:
        self.trimmed += 1
        return 0

    async def close(self) -> None:
        return


class BrokenLog(MemoryLog):
    """Cannot be read or written."""

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        raise StageUnavailableError("the disk is gone")
        yield Batch([], "", is_last=True)

    async def trim(self, before: float) -> int:
        raise StageUnavailableError("the disk is gone")


def make_cache(
    entry_log: EntryLog | None = None,
    *,
    fake: FakeEmbedder | None = None,
    payloads: DictPayloads | None = None,
    keeper: BudgetKeeper | None = None,
    settings: SemanticSettings | None = None,
    clock: Callable[[], float] = time.time,
) -> SemanticCache:
    """Make a cache with a fake for everything that is not named."""
    return SemanticCache(
        fake or embedder(),
        entry_log or MemoryLog(),
        payloads or DictPayloads(),
        keeper or BudgetKeeper(0.01),
        settings,
        clock=clock,
    )


async def warmed(cache: SemanticCache) -> SemanticCache:
    """Open a cache and wait until it has read its log."""
    cache.open()
    async with asyncio.timeout(10):
        while not cache.is_warm:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)
    return cache


async def keep(
    cache: SemanticCache, payloads: DictPayloads, entry_id: int, text: str, *, scope: bytes = SCOPE, answer: str = ""
) -> bool:
    """Ask a question, and keep an answer to it."""
    search = cache.begin(scope, text)
    await search.result(1.0)
    answer = answer or f"answer {entry_id}"
    payloads.kept[entry_id] = (scope, answer)
    return await cache.add(search, entry_id, answer.encode(), expires_at=FAR_AWAY)


def redis_log(url: str, organisation: str, **options: Any) -> RedisEntryLog:
    """Make a log on Redis with connections of its own; options as for `RedisEntryLog`."""

    def connect() -> RedisConnection:
        # Patient: on a busy machine a test's own work may hold up a pipeline.
        return RedisConnection(
            parse_address(url), slot_key=slot_key(organisation), command_timeout_s=5.0, connect_timeout_s=5.0
        )

    return RedisEntryLog(connect(), connect(), organisation, options.pop("sealer", SEALER), **options)


def _shared_redis_log(folder: Path, clock: Callable[[], float], max_events: int) -> RedisEntryLog:
    return redis_log(shared_server().url, organisation_of(folder), max_events=max_events)


LOGS: Final[dict[str, Callable[[Path, Callable[[], float], int], EntryLog]]] = {
    "sqlite": lambda folder, clock, max_events: SqliteEntryLog(
        folder / "entries.db", SEALER, clock, max_events=max_events
    ),
    "redis": _shared_redis_log,
}
"""By module of `cache.semantic.logs`: a log with a clock, bounded to a number of events."""
