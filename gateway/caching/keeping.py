"""What is kept of answers, and what is forgotten again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from cache.base import number_of
from cache.exact import About, ExactCache
from gateway.answers.plain import record_plain
from gateway.answers.record import Record, pack, why_not
from gateway.answers.streamed import NotedStream
from gateway.caching.place import Place
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, Reply

if TYPE_CHECKING:
    from gateway.caching.likeness import Likeness

DEGRADED: Final = "degraded"
"""Why an answer was not kept: it is less than was to be expected, a fallback's."""

FLAGGED: Final = "flagged"
"""Why an answer was not kept: the guard found something in it or in its request, so that it is for this caller only."""

UNFINISHED: Final = "unfinished"
"""Why an answer was not kept: it broke, was left, or was too long."""


class Keeper:
    """Keeps answers for later requests. Whatever breaks in it is counted, and costs a later hit.

    Args:
        cache: keeps them.
        likeness: has them found by questions that mean the same; None where only equal requests are answered.

    Attributes:
        unkept: answers that were not kept, by reason; see `why_not`.
        failures: answers that were lost as something broke.
    """

    def __init__(self, cache: ExactCache, likeness: Likeness | None) -> None:
        self._cache, self._likeness = cache, likeness
        self.unkept: Counter[str] = Counter()
        self.failures = 0

    async def keep(self, place: Place, exchange: Exchange, reply: Reply) -> None:
        """Keep an answer if it is whole and as good as was to be expected."""
        try:
            record = await _record_of(place.noted or reply, place.request)
            reason = self._why_not(exchange, record)
            if record is None or reason is not None:
                self.unkept[reason or UNFINISHED] += 1
                return
            packed, made = pack(record), _made(place.noted or reply)
            entry = await self._cache.store(place.key, packed, *made, _about(place, exchange))
            place.is_kept = True
            if place.search is not None and self._likeness is not None:
                self._likeness.add(place.search, number_of(place.key), packed, entry.expires_at)
        except Exception:  # noqa: BLE001  as the class says
            self.failures += 1

    async def forget_flagged(self, place: Place, exchange: Exchange) -> None:
        """Forget an answer that was kept, for those who waited for it, before the guard found something in it."""
        if not place.is_kept or not is_flagged(exchange):
            return
        self.unkept[FLAGGED] += 1
        try:
            await self._cache.delete_number(number_of(place.key))
            if self._likeness is not None:
                await self._likeness.delete(number_of(place.key))
        except Exception:  # noqa: BLE001  as the class says
            self.failures += 1

    def _why_not(self, exchange: Exchange, record: Record | None) -> str | None:
        if exchange.degraded:
            return DEGRADED
        if is_flagged(exchange):
            return FLAGGED
        return UNFINISHED if record is None else why_not(record, tool_calls=self._cache.settings.tool_calls)


def is_flagged(exchange: Exchange) -> bool:
    """Tell whether the guard has found something in a request or its answer by now."""
    return exchange.inspection is not None and exchange.inspection.is_flagged


def _about(place: Place, exchange: Exchange) -> About:
    return About(
        model=exchange.target or place.request.model,
        operation=exchange.route,
        tenant=place.tenant,
        scope=b"" if place.search is None else place.search.scope,
        routed_model=exchange.routed_model,
        cost_microusd=exchange.cost_microusd or 0,
    )


async def _record_of(reply: Reply, request: ModelRequest) -> Record | None:
    if isinstance(reply, PlainReply):
        return record_plain(reply, request.shape)
    return await reply.record() if isinstance(reply, NotedStream) else None


def _made(reply: Reply) -> tuple[Usage, str]:
    """Return what an answer consumed, and the model that its provider names."""
    return (reply.usage, reply.answered_model) if isinstance(reply, PlainReply) else (reply.usage(), "")
