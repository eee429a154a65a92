"""Answers a stream of requests as a gateway would, one after the other, and says what that costs each of them.

    python -m cache.semantic.stream FILE --artefact DIR [--error-budget 0.01] [--decisions OUT]

FILE has `{"i", "query"}` a line, plain or gzip. `tierway eval cache-stream` decides without asking first whether a
vector is worth waiting for; here a question that shares its words with no entry goes on at once, as it does in a
gateway. OUT gets `{"i", "hit", "served_from"}` a line. Times are in milliseconds. The embedder has one thread, and each
request is added before the next one is asked, so that it keeps up.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cache.calibration.keeper import BudgetKeeper
from cache.embedders.encoder import Encoder
from cache.embedders.queue import EmbeddingQueue
from cache.embedders.recent import Recent
from cache.semantic.base import Found
from cache.semantic.cache import SemanticCache
from cache.semantic.events import Event, Stored
from cache.semantic.logs.base import Batch

if TYPE_CHECKING:
    from gateway.domain.embedding import Vectors

_SCOPE: Final = bytes(16)
_END: Final = 4e9


class _Embedder:
    """The model of an artefact on one thread, which remembers nothing."""

    def __init__(self, folder: Path) -> None:
        encoder = Encoder(folder)
        self.identity, self.dimension = encoder.meta.identity, encoder.meta.dimension
        self.is_multilingual = encoder.meta.is_multilingual
        self.queue = EmbeddingQueue(encoder.encode, threads=1, max_waiting=16, recent=Recent(0))

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> Vectors:
        return np.stack(await self.queue.vectors(texts, 1.0 if budget_s is None else budget_s))


class _Payloads:
    async def get(self, entry_id: int, scope: bytes) -> tuple[int, bytes]:
        return entry_id, scope

    async def delete(self, entry_id: int) -> None:
        raise NotImplementedError(entry_id)


class _Log:
    """Keeps nothing."""

    def __init__(self) -> None:
        self.written = self.failed = 0
        self.origin, self.complaint = b"none", ""

    def append(self, event: Event) -> None:
        self.written += isinstance(event, Stored)

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        yield Batch([], position, is_last=True)
        await asyncio.get_running_loop().create_future()

    async def trim(self, before: float) -> int:
        return int(before < 0)

    async def close(self) -> None:
        return


class _Tally:
    """Times, by what came of a request."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, kind: str, began: float) -> None:
        """Take in that something which began at a moment of `time.perf_counter` is over."""
        self._times[kind].append((time.perf_counter() - began) * 1000)

    def lines(self) -> Iterator[str]:
        """Return a sentence for each kind."""
        for kind, times in self._times.items():
            half, most = np.percentile(times, [50, 99])
            yield f"{len(times)} {kind}: p50 {half:.3f} ms, p99 {most:.3f} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="cache.semantic.stream", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--artefact", type=Path, required=True)
    parser.add_argument("--error-budget", type=float, default=0.01)
    parser.add_argument("--decisions", type=Path)
    asked = parser.parse_args(arguments)
    decisions = asyncio.run(_answer(_rows(asked.file), _Embedder(asked.artefact), asked.error_budget))
    if asked.decisions is not None:
        asked.decisions.write_text("".join(json.dumps(decision) + "\n" for decision in decisions))
    return 0


async def _answer(rows: Sequence[dict[str, Any]], embedder: _Embedder, error_budget: float) -> list[dict[str, Any]]:
    """Answer a stream, and say how it went."""
    cache = SemanticCache(embedder, _Log(), _Payloads(), BudgetKeeper(error_budget))
    cache.open()
    while not cache.is_warm:  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0.01)
    tally = _Tally()
    decisions = [await _ask(cache, row, tally) for row in rows]
    for line in tally.lines():
        _say(line)
    _say(f"outcomes: {dict(cache.counts)}")
    await cache.close()
    embedder.queue.close()
    return decisions


async def _ask(cache: SemanticCache, row: dict[str, Any], tally: _Tally) -> dict[str, Any]:
    began = time.perf_counter()
    search = cache.begin(_SCOPE, row["query"])
    is_waiting = search.missed is None
    found = await search.result(1.0)
    is_hit = isinstance(found, Found)
    tally.note("hits" if is_hit else "misses", began)
    if search.is_kept:
        tally.note("that waited for a vector" if is_waiting else "that did not", began)
    if not is_hit:
        await cache.add(search, row["i"], row["i"].to_bytes(8, "big"), expires_at=_END)
    return {"i": row["i"], "hit": is_hit, "served_from": found.entry_id if isinstance(found, Found) else None}


def _rows(path: Path) -> list[dict[str, Any]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return [json.loads(line) for line in file]


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
