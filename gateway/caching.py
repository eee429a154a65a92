"""Stage 6: whether an answer is there already, and what is kept of those that are not."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from cache.base import Hit
from cache.directives import Directives, directives_of
from cache.exact import About, ExactCache
from cache.scope import Grounds, tenant_of
from gateway.answers.again import plain_again, stream_again
from gateway.answers.plain import record_plain
from gateway.answers.record import Record, pack, unpack, why_not
from gateway.answers.streamed import NotedStream
from gateway.answers.template import fresh
from gateway.domain.caller import Caller
from gateway.domain.errors import NotCachedError
from gateway.domain.request import ModelRequest
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, Reply

_HTTP_OK: Final = 200

BYPASSED: Final = "bypassed"
"""Why nothing was looked up: the caller wants an answer of its own."""

SKIPPED: Final = "skipped"
"""Why nothing was looked up: the request has no key, as its answer may be given to no other."""

MISSED: Final = "miss"

FLAGGED: Final = "flagged"
"""Why an answer was not kept: the guard found something in it or in its request, so that it is for this caller only."""


class CacheStage:
    """Answers requests from the cache, and keeps the answers of others. Whatever breaks in it is a miss.

    Args:
        cache: None where none is on.
        version: of everything else an answer depends on.

    Attributes:
        cache: where answers are.
        failures: look-ups and answers that were lost as something broke.
        unkept: answers that were not kept, by reason; see `why_not`.
    """

    def __init__(self, cache: ExactCache | None, version: str = "") -> None:
        self.cache, self._version = cache, version
        self.failures = 0
        self.unkept: Counter[str] = Counter()

    @property
    def is_on(self) -> bool:
        """Whether an answer may come from here."""
        return self.cache is not None

    async def look_up(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> Reply | None:
        """Return an answer that is there, None where there is none.

        Raises:
            InvalidRequestError: the request's directives cannot be read.
            NotCachedError: there is none, and the caller wants no other.
        """
        directives = directives_of(exchange.headers)
        if self.cache is not None:
            try:
                reply = await self._look_up(self.cache, exchange, caller, request, directives)
            except Exception:  # noqa: BLE001  a broken cache is a miss: counted, and the request goes on
                self.failures += 1
                exchange.miss_reason = "unavailable"
                reply = None
            if reply is not None:
                return reply
        if directives.only_if_cached:
            raise NotCachedError("No answer to this request is in the cache, and it allows no other.")
        return None

    def note(self, exchange: Exchange, reply: Reply) -> Reply:
        """Return an answer of which what is needed to keep it is noted on its way, before the guard changes it."""
        if not exchange.is_kept:
            return reply
        assert exchange.request is not None  # noqa: S101  it was answered
        exchange.noted = reply if isinstance(reply, PlainReply) else NotedStream(reply, exchange.request.shape)
        return exchange.noted

    async def _look_up(
        self, cache: ExactCache, exchange: Exchange, caller: Caller, request: ModelRequest, directives: Directives
    ) -> Reply | None:
        if exchange.inspection is not None and exchange.inspection.is_redacted:
            exchange.miss_reason = SKIPPED
            return None
        grounds = Grounds(
            sharing=cache.settings.scope, tier=exchange.tier, user=exchange.user or "", policy=self._version
        )
        key = cache.key_of(caller, request, grounds)
        if key is None:
            exchange.miss_reason = SKIPPED
            return None
        exchange.miss_reason = BYPASSED
        if not directives.no_cache:
            exchange.miss_reason = MISSED
            hit = await cache.look_up(key, directives.max_age_s)
            reply = None if hit is None else _again(cache, hit, request)
            if hit is not None and reply is not None:
                exchange.hit, exchange.cost_microusd = hit, 0
                exchange.routed_model = hit.entry.routed_model
                return reply
        if not directives.no_store:
            exchange.is_kept = True
            tenant = tenant_of(caller, grounds.sharing, grounds.user)
            exchange.on_close(partial(self._keep, cache, key, tenant, exchange))
        return None

    async def _keep(self, cache: ExactCache, key: bytes, tenant: str, exchange: Exchange) -> None:
        """Keep an answer whose last byte was sent, if it is whole and as good as was to be expected."""
        request = exchange.request
        if exchange.status != _HTTP_OK or exchange.error is not None or request is None:
            return
        try:
            is_flagged = exchange.inspection is not None and exchange.inspection.is_flagged
            reason = "degraded" if exchange.degraded else FLAGGED if is_flagged else None
            record = None if reason else await _record_of(exchange.noted or exchange.reply, request)
            if reason is None:
                reason = "unfinished" if record is None else why_not(record, tool_calls=cache.settings.tool_calls)
            if record is None or reason is not None:
                self.unkept[reason or "unfinished"] += 1
                return
            about = About(
                model=exchange.target or request.model,
                operation=exchange.route,
                tenant=tenant,
                routed_model=exchange.routed_model,
                cost_microusd=exchange.cost_microusd or 0,
            )
            model = exchange.reply.answered_model if isinstance(exchange.reply, PlainReply) else ""
            await cache.store(key, pack(record), exchange.usage, model, about)
        except Exception:  # noqa: BLE001  as in `look_up`
            self.failures += 1


def _again(cache: ExactCache, hit: Hit, request: ModelRequest) -> Reply | None:
    """Return a kept answer in the form that is asked for, None where it cannot be given in it."""
    record = unpack(hit.entry.body)
    if record is None or not record.serves(stream=request.stream):
        return None
    if not request.stream:
        return plain_again(record, hit.entry.usage, hit.entry.answered_model, fresh())
    wants_usage = bool(getattr(request, "wants_usage", False))
    return stream_again(record, hit.entry.usage, fresh(), cache.settings.streaming, wants_usage=wants_usage)


async def _record_of(reply: Reply | None, request: ModelRequest) -> Record | None:
    if isinstance(reply, PlainReply):
        return record_plain(reply, request.shape)
    return await reply.record() if isinstance(reply, NotedStream) else None
