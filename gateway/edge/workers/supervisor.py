"""The process that starts workers, keeps their number, and replaces them one by one."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.edge.listening import Listeners
from gateway.edge.workers.tallies import fold
from gateway.edge.workers.worker import Worker

HOPELESS: Final = 3
"""Workers in a row that end before they are ready, while none serves, after which everything ends."""

PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before a worker is started again, by how many in its place have ended before; the last one from there on."""

STEADY_S: Final = 60.0
"""Seconds of serving after which those are forgotten."""

FORCED_S: Final = 5.0
"""Seconds workers get to end at once, after which they are killed."""

log = logging.getLogger("tierway")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor does.

    Attributes:
        command: starts a worker, given its assignment as a further option.
        count: workers that serve at a time, > 0.
        end_s: seconds a worker gets to end when it is told to, after which it is killed.
        label_top_n: values of a bounded label that keep a series in the counts of ended workers.
        has_file: whether there are settings to load again on SIGHUP; a worker without would end by it.
    """

    command: Sequence[str]
    count: int
    end_s: float
    label_top_n: int
    has_file: bool


class Supervisor:
    """Starts workers on shared sockets and looks after them.

    Signals: SIGTERM or SIGINT drains the workers, a second one ends them at once; SIGHUP is passed on; SIGUSR2 replaces
    the workers one by one: the next one is ready before the old one is told to drain.

    Args:
        plan: what it does.
        listeners: the sockets; closed when it stops.
        folder: private to it and its workers.
        announce: told the banner, once, when all workers are ready.
    """

    def __init__(self, plan: Plan, listeners: Listeners, folder: Path, announce: Callable[[str], None]) -> None:
        self._plan = plan
        self._listeners = listeners
        self._folder = folder
        self._announce = announce
        self._numbers = itertools.count(1)
        self._serving: dict[int, Worker] = {}
        self._running: set[Worker] = set()
        self._reported: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._rolling = asyncio.Event()
        self._unready_in_a_row = 0
        self._status = 0
        self.is_forced = False

    async def run(self) -> int:
        """Look after the workers until a signal or their own failure ends them; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR2, self._rolling.set)
        for slot in range(1, self._plan.count + 1):
            self._begin(self._keep(slot))
        self._begin(self._roll())
        await self._stopping.wait()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*map(self._see_out, list(self._running)))
        return self._status

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """Stop when a task of the supervisor itself has failed: workers nobody looks after are worse than none."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the supervisor failed", exc_info=error)
            self._give_up(1)

    # ---------------------------------------------------------------- signals

    def _stop(self) -> None:
        if self._stopping.is_set():
            self.is_forced = True
            for worker in self._running:
                worker.hurry()
                asyncio.get_running_loop().call_later(FORCED_S, worker.kill)
            return
        self._stopping.set()
        # Here nobody accepts: callers would wait in vain on a socket that stayed open.
        self._listeners.close()
        for worker in self._running:
            worker.drain()

    def _give_up(self, status: int) -> None:
        if not self._stopping.is_set():
            self._status = status
            self._stop()

    def _reload(self) -> None:
        if self._plan.has_file:
            for worker in self._serving.values():
                worker.reload()

    # ---------------------------------------------------------------- a place among the workers

    async def _keep(self, slot: int) -> None:
        """Have somebody serve in a place."""
        loop = asyncio.get_running_loop()
        ends = 0
        while True:
            began_at = loop.time()
            if slot not in self._serving:
                await self._fill(slot)
            while (worker := self._serving.get(slot)) is not None:
                await worker.ended()
                if self._serving.get(slot) is worker:
                    del self._serving[slot]
                    log.error("worker %d (%d) ended with status %s", worker.number, worker.pid, worker.status)
            ends = 0 if loop.time() - began_at > STEADY_S else ends
            await asyncio.sleep(PAUSES_S[min(ends, len(PAUSES_S) - 1)])
            ends += 1

    async def _fill(self, slot: int) -> None:
        """Start a worker in a place that may be empty by the time it is ready."""
        worker = await self._start(slot)
        if worker is None:
            return
        if slot in self._serving:
            worker.drain()
            return
        self._serving[slot] = worker
        if slot not in self._reported:
            self._reported.add(slot)
            if len(self._reported) == self._plan.count:
                self._announce(worker.banner or "")

    async def _start(self, slot: int) -> Worker | None:
        """Start a worker and wait until it is ready; None when it ended instead."""
        try:
            worker = await Worker.start(
                self._plan.command, self._listeners, self._folder, number=next(self._numbers), slot=slot
            )
        except OSError as error:
            log.error("no worker could be started: %s", error.strerror)  # noqa: TRY400  the reason says it all
            self._count_unready(1)
            return None
        self._running.add(worker)
        self._begin(self._follow(worker))
        if not await worker.becomes_ready():
            status = await worker.ended()
            log.error("worker %d (%d) ended with status %d before it was ready", worker.number, worker.pid, status)
            self._count_unready(status)
            return None
        self._unready_in_a_row = 0
        log.info("worker %d (%d) is ready", worker.number, worker.pid)
        return worker

    async def _follow(self, worker: Worker) -> None:
        """Note the end of a worker, and add what it has counted to that of those before."""
        await worker.ended()
        self._lay_aside(worker)

    def _lay_aside(self, worker: Worker) -> None:
        self._running.discard(worker)
        (self._folder / f"{worker.number}.sock").unlink(missing_ok=True)  # of one that was killed
        try:
            fold(self._folder, label_top_n=self._plan.label_top_n)
        except OSError as error:
            log.warning("the counts of worker %d wait to be added up: %s", worker.number, error.strerror)

    def _count_unready(self, status: int) -> None:
        self._unready_in_a_row += 1
        if self._unready_in_a_row >= HOPELESS and not self._serving:
            log.error("%d workers in a row ended before they were ready", self._unready_in_a_row)
            self._give_up(status if status >= 0 else 128 - status)

    # ---------------------------------------------------------------- one by one

    async def _roll(self) -> None:
        """Replace all workers whenever it is asked for; asked again meanwhile, once more."""
        while True:
            await self._rolling.wait()
            self._rolling.clear()
            log.info("replacing the workers one by one")
            if await self._replace_all():
                log.info("the workers are replaced")

    async def _replace_all(self) -> bool:
        for slot in range(1, self._plan.count + 1):
            old = self._serving.get(slot)
            if old is None:
                continue  # a fresh one is on its way
            new = await self._start(slot)
            if new is None:
                log.error("the workers that are left go on serving")
                return False
            if self._serving.get(slot) not in (None, old):
                new.drain()  # the old one ended by itself, and has a successor already
                continue
            self._serving[slot] = new
            log.info("worker %d (%d) drains", old.number, old.pid)
            old.drain()
            await self._see_out(old)
        return True

    async def _see_out(self, worker: Worker) -> None:
        """Wait for the end of a worker that was told to end; kill it when it does not."""
        try:
            async with asyncio.timeout(self._plan.end_s):
                status = await worker.ended()
        except TimeoutError:
            log.error("worker %d (%d) does not end and is killed", worker.number, worker.pid)  # noqa: TRY400  no news
            worker.kill()
            status = await worker.ended()
        if self._stopping.is_set():
            self._lay_aside(worker)
            if worker.banner is not None and status and not self._status:
                self._status = 1


def supervise(plan: Plan, listeners: Listeners, announce: Callable[[str], None]) -> int:
    """Serve with several workers until a signal stops them; return the exit status, 0 after a drain.

    After a second signal it does not return: the process ends by SIGTERM, as one worker alone does.
    """
    with tempfile.TemporaryDirectory(prefix="tierway-") as folder:  # which nobody else may open
        supervisor = Supervisor(plan, listeners, Path(folder), announce)
        status = asyncio.run(supervisor.run())
    if supervisor.is_forced:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    return status
