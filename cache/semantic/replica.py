"""What this process knows of all entries, kept up with what it and the other replicas write into the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cache.calibration.keeper import BudgetKeeper
from cache.semantic.barred import Barred
from cache.semantic.base import Found
from cache.semantic.entries import ScopedEntries
from cache.semantic.events import Deleted, Judged, Stored, Written
from cache.semantic.logs.base import EntryLog
from cache.semantic.memory import give_back
from cache.semantic.readings import restore
from cache.semantic.served import Served
from cache.semantic.shelf import Kept
from cache.verifier.reading import Reading
from gateway.domain.errors import StageUnavailableError

log = logging.getLogger("tierway")

RETRY_S: Final = 1.0
"""Seconds between tries while the log cannot be read."""

_HOUR_S: Final = 3600.0

_AT_ONCE: Final = 12
"""Entries of other replicas that are added before other tasks have their turn: 4 ms at most, in a graph."""

_LOADED_AT_ONCE: Final = 96
"""Entries that are loaded before other tasks have their turn: 3 ms."""

_Row = NDArray[np.int8]
_Gathered = dict[bytes, dict[int, tuple[Kept, _Row]]]


def identity_digest(identity: str) -> bytes:
    """Return 8 bytes that stand for an embedder's identity."""
    return blake2b(identity.encode(), digest_size=8).digest()


class Replica:
    """Follows a log, and takes in its events. For one event loop.

    What stands in the log at the start is taken in oldest first, in the background. Events of this process are taken in
    when they are made, and skipped when the log gives them back.

    Args:
        entries: filled here.
        entry_log: closed with this.
        keeper: told of every judgement.
        model: `identity_digest` of the embedder; entries of another are skipped.
        clock: seconds since the epoch.
        keep_s: seconds for which the log keeps events.
        barred, served: filled here.

    Attributes:
        is_warm: whether all that stood in the log at the start was taken in.
        skipped: entries that were of no use: of another model, or broken.
        complaint: why the log cannot be read, empty when all is well.
    """

    def __init__(  # noqa: PLR0913  what one process knows, made in one place
        self,
        entries: ScopedEntries,
        entry_log: EntryLog,
        keeper: BudgetKeeper,
        model: bytes,
        *,
        clock: Callable[[], float],
        keep_s: float,
        barred: Barred,
        served: Served,
    ) -> None:
        self.entries, self.keeper, self.barred, self.served = entries, keeper, barred, served
        self._log, self._model, self._clock = entry_log, model, clock
        self._keep_s, self._position = keep_s, ""
        self._tasks: list[asyncio.Task[None]] = []
        self.is_warm = False
        self.skipped = 0
        self.complaint = ""

    def open(self) -> None:
        """Begin to follow the log, and to cut what is old."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks.append(loop.create_task(self._follow(), name="semantic cache"))
            self._tasks.append(loop.create_task(self._trim_hourly(), name="semantic cache, old entries"))

    async def close(self) -> None:
        """Stop following, write what waits, and let go of the log; twice is harmless."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._log.close()

    async def trim(self) -> None:
        """Cut from the log what is older than is kept; what fails is tried again with the next hour."""
        try:
            await self._log.trim(self._clock() - self._keep_s)
        except StageUnavailableError as error:
            log.warning("old entries of the cache stay for now: %s", error)

    async def _trim_hourly(self) -> None:
        while True:
            await self.trim()
            await asyncio.sleep(_HOUR_S)

    def store(self, stored: Stored, row: _Row, reading: Reading) -> None:
        """Keep an entry of this process, and write it down.

        Raises:
            ValueError: the row has another length than the index was made for; nothing is kept.
        """
        self.entries.add(stored.scope, stored.entry_id, _kept(stored), row, reading)
        self._log.append(stored)

    def delete(self, entry_id: int, scope: bytes | None = None) -> bool:
        """Forget an entry here and everywhere; False where it is not known here.

        Args:
            entry_id: which.
            scope: where it is, if that is known: it is looked for otherwise.
        """
        scope = self.entries.find(entry_id) if scope is None else scope
        self._log.append(Deleted(scope or b"", entry_id))
        self._forget(scope, entry_id)
        return scope is not None

    def report_wrong(self, entry_id: int) -> bool:
        """Forget an entry that gave a wrong answer, here and everywhere; False where nothing is known of it here.

        Whoever it answered, here or elsewhere, bars the pairs of questions and raises the threshold of their scope. If
        it answered nothing here that is remembered, the threshold of its scope is raised all the same.
        """
        scope = self.entries.find(entry_id)
        self._log.append(Deleted(scope or b"", entry_id, is_reported=True))
        hits = self._forget(scope, entry_id)
        if hits:
            self.judge(hits, is_right=False, is_report=True)
        elif scope is not None:
            self._write_down(Judged(scope, "", self.keeper.threshold(scope.hex()), is_right=False, is_report=True))
        return scope is not None or bool(hits)

    def judge(self, hits: Sequence[Found], *, is_right: bool, is_report: bool) -> None:
        """Take in that hits on one entry were right or wrong, and write it down.

        Args:
            hits: at least one; the last one counts, and all pairs of wrong ones are barred.
            is_right: whether the stored answer was as good as the upstream's.
            is_report: whether somebody reported it.
        """
        last = hits[-1]
        pairs = () if is_right else tuple(hit.pair for hit in hits)
        self._write_down(Judged(last.scope, last.category, last.counted, is_right, is_report, pairs))

    async def _follow(self) -> None:
        while True:
            try:
                await self._read_on()
            except StageUnavailableError as error:
                self._complain(f"entries of other replicas do not arrive: {error}")
            except Exception as error:  # a log that breaks in another way costs hits, never the gateway
                self._complain(f"entries of other replicas do not arrive ({type(error).__name__})")
                log.exception("the semantic cache cannot read its log")
            await asyncio.sleep(RETRY_S)

    async def _read_on(self) -> None:
        async with aclosing(self._log.follow(self._position)) as batches:
            async for batch in batches:
                # Before they are taken in: an event that breaks something must not come again and again.
                self._position, self.complaint = batch.position, ""
                await self._take(batch.written)
                if batch.is_last and not self.is_warm:
                    await self._finish()

    async def _finish(self) -> None:
        self.entries.finish()
        self.is_warm = True
        await asyncio.to_thread(give_back)

    def _complain(self, complaint: str) -> None:
        """Say what is wrong once until it is well again."""
        if complaint != self.complaint:
            log.warning("%s", complaint)
        self.complaint = complaint

    async def _take(self, events: Iterable[Written]) -> None:
        """Take events in, in order; entries that were stored in a row go into their scopes together.

        What this process stored or deleted is taken in a second time, which changes nothing unless another replica's
        event came in between. What it judged must not be counted twice.
        """
        gathered: _Gathered = {}
        for written in events:
            event, is_own = written.event, written.origin == self._log.origin
            if isinstance(event, Stored):
                self._gather(gathered, event)
                continue
            await self._put(gathered)
            gathered = {}
            if isinstance(event, Deleted):
                self._take_deleted(event, is_own=is_own)
            elif not is_own:
                self._take_judged(event)
        await self._put(gathered)

    def _gather(self, gathered: _Gathered, stored: Stored) -> None:
        if stored.model != self._model:
            self.skipped += 1
        elif stored.expires_at > self._clock():
            row = np.frombuffer(stored.row, np.int8)
            gathered.setdefault(stored.scope, {})[stored.entry_id] = (_kept(stored), row)

    async def _put(self, gathered: _Gathered) -> None:
        done = 0
        for scope, entries in gathered.items():
            try:
                done = await (self._add if self.is_warm else self._load)(scope, entries, done)
            except ValueError:
                self.skipped += len(entries)

    async def _load(self, scope: bytes, entries: dict[int, tuple[Kept, _Row]], done: int) -> int:
        """Have entries taken in together, some at a time."""
        known = list(entries.items())
        for start in range(0, len(known), _LOADED_AT_ONCE):
            some = dict(known[start : start + _LOADED_AT_ONCE])
            self.entries.extend(scope, some)
            done += len(some)
            if done >= _LOADED_AT_ONCE:
                done = 0
                await asyncio.sleep(0)
        return done

    async def _add(self, scope: bytes, entries: dict[int, tuple[Kept, _Row]], done: int) -> int:
        """Add entries one by one: a graph takes few that way without being built anew."""
        for entry_id, (kept, row) in entries.items():
            if self.entries.is_older(scope, entry_id, kept.stored_at):
                self.entries.add(scope, entry_id, kept, row, restore(kept.reading))
                done += 1
            if done >= _AT_ONCE:
                done = 0
                await asyncio.sleep(0)
        return done

    def _take_deleted(self, deleted: Deleted, *, is_own: bool) -> None:
        hits = self._forget(deleted.scope or self.entries.find(deleted.entry_id), deleted.entry_id)
        if hits and deleted.is_reported and not is_own:
            self.judge(hits, is_right=False, is_report=True)

    def _forget(self, scope: bytes | None, entry_id: int) -> list[Found]:
        """Forget an entry, and return what it answered here of late."""
        if scope is not None:
            self.entries.remove(scope, entry_id)
        return self.served.take(entry_id)

    def _write_down(self, judged: Judged) -> None:
        self._log.append(judged)
        self._take_judged(judged)

    def _take_judged(self, judged: Judged) -> None:
        for pair in judged.pairs:
            self.barred.add(pair)
        scope, category, similarity = judged.scope.hex(), judged.category, judged.similarity
        if judged.is_report:
            self.keeper.report_wrong(scope, category, similarity)
        else:
            self.keeper.audit(scope, category, similarity, is_right=judged.is_right)


def _kept(stored: Stored) -> Kept:
    return Kept(stored.reading, stored.answer, stored.stored_at, stored.expires_at)
