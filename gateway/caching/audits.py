"""Whether answers that were found by meaning are right: some are asked for again once their callers have theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Protocol

import msgspec

from cache.base import Entry
from cache.semantic.base import Found
from gateway.answers.again import plain_again, stream_again
from gateway.answers.record import unpack
from gateway.answers.template import fresh
from gateway.caching.agreement import Agreement
from gateway.domain.embedding import Embedder
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.experiments.allowance import Allowance, AllowedAsk, OverAllowanceError
from gateway.experiments.answer_text import answer_text, streamed_text
from gateway.experiments.shadow import may_be_asked_again, plain
from gateway.telemetry import Metric, counter, gauge

AT_ONCE: Final = 2
"""Audits under way: they take connections that callers may want."""

MOST_WAITING: Final = 128
MOST_WAITING_BYTES: Final = 4 * 2**20
"""Hits that wait to be checked, and the bytes of their requests; beyond either a hit is not checked."""


class Audit(msgspec.Struct, frozen=True):
    """A hit that is to be checked.

    Attributes:
        entry: what its caller was given.
        request: what its caller had asked.
    """

    found: Found
    entry: Entry
    request: ModelRequest


class Judged(Protocol):
    """Is told what came of an audit."""

    def __call__(self, found: Found, *, is_right: bool) -> None:
        """Learn from it."""


class Audits:
    """Checks hits, within a day's allowance.

    Args:
        ask: asks models within the allowance.
        allowance: what there is for a day.
        judge_model: decides where words leave it open; None: they then differ.

    Attributes:
        embedder: compares long answers; without one they are compared by their letters.
        outcomes: hits by what became of their audits: `right`, `wrong`, `failed` (no answer came), `over_allowance`,
            `dropped` (too many waited), `unfit` (the request cannot be asked again).
    """

    def __init__(self, ask: AllowedAsk, allowance: Allowance, judge_model: str | None) -> None:
        self._ask, self.allowance, self._judge_model = ask, allowance, judge_model
        self.embedder: Embedder | None = None
        self.outcomes: Counter[str] = Counter()
        self._waiting: asyncio.Queue[Audit] = asyncio.Queue(MOST_WAITING)
        self._bytes = 0

    def offer(self, audit: Audit) -> None:
        """Take a hit whose answer goes out, if there is room for it. It waits for nothing and raises nothing."""
        size = len(audit.request.body)
        if not may_be_asked_again(audit.request) or not audit.entry.routed_model:
            self.outcomes["unfit"] += 1
        elif self._waiting.full() or self._bytes + size > MOST_WAITING_BYTES:
            self.outcomes["dropped"] += 1
        else:
            self._bytes += size
            self._waiting.put_nowait(audit)

    async def run(self, judged: Judged) -> None:
        """Check hits until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work(judged))

    async def check(self, audit: Audit) -> bool | None:
        """Ask again and compare: True where the answers say the same, None where nobody can tell."""
        ours = await told_by(audit.entry, audit.request)
        try:
            call = await self._ask(plain(audit.request), audit.entry.routed_model)
            theirs = answer_text(call.reply.body, audit.request.shape)
            if ours is None or theirs is None:
                self.outcomes["failed"] += 1
                return None
            agreement = Agreement(self.embedder, self._ask, self._judge_model)
            is_right = await agreement.holds(audit.request, ours, theirs)
        except OverAllowanceError:
            self.outcomes["over_allowance"] += 1
            return None
        except Exception:  # noqa: BLE001  nobody waits for it: counted, and it says nothing of the hit
            self.outcomes["failed"] += 1
            return None
        self.outcomes["right" if is_right else "wrong"] += 1
        return is_right

    def gauges(self) -> list[Metric]:
        """Return what became of audits, and what they cost."""
        results = {result: float(count) for result, count in self.outcomes.items()}
        text = "Hits by meaning that were to be checked, by what came of it."
        spent = {"audits": self.allowance.spent_microusd / PER_MILLION}
        return [
            counter("tierway_cache_audits", text, "result", results),
            gauge("tierway_cache_audit_spent_usd", "What audits have cost today (UTC).", "part", spent),
        ]

    async def _work(self, judged: Judged) -> None:
        while True:
            audit = await self._waiting.get()
            try:
                is_right = await self.check(audit)
            finally:
                self._bytes -= len(audit.request.body)
            if is_right is not None:
                judged(audit.found, is_right=is_right)


async def told_by(entry: Entry, request: ModelRequest) -> str | None:
    """Return what a kept answer says; None where it has no text."""
    record = unpack(entry.body)
    if record is None:
        return None
    if record.whole:
        return answer_text(plain_again(record, NO_USAGE, "", fresh()).body, request.shape)
    stream = stream_again(record, NO_USAGE, fresh(), "at_once", wants_usage=False)
    blocks = []
    while block := await stream.block():
        blocks.append(block)
    return streamed_text(b"".join(blocks), request.shape)
