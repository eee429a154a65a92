"""Keeps the error budget while serving: moves the threshold of a scope by what audits and reports say of its hits.

The promise, in the words that the page uses: with a confidence of 0.95 at most `bound` of the requests were answered
from a wrong entry, assuming that audited hits are a fair sample. Without audits there is a measured default and no
promise; to show at most 1 % of hits wrong takes 299 audits without an error.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Final

import msgspec

from cache.calibration.ledger import LOWEST, FalseHits, Ledger
from cache.calibration.table import Table, threshold_for
from cache.calibration.table import table as packaged

HIGHEST: Final = 0.995
"""No threshold is moved above: nearly only texts that differ in spacing and case are that much alike."""

KEPT_FREE: Final = 0.5
"""Share of the budget that must be free before a threshold without a table goes down: nobody knows how many more
questions a step takes in where cosines lie close together. Simulated on scales down to a fifth of the default one's
width, 60,000 requests and a budget of 1 %: at most 0.7 % were wrong with it, 1.0 % without."""

_EVERYWHERE: Final = ("", "")
_FORMAT: Final = 2


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast thresholds move."""

    raise_by: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.02
    """Cosine similarity that a wrong hit adds at once to the threshold of its scope. On the public mixed stream a step
    of 0.02 cuts the errors by about a quarter."""
    lower_by: Annotated[float, msgspec.Meta(gt=0, le=0.1)] = 0.005
    """Cosine similarity that is taken off when audits show room: a quarter of the step up, so that trust is lost
    faster than it is gained."""
    patience: Annotated[int, msgspec.Meta(ge=1)] = 50
    """Audits since the last move before a threshold is lowered again."""
    most_lowered: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.06
    """How far below the threshold of the table a scope may go."""
    most_lowered_unmeasured: Annotated[float, msgspec.Meta(ge=0, le=0.4)] = 0.15
    """The same below `STRICTEST` for an embedder without a table: to 0.84, about where the default one stands for 1 %.
    Audits alone lead there, 30 steps of at least 50 of them; a model whose answers lie lower is worth measuring."""
    own_audits: Annotated[int, msgspec.Meta(ge=1)] = 60
    """Audits of its own from which on a scope or category is judged by itself rather than by a wider one: with fewer
    the bound on a share of 5 % is never reached."""
    expected_hit_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.15
    """Share of look-ups assumed to be hits until 100 were counted; about that of the public mixed stream."""
    most_scopes: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Scopes and categories remembered, about 1 kB each; the least recently used are forgotten, and start from what is
    known of all."""


class _Saved(msgspec.Struct, frozen=True):
    format: int
    embedder: str
    ledgers: list[tuple[tuple[str, str], Ledger]]


class BudgetKeeper:
    """Thresholds by scope and category, moved by what became of hits. For one thread.

    Three levels are counted at once: everywhere, the category, the scope within the category. The narrowest with
    `own_audits` audits decides when to lower; a wrong hit raises the narrowest at once, whatever the counts.

    Args:
        error_budget: share of requests that may be answered from a wrong entry, above 0.
        settings: how fast thresholds move.
        table: of the embedder that serves, or `UNMEASURED`; None for the packaged one.

    Attributes:
        is_measured: whether thresholds start where a table says; without one they start at `STRICTEST`, where little
            but a question in the same words is a hit, and audits lead down from there.
        embedder: identity of the embedder the thresholds were measured with, empty without a table.
    """

    def __init__(
        self, error_budget: float, settings: KeeperSettings | None = None, *, table: Table | None = None
    ) -> None:
        self._settings = settings or KeeperSettings()
        used = table or packaged()
        self.embedder, self.is_measured = used.embedder, bool(used.steps)
        self._budget = error_budget
        self._base = threshold_for(error_budget, used)
        reach = self._settings.most_lowered if self.is_measured else self._settings.most_lowered_unmeasured
        self._spent = 1.0 if self.is_measured else 1.0 - KEPT_FREE
        self._lowest = min(max(-reach, LOWEST - self._base), 0.0)
        self._everywhere = Ledger()
        self._ledgers: OrderedDict[tuple[str, str], Ledger] = OrderedDict()

    def threshold(self, scope: str, category: str = "") -> float:
        """Return the cosine similarity that is asked for, doubts apart.

        What a scope moved by itself holds; until it moved, what its category did, and before that what all did.
        """
        for key in ((scope, category), ("", category)):
            ledger = self._ledgers.get(key)
            if ledger is not None and ledger.shift != 0.0:
                return self._at(ledger)
        return self._at(self._everywhere)

    def count(self, scope: str, category: str = "", *, is_hit: bool) -> None:
        """Count a look-up, so that the share of hits is known."""
        for ledger in self._levels(scope, category):
            ledger.count(is_hit=is_hit)

    def audit(self, scope: str, category: str, similarity: float, *, is_right: bool) -> None:
        """Take in that a hit was checked, and move the threshold.

        Args:
            scope: of the request, as in `threshold`.
            category: of the request, as in `threshold`.
            similarity: of the hit, less what doubts asked for on top of the threshold.
            is_right: whether the stored answer was as good as the upstream's.
        """
        levels = self._levels(scope, category)
        for ledger in levels:
            ledger.audit(similarity, is_right=is_right)
        if is_right:
            self._lower_if_room(levels)
        else:
            self._raise_if_over(levels)

    def report_wrong(self, scope: str, category: str, similarity: float) -> None:
        """Take in that somebody called a hit wrong: the threshold of the scope goes up at once.

        A report is no fair sample, and therefore moves its own scope only; wider levels count it as an audit.

        Args:
            scope: as for `audit`.
            category: as for `audit`.
            similarity: as for `audit`.
        """
        levels = self._levels(scope, category)
        for ledger in levels:
            ledger.audit(similarity, is_right=False)
        self._start_from(levels[0], self.threshold(scope, category))
        levels[0].move(self._settings.raise_by, self._lowest, HIGHEST - self._base)

    def measured(self, scope: str | None = None, category: str = "") -> FalseHits:
        """Return the rate of false hits and its bound, of a scope, a category or, without either, of everything."""
        if scope is None and not category:
            return self._measure(self._everywhere, self._at(self._everywhere))
        ledger = self._ledgers.get((scope or "", category), Ledger())
        return self._measure(ledger, self.threshold(scope or "", category))

    def dump(self) -> bytes:
        """Return all counts and thresholds, for `load`."""
        ledgers = [(_EVERYWHERE, self._everywhere), *self._ledgers.items()]
        return msgspec.msgpack.encode(_Saved(_FORMAT, self.embedder, ledgers))

    def load(self, saved: bytes) -> None:
        """Take over what `dump` returned; what was counted before is forgotten.

        Raises:
            ValueError: it is nothing that this version of `dump` wrote, or was learned from another table; nothing is
                changed.
        """
        try:
            read = msgspec.msgpack.decode(saved, type=_Saved)
        except msgspec.DecodeError as error:
            raise ValueError("this is nothing a budget keeper wrote") from error
        if read.format != _FORMAT:
            raise ValueError(f"format {read.format} of a budget keeper is not known")
        if read.embedder != self.embedder:
            raise ValueError(f"this was learned above the thresholds of {read.embedder or 'no embedder'}")
        ledgers = OrderedDict(read.ledgers)
        self._everywhere = ledgers.pop(_EVERYWHERE, Ledger())
        self._ledgers = ledgers
        self._forget()

    def _at(self, ledger: Ledger) -> float:
        return min(self._base + ledger.shift, HIGHEST)

    def _levels(self, scope: str, category: str) -> list[Ledger]:
        """Return the ledgers that count a request, narrowest first."""
        keys = [(scope, category), ("", category)] if category else [(scope, "")]
        narrow = [self._ledger(key) for key in keys if key != _EVERYWHERE]
        return [*narrow, self._everywhere]

    def _ledger(self, key: tuple[str, str]) -> Ledger:
        ledger = self._ledgers.get(key)
        if ledger is None:
            ledger = self._ledgers[key] = Ledger()
            self._forget()
        else:
            self._ledgers.move_to_end(key)
        return ledger

    def _forget(self) -> None:
        while len(self._ledgers) > self._settings.most_scopes:
            self._ledgers.popitem(last=False)

    def _lower_if_room(self, levels: list[Ledger]) -> None:
        ledger = self._judging(levels)
        if ledger.audits_since_move < self._settings.patience:
            return
        lower = self._at(ledger) - self._settings.lower_by
        allowed = self._allowed(ledger)
        if ledger.is_under(allowed * self._spent) and not ledger.is_over(lower, allowed):
            ledger.move(-self._settings.lower_by, self._lowest, HIGHEST - self._base)

    def _raise_if_over(self, levels: list[Ledger]) -> None:
        ledger = self._judging(levels)
        if ledger.is_over(self._at(ledger), self._allowed(ledger)):
            ledger.move(self._settings.raise_by, self._lowest, HIGHEST - self._base)

    def _judging(self, levels: list[Ledger]) -> Ledger:
        for ledger in levels[:-1]:
            if ledger.audits_from(self._at(ledger))[0] >= self._settings.own_audits:
                return ledger
        return levels[-1]

    def _start_from(self, ledger: Ledger, threshold: float) -> None:
        """Let a ledger that never moved begin where its scope stands by the wider levels."""
        if ledger.shift == 0.0:
            ledger.shift = threshold - self._base

    def _allowed(self, ledger: Ledger) -> float:
        """Return the share of hits that may be wrong for the budget to hold."""
        return min(self._budget / ledger.hit_rate_now(self._settings.expected_hit_rate), 0.5)

    def _measure(self, ledger: Ledger, threshold: float) -> FalseHits:
        return ledger.measured(threshold, self._settings.expected_hit_rate)
