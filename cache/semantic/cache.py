"""The semantic cache: from a question to the answer of one that is like it, and back into the store.

Whatever goes wrong is a miss, with a reason that is counted; nothing here raises but for a caller's own cancellation.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from cache.calibration.keeper import BudgetKeeper
from cache.index.growing import Build, Form
from cache.index.rows import pack
from cache.index.settings import IndexSettings
from cache.semantic.barred import Barred
from cache.semantic.base import Found, Missed, Payloads
from cache.semantic.decision import Decider
from cache.semantic.entries import ScopedEntries
from cache.semantic.events import Stored
from cache.semantic.logs.base import EntryLog
from cache.semantic.memory import give_back
from cache.semantic.readings import shrink
from cache.semantic.replica import Replica, identity_digest
from cache.semantic.search import Search
from cache.semantic.served import Served
from cache.semantic.settings import SemanticSettings
from cache.semantic.vectors import Vectors
from cache.verifier.eligible import why_not
from cache.verifier.verifier import Verifier
from gateway.domain.embedding import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger("tierway")

_TRIMMED_EVERY: Final = 8192
"""Entries after which memory is given back: as an index grows, each of its blocks leaves a smaller one behind."""

_DAY_S: Final = 86_400.0
_SHARES: Final = 1 << 64

_UNDECIDED: Final = frozenset(["late", "long", "embedder", "payload", "failed", "warming"])
"""Misses that say nothing of how many requests are hits."""

_FAILED: Final = Missed("failed")
_OFF: Final = Missed("off")
_EMPTY: Final = Missed("empty")
_UNLIKE: Final = Missed("unlike")
_WARMING: Final = Missed("warming")


class SemanticCache:
    """Finds answers to questions that are like earlier ones, inside an exact scope. For one event loop.

    A request begins a search, waits for its result for a moment, and after a miss adds the answer it got with the same
    search. It is off where the keeper's thresholds were measured with another embedder than the one that serves; a
    keeper without a table goes with any.

    Args:
        embedder: not closed with this.
        entry_log: of what is stored; closed with this.
        payloads: the answers; not closed with this.
        keeper: gives thresholds, and is told what became of hits.
        settings: bounds and shares.
        clock: seconds since the epoch.
        verifier: the guard.

    Attributes:
        counts: look-ups by what came of them: `hit`, or the reason of a miss.
        added: answers that became entries.
        not_added: answers that did not, for want of a vector or as something failed.
    """

    def __init__(  # noqa: PLR0913  its parts are built elsewhere, in one place
        self,
        embedder: Embedder,
        entry_log: EntryLog,
        payloads: Payloads,
        keeper: BudgetKeeper,
        settings: SemanticSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        verifier: Verifier | None = None,
    ) -> None:
        self._embedder, self._log, self._payloads, self._keeper = embedder, entry_log, payloads, keeper
        self._settings, self._clock = settings or SemanticSettings(), clock
        self.verifier = verifier or Verifier()
        self._mismatch = _mismatch(embedder, keeper)
        self._fault = ""
        self._vectors = Vectors(embedder, self._settings.background_ms / 1000)
        self._model = identity_digest(embedder.identity)
        self._thread = ThreadPoolExecutor(1, "semantic cache")
        self._replica = self._make_replica()
        self._decider = Decider(self._replica, payloads, self.verifier, clock)
        self.counts: Counter[str] = Counter()
        self.added = self.not_added = 0

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        return (
            self._mismatch or self._vectors.complaint or self._fault or self._replica.complaint or self._log.complaint
        )

    @property
    def is_warm(self) -> bool:
        """Tell whether everything that was stored before the start can be found."""
        return self._replica.is_warm

    @property
    def entries(self) -> ScopedEntries:
        """Return what is kept in memory, for its sizes."""
        return self._replica.entries

    def open(self) -> None:
        """Begin to take in what was stored earlier, and elsewhere. It returns at once."""
        if not self._mismatch:
            self._replica.open()

    async def close(self) -> None:
        """Write down what waits and end; twice is harmless."""
        self._vectors.close()
        await self._replica.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def begin(self, scope: bytes, text: str, *, category: str = "") -> Search:
        """Begin a look-up: have the vector made, unless the text is never answered by likeness.

        Args:
            scope: exact key; only entries of the same one are looked at.
            text: the last message.
            category: of the request, for thresholds and audits.
        """
        search = Search(scope, text, category, self._decide, self._count)
        try:
            search.missed = self._why_not(search)
        except Exception as error:  # noqa: BLE001  as for all of this: a miss
            self._report(error)
            search.missed, search.is_kept = _FAILED, False
        if search.is_kept:
            budget_ms = self._settings.look_up_ms if search.missed is None else self._settings.background_ms
            search.embedding = self._vectors.begin(search.text, budget_ms / 1000)
        return search

    async def look_up(self, scope: bytes, text: str, *, category: str = "", budget_s: float) -> Found | Missed:
        """Look for an answer. Whoever adds one after a miss begins a search instead, so that its vector is kept.

        Args:
            scope, text, category: as for `begin`.
            budget_s: seconds to wait for the vector at most.
        """
        return await self.begin(scope, text, category=category).result(budget_s)

    async def add(self, search: Search, entry_id: int, answer: bytes, *, expires_at: float) -> bool:
        """Make the answer to a question that missed an entry; False where it does not become one.

        The payload should be stored before, or the entry is forgotten when it is first found.

        Args:
            search: of the question; its vector is used, and waited for if need be.
            entry_id: of the answer among the payloads; unique over all scopes and replicas.
            answer: a digest of the answer: entries of one answer do not crowd each other.
            expires_at: seconds since the epoch, at most `keep_days` from now.
        """
        if not search.is_kept:
            return False
        try:
            is_added = await self._add(search, entry_id, answer, expires_at)
        except Exception as error:  # noqa: BLE001  an answer that is not kept costs a later hit, never this reply
            is_added = False
            self._report(error)
        self.added += is_added
        if is_added and self.added % _TRIMMED_EVERY == 0:
            self._thread.submit(give_back)
        self.not_added += not is_added
        return is_added

    def wants_audit(self, chance_id: str) -> bool:
        """Tell whether the hit of a request is to be checked: the share of the settings, always the same ones.

        Args:
            chance_id: of the request, such as its id; nothing in it may depend on the hit.
        """
        drawn = int.from_bytes(blake2b(chance_id.encode(), digest_size=8).digest(), "big")
        return drawn < self._settings.audit_share * _SHARES

    def audit(self, found: Found, *, is_right: bool) -> None:
        """Take in that a hit was checked: thresholds move, here and elsewhere; a wrong pair never matches again.

        Args:
            found: the hit.
            is_right: whether the stored answer was as good as the upstream's.
        """
        self._replica.judge([found], is_right=is_right, is_report=False)

    async def report_wrong(self, entry_id: int) -> bool:
        """Take in that an answer from an entry was called wrong; False where nothing is known of it here.

        The entry and its payload are deleted everywhere. The pairs of questions that it answered of late never match
        again, and the threshold of their scope goes up at once, wherever it answered.
        """
        is_known = self._replica.report_wrong(entry_id)
        await self._forget_payload(entry_id)
        return is_known

    async def delete(self, entry_id: int) -> bool:
        """Delete an entry and its payload everywhere; False where nothing is known of it here."""
        is_known = self._replica.delete(entry_id)
        await self._forget_payload(entry_id)
        return is_known

    def _make_replica(self) -> Replica:
        settings = self._settings
        index = IndexSettings(max_mb=settings.max_mb, exact_up_to=settings.exact_up_to)
        return Replica(
            ScopedEntries(self._embedder.dimension, index, self._build),
            self._log,
            self._keeper,
            self._model,
            clock=self._clock,
            keep_s=settings.keep_days * _DAY_S,
            barred=Barred(settings.barred),
            served=Served(settings.served),
        )

    def _build(self, build: Build) -> Future[Form]:
        """Have a graph built on the thread; what that leaves behind, 14 MB of 100,000 entries, goes back afterwards."""
        building = self._thread.submit(build)
        self._thread.submit(give_back)
        return building

    def _why_not(self, search: Search) -> Missed | None:
        """Return why nothing can be found, and note whether an answer may be kept; None where something may be near."""
        if self._mismatch:
            return _OFF
        reason = why_not(search.text, is_multilingual=self._embedder.is_multilingual)
        if reason is not None:
            return Missed(reason)
        search.is_kept = True
        entries = self._replica.entries
        if not entries.holds(search.scope):
            return _EMPTY if self._replica.is_warm else _WARMING
        return None if entries.is_plausible(search.scope, search.reading) else _UNLIKE

    def _count(self, search: Search, outcome: Found | Missed) -> None:
        reason = outcome.reason if isinstance(outcome, Missed) else ""
        self.counts[reason or "hit"] += 1
        if search.is_kept and reason not in _UNDECIDED:
            self._keeper.count(search.scope.hex(), search.category, is_hit=not reason)

    async def _decide(self, search: Search, vector: NDArray[np.float32], max_age_s: float | None) -> Found | Missed:
        try:
            outcome = await self._decider.decide(search, vector, max_age_s)
        except Exception as error:  # noqa: BLE001  the stage is open: what breaks in it is a miss
            self._report(error)
            return _FAILED
        self._fault = ""
        return outcome

    async def _add(self, search: Search, entry_id: int, answer: bytes, expires_at: float) -> bool:
        vector, now = await self._vectors.of(search), self._clock()
        expires_at = min(expires_at, now + self._settings.keep_days * _DAY_S)
        if vector is None or expires_at <= now:
            return False
        row, reading = pack(vector), search.reading
        shrunk = shrink(reading)
        stored = Stored(search.scope, entry_id, self._model, row.tobytes(), shrunk, answer, now, expires_at)
        self._replica.store(stored, row, reading)
        return True

    async def _forget_payload(self, entry_id: int) -> None:
        try:
            await self._payloads.delete(entry_id)
        except Exception as error:  # noqa: BLE001  the entry is gone already; its payload expires by itself
            self._report(error)

    def _report(self, error: Exception) -> None:
        """Say what broke, its kind only: what it says may repeat a prompt."""
        complaint = f"the semantic cache failed ({type(error).__name__})"
        if complaint != self._fault:
            log.warning("%s", complaint, exc_info=error)
        self._fault = complaint


def _mismatch(embedder: Embedder, keeper: BudgetKeeper) -> str:
    if not keeper.is_measured or keeper.embedder == embedder.identity:
        return ""
    return f"thresholds were measured with {keeper.embedder}, not with {embedder.identity}: the semantic cache is off"
