"""Which stored answer a question may be given: nearest entries, the guard, and whether the answer is still there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cache.semantic.barred import pair_of
from cache.semantic.base import Found, Missed, Payloads
from cache.semantic.readings import restore
from cache.semantic.replica import Replica
from cache.semantic.search import Search
from cache.semantic.shelf import Kept
from cache.verifier.choice import LOOKED_AT, Choice, Neighbour, choose
from cache.verifier.reader import read
from cache.verifier.verifier import Verifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAREST: Final = LOOKED_AT + 1
"""Entries that are looked at; the last shows how crowded it is."""

_TRIES: Final = 3
"""How often another entry is chosen after the chosen one turned out barred or gone."""

_UNREAD: Final = read("")
"""Stands for the reading of an entry below the threshold, whose words nobody asks about."""


class _Near(msgspec.Struct, frozen=True):
    """An entry near the question."""

    neighbour: Neighbour
    kept: Kept


class _Payload(msgspec.Struct, frozen=True):
    """An answer, whatever it is."""

    kept: Any


class Decider:
    """Decides look-ups. For one event loop.

    Args:
        replica: what is known.
        payloads: the answers.
        verifier: the guard.
        clock: seconds since the epoch.
    """

    def __init__(self, replica: Replica, payloads: Payloads, verifier: Verifier, clock: Callable[[], float]) -> None:
        self._replica, self._payloads, self._verifier, self._clock = replica, payloads, verifier, clock

    async def decide(self, search: Search, vector: NDArray[np.float32], max_age_s: float | None) -> Found | Missed:
        """Return the answer to a question, or why there is none.

        Args:
            search: the question.
            vector: its vector.
            max_age_s: an answer that is older is not given; None for any.
        """
        threshold = self._replica.keeper.threshold(search.scope.hex(), search.category)
        near = self._nearest(search.scope, vector, threshold)
        missed: Missed | None = None
        for _ in range(_TRIES):
            choice = self._choose(search, near, threshold)
            chosen = near.get(choice.entry) if choice.entry is not None else None
            if chosen is None:
                return missed or Missed(choice.reason, choice.similarity, choice.required)
            outcome = await self._examine(search, chosen, choice, threshold, max_age_s)
            if isinstance(outcome, Found):
                return outcome
            missed = missed or outcome
            del near[chosen.neighbour.entry]
        return missed or Missed("far")

    def _choose(self, search: Search, near: dict[int, _Near], threshold: float) -> Choice:
        found = [one.neighbour for one in near.values()]
        if not found or found[0].similarity < threshold:  # said without reading the question
            return Choice(None, found[0].similarity if found else -1.0, threshold, "far" if found else "empty")
        return choose(search.reading, found, threshold, self._verifier)

    def _nearest(self, scope: bytes, vector: NDArray[np.float32], threshold: float) -> dict[int, _Near]:
        """Return the nearest entries by their numbers, nearest first, and forget those that are over."""
        near: dict[int, _Near] = {}
        now = self._clock()
        for number, similarity, kept in self._replica.entries.search(scope, vector, NEAREST):
            if kept.expires_at <= now:
                self._replica.entries.remove(scope, number)
                continue
            reading = _UNREAD if similarity < threshold else restore(kept.reading)
            near[number] = _Near(Neighbour(number, similarity, reading, kept.answer), kept)
        return near

    async def _examine(
        self, search: Search, chosen: _Near, choice: Choice, threshold: float, max_age_s: float | None
    ) -> Found | Missed:
        pair = pair_of(search.scope, search.reading, chosen.neighbour.reading)
        age_s = max(0.0, self._clock() - chosen.kept.stored_at)
        if pair in self._replica.barred:
            return _missed("barred", choice)
        if max_age_s is not None and age_s > max_age_s:
            return _missed("old", choice)
        payload = await self._payload(search.scope, chosen.neighbour.entry)
        if isinstance(payload, str):
            return _missed(payload, choice)
        if not self._replica.entries.has(search.scope, chosen.neighbour.entry):  # deleted while its payload was read
            return _missed("gone", choice)
        found = Found(
            entry_id=chosen.neighbour.entry,
            payload=payload.kept,
            similarity=choice.similarity,
            age_s=age_s,
            answer=chosen.kept.answer,
            scope=search.scope,
            category=search.category,
            counted=choice.similarity - (choice.required - threshold),
            pair=pair,
        )
        self._replica.served.note(found)
        return found

    async def _payload(self, scope: bytes, entry_id: int) -> _Payload | str:
        """Return an answer; `gone` where it is not kept any more, `payload` where nobody can tell."""
        try:
            kept = await self._payloads.get(entry_id, scope)
        except Exception:  # noqa: BLE001  of a store that is not known here; a miss, counted as such
            return "payload"
        if kept is None:
            self._replica.delete(entry_id, scope)
            return "gone"
        return _Payload(kept)


def _missed(reason: str, choice: Choice) -> Missed:
    return Missed(reason, choice.similarity, choice.required)
