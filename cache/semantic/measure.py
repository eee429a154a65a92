"""Measures the memory of many entries, and how long a look-up takes once the vector of the question is there.

    python -m cache.semantic.measure [--entries 100000] [--scopes 1] [--look-ups 4000] [--artefact DIR]

Questions are made up in groups of eight that differ in one word, and so are their vectors, so that a question has six
near ones and the guard is asked about each: the dearest case. With `--artefact` the embedder is loaded as well, as it
would be when serving. Sizes are resident memory in MB, times in milliseconds of one thread.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cache.calibration.keeper import BudgetKeeper
from cache.calibration.table import table
from cache.semantic.base import Found, Missed
from cache.semantic.cache import SemanticCache
from cache.semantic.events import Event, Stored, Written
from cache.semantic.logs.base import BATCH, Batch
from cache.semantic.readings import shrink
from cache.semantic.replica import identity_digest
from cache.semantic.settings import SemanticSettings
from cache.verifier.reader import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.domain.embedding import Vectors

DIMENSION: Final = 384
GROUP: Final = 8
LOOK_UPS: Final = 4000
_NEAR: Final = 0.35
"""Noise around the middle of a group, in its length: questions of one group have a cosine of about 0.89."""

_SAME_GROUP: Final = 0.7
"""A cosine that only questions of one group have."""

_SUBJECTS: Final = ("history", "climate", "price", "colour", "height", "owner", "language", "capital")
_END: Final = 4e9


class Questions:
    """Made-up questions and their vectors."""

    def __init__(self, count: int) -> None:
        random = np.random.default_rng(7)
        middles = random.standard_normal((count // GROUP + 1, DIMENSION)).astype(np.float32)
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
        self._middles, self._random = middles, random

    def text(self, number: int) -> str:
        """Return a question of about 20 words."""
        group, member = divmod(number, GROUP)
        name = f"Ba{_spelled(group)}"
        return (
            f"Could you please tell me what the {_SUBJECTS[member]} of the old town {name} near the river Lo{name} is?"
        )

    def vector(self, number: int) -> NDArray[np.float32]:
        """Return a vector near the middle of its group, another one each time: (d,), unit-norm."""
        noise = self._random.standard_normal(DIMENSION).astype(np.float32) / np.float32(DIMENSION**0.5)
        near: NDArray[np.float32] = self._middles[number // GROUP] + np.float32(_NEAR) * noise
        near /= np.linalg.norm(near)
        return near


class _Log:
    """Gives made-up entries, and keeps nothing."""

    def __init__(self, questions: Questions, entries: int, scopes: int, model: bytes) -> None:
        self.written = self.failed = 0
        self.origin, self.complaint = b"none", ""
        self._questions, self._entries, self._scopes, self._model = questions, entries, scopes, model

    def append(self, event: Event) -> None:
        self.written += isinstance(event, Stored)

    async def follow(self, position: str = "") -> AsyncGenerator[Batch, None]:
        for start in range(int(position or 0), self._entries, BATCH):
            stop = min(start + BATCH, self._entries)
            yield Batch([Written(b"", self._stored(at)) for at in range(start, stop)], str(stop), stop == self._entries)
        await asyncio.get_running_loop().create_future()

    async def trim(self, before: float) -> int:
        return int(before < 0)

    async def close(self) -> None:
        return

    def _stored(self, number: int) -> Stored:
        vector = self._questions.vector(number)
        row = np.rint(vector * (127 / np.abs(vector).max())).astype(np.int8).tobytes()
        reading = shrink(read(self._questions.text(number)))
        answer = number.to_bytes(16, "big")
        return Stored(_scope(number, self._scopes), number, self._model, row, reading, answer, time.time(), _END)


class _Given:
    """An embedder that has the next vector already."""

    identity, dimension, is_multilingual = table().embedder, DIMENSION, False

    def __init__(self) -> None:
        self.next: Vectors = np.empty((1, DIMENSION), np.float32)

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> Vectors:  # noqa: ARG002
        return self.next


class _Payloads:
    async def get(self, entry_id: int, scope: bytes) -> tuple[int, bytes]:
        return entry_id, scope

    async def delete(self, entry_id: int) -> None:
        raise NotImplementedError(entry_id)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="cache.semantic.measure", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--scopes", type=int, default=1)
    parser.add_argument("--look-ups", type=int, default=LOOK_UPS)
    parser.add_argument("--artefact", type=Path)
    asyncio.run(_measure(parser.parse_args(arguments)))
    return 0


async def _measure(asked: argparse.Namespace) -> None:
    encoder = None if asked.artefact is None else _loaded(asked.artefact)
    questions, embedder = Questions(asked.entries), _Given()
    _say(f"before: {_rss_mb():.0f} MB")
    log = _Log(questions, asked.entries, asked.scopes, identity_digest(embedder.identity))
    cache = SemanticCache(embedder, log, _Payloads(), BudgetKeeper(0.01), SemanticSettings())
    began = time.perf_counter()
    cache.open()
    while not cache.is_warm:  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0.05)
    _say(f"read {len(cache.entries)} entries in {time.perf_counter() - began:.1f} s, most of it making them up")

    async def look_up(number: int) -> Found | Missed:
        embedder.next = questions.vector(number)[np.newaxis]
        return await cache.look_up(_scope(number, asked.scopes), questions.text(number), budget_s=1.0)

    began = time.perf_counter()
    while (await look_up(asked.entries - 1)).similarity < _SAME_GROUP:  # noqa: ASYNC110  nor of this
        await asyncio.sleep(0.2)
    _say(f"all found after {time.perf_counter() - began:.1f} s more")
    times: dict[str, list[float]] = {"elapsed": [], "elapsed where the system took no core away": [], "of the core": []}
    for number in np.random.default_rng(1).integers(0, asked.entries, asked.look_ups).tolist():
        taken, began, worked = _taken(), time.perf_counter(), time.thread_time()
        await look_up(number)
        elapsed, work, is_whole = time.perf_counter() - began, time.thread_time() - worked, _taken() == taken
        for name, seconds in zip(times, (elapsed, elapsed if is_whole else None, work), strict=True):
            if seconds is not None:
                times[name].append(seconds * 1000)
    for name, measured in times.items():
        half, most = np.percentile(measured, [50, 99]) if measured else (0.0, 0.0)
        _say(f"look-up and guard, {len(measured)} times {name}: p50 {half:.3f} ms, p99 {most:.3f} ms")
    _say(f"outcomes: {dict(cache.counts)}")
    _say(f"after: {_rss_mb():.0f} MB, of which entries count {cache.entries.size / 2**20:.0f} MB")
    await cache.close()
    del encoder


def _loaded(artefact: Path) -> object:
    from cache.embedders.encoder import Encoder  # noqa: PLC0415  only where it is asked for

    encoder = Encoder(artefact)
    encoder.encode("How long should an egg boil?")
    return encoder


def _scope(number: int, scopes: int) -> bytes:
    return (number // GROUP % scopes).to_bytes(16, "big")


def _spelled(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _taken() -> int:
    """Return how often the system gave the core of this thread to another one before it was done."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
