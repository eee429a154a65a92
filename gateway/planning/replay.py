"""Recorded usage played through two settings files on the clock of the records.

Records hold no prompt: each becomes a chat request of four bytes for every prompt token it took, which asks for an
answer as long as the one it got. Requests come one after the other, each settled before the next, so that limits on
requests in flight stop none. What was denied when it was recorded is in no record.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.accounting.lines import from_line
from gateway.domain.tier import TIERS
from gateway.domain.usage import NO_USAGE
from gateway.rehearsal.rehearsal import Outcome, Question, Rehearsal
from gateway.settings import Settings
from policies.governor import Governor
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.ledgers.base import UsageRecord

BYTES_A_TOKEN = 4
"""What a token of ordinary text takes."""

SWEEP_EVERY = 1_000
"""Records after which counters that have become empty are forgotten."""


class ReplayError(Exception):
    """A line is no record; the message says which."""


class Side(msgspec.Struct, kw_only=True):
    """What came of the records under one file.

    Attributes:
        allowed: requests that passed.
        denied: how many did not, by limit or error code.
        cost_microusd: of those that passed, at the file's prices.
        unpriced: those whose price is not known.
        tiers: how many each tier answered.
    """

    allowed: int = 0
    denied: dict[str, int] = {}
    cost_microusd: int = 0
    unpriced: int = 0
    tiers: dict[str, int] = {}

    def note(self, outcome: Outcome) -> None:
        """Count what came of a request."""
        if not outcome.allowed:
            reason = outcome.refused_by or outcome.code
            self.denied[reason] = self.denied.get(reason, 0) + 1
            return
        tier = outcome.tier or "none"
        self.allowed += 1
        self.tiers[tier] = self.tiers.get(tier, 0) + 1
        self.cost_microusd += outcome.cost_microusd or 0
        self.unpriced += outcome.cost_microusd is None


class Played(msgspec.Struct, kw_only=True):
    """What came of one key's records under both files, or of everybody's.

    Attributes:
        newly_denied: requests that passed under the old file only.
    """

    requests: int = 0
    newly_denied: int = 0
    old: Side = msgspec.field(default_factory=Side)
    new: Side = msgspec.field(default_factory=Side)

    def note(self, before: Outcome, after: Outcome) -> None:
        """Count what came of a request."""
        self.requests += 1
        self.newly_denied += before.allowed and not after.allowed
        self.old.note(before)
        self.new.note(after)


class Replay(msgspec.Struct, kw_only=True):
    """What came of all records.

    Attributes:
        skipped: records of requests that no model was asked for, or that were given back.
        by_key: as `team/key`, in the order of their first record.
    """

    total: Played = msgspec.field(default_factory=Played)
    skipped: int = 0
    by_key: dict[str, Played] = {}


async def replay(lines: Iterable[bytes], old: Settings, new: Settings) -> Replay:
    """Play records through both files.

    Args:
        lines: records as `/admin/usage/records` gives them out, oldest first; they are not kept.

    Raises:
        ReplayError: a line is no record.
    """
    found = Replay()
    clock = _Clock()
    sides = _Counted(old, clock), _Counted(new, clock)
    for number, line in enumerate(lines, start=1):
        record = _record(line, number)
        if record is None:
            continue
        if record.is_released or not record.requested_model:
            found.skipped += 1
            continue
        clock.now = max(clock.now, record.at)
        question = _question(record, sides[0].most_characters(record))
        before, after = [await side.ask(question) for side in sides]
        found.total.note(before, after)
        found.by_key.setdefault(question.key, Played()).note(before, after)
    return found


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Counted:
    """One file, with counters that go on counting."""

    def __init__(self, settings: Settings, clock: _Clock) -> None:
        self._store = MemoryHoldStore(clock)
        self._rehearsal = Rehearsal(settings, Governor(self._store))
        self._scores = settings.router.strategy == "by_complexity"
        self._asked = 0

    def most_characters(self, record: UsageRecord) -> int:
        """Return how long a prompt of its caller may be."""
        return self._rehearsal.policies.of_key(record.team, record.key).guard.limits.characters

    async def ask(self, question: Question) -> Outcome:
        self._asked += 1
        if not self._scores:
            question = msgspec.structs.replace(question, tier=None)
        if self._asked % SWEEP_EVERY == 0:
            await self._store.sweep()
        return await self._rehearsal.ask(question)


def _record(line: bytes, number: int) -> UsageRecord | None:
    if not line.strip():
        return None
    try:
        return from_line(line)
    except ValueError as error:
        raise ReplayError(f"line {number}: {error}") from error


def _question(record: UsageRecord, most_characters: int) -> Question:
    length = min(record.usage.prompt_tokens * BYTES_A_TOKEN, most_characters)
    return Question(
        key=f"{record.team}/{record.key}",
        model=record.requested_model,
        text="x" * length,
        user=record.user or None,
        max_output_tokens=max(1, record.usage.completion_tokens),
        usage=NO_USAGE if record.cache == "exact" else record.usage,
        tier=next((tier for tier in TIERS if tier == record.tier), None),  # prompts are not recorded: no score is known
    )
