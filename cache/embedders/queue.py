"""Texts wait here for a thread, in a bounded line, and are shared by everybody who waits for the same one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

from cache.embedders.recent import Recent, key_of
from gateway.domain.embedding import EmbedderLateError, EmbedderUnavailableError, EmbeddingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_SHARE: Final = 0.05
"""How much one text moves the running mean of what a text takes, the first ones apart."""

_MOST: Final = 4.0
"""How many times the mean one text counts at most: a text during which the system was busy says little of the next."""


class _Job:
    """One text that waits or is being embedded.

    Attributes:
        due_s: when the first call that waits for it gives up.
        waiting: calls that wait for it; one for which nobody waits any more is not begun.
    """

    __slots__ = ("due_s", "error", "future", "key", "text", "took_s", "vector", "waiting")

    def __init__(self, key: bytes, text: str, due_s: float, future: asyncio.Future[Vector]) -> None:
        self.key, self.text, self.due_s, self.future = key, text, due_s, future
        self.waiting = 0
        self.vector: Vector | None = None
        self.error: EmbeddingError | None = None
        self.took_s = 0.0


class EmbeddingQueue:
    """Embeds texts on a few threads. For one event loop; call it there.

    A thread takes texts as long as some wait, and each result goes back as soon as it is there: under load the hop
    between the threads is paid once for many texts, and no text waits for those behind it. The one whose time is over
    first is next: a request that waits for its vector goes before those of misses, which have seconds.

    Args:
        encode: returns the vector of a text, or raises an `EmbeddingError`; called on the threads.
        threads: how many, >= 1.
        max_waiting: texts that may stand before another one, >= 1.
        recent: remembers what was made.
        clock: seconds that never go back; read on the threads too.

    Attributes:
        embedded: texts that were embedded.
        shared: texts that found their equal on its way.
        late: calls that were refused or gave up for lack of time.
        dropped: texts that were not begun, as nobody waited for them any more.
    """

    def __init__(
        self,
        encode: Callable[[str], Vector],
        *,
        threads: int,
        max_waiting: int,
        recent: Recent,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._encode, self._threads, self._max_waiting = encode, threads, max_waiting
        self._recent, self._clock = recent, clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embedder")
        self._line: list[tuple[float, int, _Job]] = []
        self._joined = count()
        self._jobs: dict[bytes, _Job] = {}
        self._active = 0
        self._mean_s = 0.0
        self._is_closed = False
        self.embedded = self.shared = self.late = self.dropped = 0

    @property
    def waiting(self) -> int:
        """Return how many texts wait for a thread."""
        return len(self._line)

    @property
    def expected_wait_s(self) -> float:
        """Return about how long the last text in the line waits for a thread; 0 where none waits."""
        return len(self._line) * self._mean_s / self._threads

    async def vectors(self, texts: Sequence[str], budget_s: float) -> list[Vector]:
        """Return the vectors of texts, in order; they must not be changed.

        Raises:
            EmbedderLateError: the line is full or too long, or the time is over.
            EmbedderUnavailableError: it is closed, or the encoder broke.
            TextTooLongError: as the encoder says.
        """
        if self._is_closed:
            raise EmbedderUnavailableError("the embedder is closed")
        keys = [key_of(text) for text in texts]
        found = {key: vector for key in keys if (vector := self._recent.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found.update(await self._embed(missing, budget_s))
        return [found[key] for key in keys]

    def close(self) -> None:
        """Begin no more texts; those that wait end with `EmbedderUnavailableError`."""
        self._is_closed = True
        while (job := self._next()) is not None:
            job.error = EmbedderUnavailableError("the embedder is closed")
            self._finish(job)
        self._pool.shutdown(wait=False)

    async def _embed(self, missing: dict[bytes, str], budget_s: float) -> dict[bytes, Vector]:
        jobs = self._join(missing, budget_s)
        futures = [job.future for job in jobs]
        try:
            # Unlike a timeout around them, this cancels none: others may wait for the same texts.
            done, pending = await asyncio.wait(futures, timeout=budget_s, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for job in jobs:
                job.waiting -= 1
        for future in done:
            future.result()
        if pending:
            self.late += 1
            raise EmbedderLateError(f"not embedded within {budget_s * 1000:.0f} ms")
        return {job.key: job.future.result() for job in jobs}

    def _join(self, missing: dict[bytes, str], budget_s: float) -> list[_Job]:
        """Put texts in the line, unless they are on their way: all of them or none."""
        new = [key for key in missing if key not in self._jobs]
        due_s = self._clock() + budget_s
        before = sum(due <= due_s for due, _, _ in self._line) if new else 0
        if before + len(new) > self._max_waiting:
            self.late += 1
            raise EmbedderLateError(f"{before} texts wait already")
        if new and before * self._mean_s / self._threads > budget_s:
            self.late += 1
            raise EmbedderLateError(f"{before} texts before it would take longer")
        self.shared += len(missing) - len(new)
        future_of = asyncio.get_running_loop().create_future
        for key in new:
            self._jobs[key] = job = _Job(key, missing[key], due_s, future_of())
            self._stand(job)
        jobs = [self._jobs[key] for key in missing]
        for job in jobs:
            job.waiting += 1
        self._wake()
        return jobs

    def _stand(self, job: _Job) -> None:
        heappush(self._line, (job.due_s, next(self._joined), job))

    def _next(self) -> _Job | None:
        """Take the text whose time is over first. It is one step for other threads, as no comparison is Python's."""
        try:
            return heappop(self._line)[2]
        except IndexError:
            return None

    def _wake(self) -> None:
        """Set idle threads to work where texts wait."""
        loop = asyncio.get_running_loop()
        for _ in range(min(self._threads - self._active, len(self._line))):
            self._active += 1
            self._pool.submit(self._work, loop)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Embed what waits, on a thread; the line is the only thing it shares with the loop's thread."""
        while True:
            job = self._next()
            if job is None:
                break
            if job.waiting > 0:
                self._run(job)
            if not _tell(loop, self._finish, job):
                return
        _tell(loop, self._rest)

    def _run(self, job: _Job) -> None:
        began = self._clock()
        try:
            job.vector = self._encode(job.text)
            job.vector.flags.writeable = False  # it is shared
        except EmbeddingError as error:
            job.error = error
        except Exception as error:  # noqa: BLE001  what a model runtime raises is not documented; a miss, not a crash
            job.error = EmbedderUnavailableError(f"{type(error).__name__} in the model")
            job.error.__cause__ = error
        job.took_s = self._clock() - began

    def _finish(self, job: _Job) -> None:
        if job.vector is None and job.error is None and job.waiting > 0 and not self._is_closed:
            # Somebody came for it just after a thread had left it out; that thread will rest and wake one.
            self._stand(job)
            return
        self._jobs.pop(job.key, None)
        if job.vector is not None:
            self.embedded += 1
            self._learn(job.took_s)
            self._recent.put(job.key, job.vector)
            job.future.set_result(job.vector)
        elif job.error is not None:
            job.future.set_exception(job.error)
            job.future.exception()  # seen: perhaps nobody waits any more
        else:
            self.dropped += 1

    def _learn(self, took_s: float) -> None:
        if self._mean_s:
            took_s = min(took_s, _MOST * self._mean_s)
        self._mean_s += max(_SHARE, 1 / self.embedded) * (took_s - self._mean_s)

    def _rest(self) -> None:
        """Count a thread as idle; a text may have come after it saw an empty line."""
        self._active -= 1
        if not self._is_closed:
            self._wake()


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> bool:
    """Call back in the loop's thread; False where the loop is closed, so that nobody waits any more."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return False
    return True
