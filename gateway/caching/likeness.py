"""Answers to questions that mean the same: the semantic cache, beside the path of requests wherever it can be."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final

import msgspec

from cache.base import Entry, Hit
from cache.calibration.keeper import BudgetKeeper
from cache.exact import ExactCache
from cache.likeness import why_no_likeness
from cache.scope import Grounds, last_message, scope_of
from cache.semantic.base import Found, Missed
from cache.semantic.cache import SemanticCache
from cache.semantic.logs.base import EntryLog
from cache.semantic.search import Search
from cache.semantic.settings import SemanticSettings
from gateway.caching.audits import Audit, Audits
from gateway.domain.caller import Caller
from gateway.domain.embedding import Embedder, EmbedderUnavailableError
from gateway.domain.request import ModelRequest
from gateway.embedding import Opened

log = logging.getLogger("tierway")

RETRY_S: Final = 10.0
"""Seconds between two tries to open an embedder."""

MOST_ADDING: Final = 256
"""Answers that wait for the vectors of their questions; those of more are not kept for other questions."""

OpenEmbedder = Callable[[], Awaitable[Opened]]


class Likeness:
    """The semantic cache of one version of the settings. For one event loop.

    Until its embedder is there, and where that is lost, every look-up is a miss.

    Args:
        settings: of the semantic cache.
        error_budget: share of requests that may be answered from a wrong entry.
        exact: keeps the answers.
        open_embedder: loads it; raises `EmbedderUnavailableError`.
        open_log: of entries.
        audits: checks hits.

    Attributes:
        unlike: requests that were not looked up, by reason; see `cache.likeness`.
        cache, keeper, embedder: once they are open; None before, and afterwards.
        error_budget: as given.
    """

    def __init__(
        self,
        settings: SemanticSettings,
        *,
        error_budget: float,
        exact: ExactCache,
        open_embedder: OpenEmbedder,
        open_log: Callable[[], EntryLog],
        audits: Audits,
    ) -> None:
        self._settings, self._exact, self.audits = settings, exact, audits
        self._open_embedder, self._open_log = open_embedder, open_log
        self.keeper: BudgetKeeper | None = None
        self.error_budget = error_budget
        self.cache: SemanticCache | None = None
        self.embedder: Embedder | None = None
        self.unlike: Counter[str] = Counter()
        self._fault = ""
        self._wait_s = settings.look_up_ms / 1000
        self._adding: set[asyncio.Task[bool]] = set()

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        return self._fault or (self.cache.complaint if self.cache else "")

    async def run(self) -> None:
        """Open everything and check hits, until cancelled; then close it."""
        try:
            await self._open()
            await self.audits.run(self._judged)
        finally:
            await self._close()

    def begin(self, caller: Caller, request: ModelRequest, grounds: Grounds, category: str) -> Search | None:
        """Begin a look-up; None where only an equal request may be answered from an entry.

        Args:
            caller: who asks.
            request: what is asked.
            grounds: of the exact key.
            category: of the request, for thresholds and audits.
        """
        cache, embedder = self.cache, self.embedder
        if cache is None or embedder is None:
            return None
        reason = why_no_likeness(request)
        grounds = msgspec.structs.replace(grounds, embedder=embedder.identity, is_multilingual=embedder.is_multilingual)
        text, scope = (None, None) if reason else (last_message(request), scope_of(caller, request, grounds))
        if text is None or scope is None:
            self.unlike[reason or "scope"] += 1
            return None
        return cache.begin(scope, text, category=category)

    async def result(self, search: Search, max_age_s: float) -> Found | Missed:
        """Return what was found. It waits for a vector only where something may be near, and not for long."""
        return await search.result(self._wait_s, max_age_s=None if math.isinf(max_age_s) else max_age_s)

    def follow(self, found: Found, entry: Entry, chance_id: str, request: ModelRequest) -> None:
        """Take in that an answer is given; some of them are checked.

        Args:
            found: what is given.
            entry: its answer.
            chance_id: an id of the gateway's own, which no caller chooses.
            request: who gets it.
        """
        if self.cache is not None and self.cache.wants_audit(chance_id):
            self.audits.offer(Audit(found, entry, request))

    def add(self, search: Search, entry_id: int, packed: bytes, expires_at: float) -> None:
        """Make an answer that was kept one that other questions find; it returns at once.

        Args:
            search: of its question.
            entry_id: of the answer.
            packed: the answer, as it was kept.
            expires_at: seconds since the epoch.
        """
        if self.cache is None or not search.is_kept or len(self._adding) >= MOST_ADDING:
            return
        digest = blake2b(packed, digest_size=16).digest()
        task = asyncio.ensure_future(self.cache.add(search, entry_id, digest, expires_at=expires_at))
        self._adding.add(task)
        task.add_done_callback(self._adding.discard)

    async def report_wrong(self, entry_id: int) -> bool:
        """Take in that the answer of an entry was wrong; False where it is not known here as one."""
        return self.cache is not None and await self.cache.report_wrong(entry_id)

    async def delete(self, entry_id: int) -> bool:
        """Forget an entry, of which nothing bad is known; False where there is none."""
        return self.cache is not None and await self.cache.delete(entry_id)

    def _judged(self, found: Found, *, is_right: bool) -> None:
        if self.cache is not None:
            self.cache.audit(found, is_right=is_right)

    async def _open(self) -> None:
        opened = await self._opened()
        self.embedder = self.audits.embedder = opened.embedder
        self.keeper = BudgetKeeper(self.error_budget, table=opened.table)
        payloads = _Payloads(self._exact)
        cache = SemanticCache(opened.embedder, self._open_log(), payloads, self.keeper, self._settings)
        cache.open()
        self.cache, self._fault = cache, ""
        if not self.keeper.is_measured:
            log.warning(
                "no thresholds were measured with the embedder %s: hits begin at a likeness of %.2f; audits lead down",
                opened.embedder.identity,
                self.keeper.threshold(""),
            )

    async def _opened(self) -> Opened:
        while True:
            try:
                return await self._open_embedder()
            except EmbedderUnavailableError as error:
                self._complain(str(error))
                await asyncio.sleep(RETRY_S)

    async def _close(self) -> None:
        cache, self.cache = self.cache, None
        for task in self._adding:
            task.cancel()
        if cache is not None:
            await cache.close()
        self.embedder, self._fault = None, "the semantic cache is closed"

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("answers are not found by meaning: %s", fault)
        self._fault = fault


class _Payloads:
    """The answers of the exact cache, as the semantic one wants them."""

    def __init__(self, exact: ExactCache) -> None:
        self._exact = exact

    async def get(self, entry_id: int, scope: bytes) -> Hit | None:
        """Return an answer; see `Payloads.get`."""
        return await self._exact.entry(entry_id, scope=scope, similarity=1.0)

    async def delete(self, entry_id: int) -> object:
        """Forget an answer; see `Payloads.delete`."""
        return await self._exact.delete_number(entry_id)
