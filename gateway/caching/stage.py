"""Whether an answer is there already, and what is kept of those that are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from cache.base import Hit, id_text, number_of, read_id
from cache.directives import Directives, directives_of, read_directives
from cache.exact import About, ExactCache
from cache.scope import Grounds, narrowest, tenant_of
from cache.semantic.base import Missed
from cache.semantic.search import Search
from gateway.answers.again import plain_again, stream_again
from gateway.answers.plain import record_plain
from gateway.answers.record import Record, pack, unpack, why_not
from gateway.answers.streamed import NotedStream
from gateway.answers.template import fresh
from gateway.caching.likeness import Likeness
from gateway.caching.place import Place, flight_key
from gateway.domain.caller import Caller
from gateway.domain.errors import NotCachedError
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.flights.base import Errand, Outcome, SingleFlight
from gateway.upstreams.base import PlainReply, Reply
from policies.settings import CacheRules

_HTTP_OK: Final = 200

BYPASSED: Final = "bypassed"
"""Why nothing was looked up: the caller wants an answer of its own."""

SKIPPED: Final = "skipped"
"""Why nothing was looked up: the request has no key, as its answer may be given to no other."""

MISSED: Final = "miss"

FLAGGED: Final = "flagged"
"""Why an answer was not kept: the guard found something in it or in its request, so that it is for this caller only."""

Call = Callable[[], Awaitable[Reply]]


class Looked(NamedTuple):
    """What came of a look-up.

    Attributes:
        reply: the answer that is there.
        place: where another one is to be kept; None where none is.
    """

    reply: Reply | None = None
    place: Place | None = None


NOTHING: Final = Looked()


class CacheStage:
    """Answers requests from the cache, and keeps the answers of others. Whatever breaks in it is a miss.

    Args:
        cache: None where none is on.
        version: of everything else an answer depends on.
        likeness: finds answers by meaning; None where only equal requests are answered.
        flights: lets equal requests share a call; None where each makes its own.

    Attributes:
        cache, version, likeness, flights: as given.
        failures: look-ups and answers that were lost as something broke.
        unkept: answers that were not kept, by reason; see `why_not`.
        saved_microusd: what the answers had cost that were given again.
    """

    def __init__(
        self,
        cache: ExactCache | None,
        version: str = "",
        likeness: Likeness | None = None,
        flights: SingleFlight | None = None,
    ) -> None:
        self.cache, self.likeness = cache, likeness
        self.version, self.flights = version, flights
        self.failures = 0
        self.unkept: Counter[str] = Counter()
        self.saved_microusd = 0
        self._routes: dict[bytes, str] = {}

    @property
    def is_on(self) -> bool:
        """Whether an answer may come from here."""
        return self.cache is not None

    @property
    def saved_usd(self) -> float:
        """What the answers had cost that were given again, US dollars."""
        return self.saved_microusd / PER_MILLION

    async def report_wrong(self, entry_id: str) -> bool:
        """Take in that an answer was wrong, by the id that callers see; False where nothing is known of it.

        It is forgotten here and on other replicas. If others' questions were answered with it, they never are again,
        and more likeness is asked for at once.
        """
        number = read_id(entry_id)
        if self.cache is None or number is None:
            return False
        is_kept = await self.cache.delete_number(number)
        is_known = self.likeness is not None and await self.likeness.report_wrong(number)
        return is_kept or is_known

    async def look_up(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> Looked:
        """Return an answer that is there, and where another one is to be kept.

        Raises:
            InvalidRequestError: the request's directives cannot be read.
            NotCachedError: there is none, and the caller wants no other.
        """
        rules = exchange.policy.cache if exchange.policy is not None else ()
        directives = directives_of(exchange.headers)
        for rule in rules:
            directives = directives.with_those_of(read_directives(rule.control.encode("latin-1")))
        looked = NOTHING
        if self.cache is not None:
            try:
                sharing = _sharing(self.cache.settings.scope, rules)
                looked = await self._look_up(self.cache, exchange, caller, request, directives, sharing)
            except Exception:  # noqa: BLE001  a broken cache is a miss: counted, and the request goes on
                self.failures += 1
                exchange.miss_reason = "unavailable"
        if looked.reply is None and directives.only_if_cached:
            raise NotCachedError("No answer to this request is in the cache, and it allows no other.")
        return looked

    async def fetch(self, exchange: Exchange, request: ModelRequest, place: Place, call: Call, *, alone: bool) -> Reply:
        """Return the answer of a call, or of an equal request's call that is under way; it is kept once it is whole.

        Args:
            exchange: of the request.
            request: as it was looked up.
            place: as the look-up gave it.
            call: asks an upstream.
            alone: whether the call is shared in another way already.

        Raises:
            GatewayError: what the request's own call has met.
        """
        if exchange.inspection is not None:
            exchange.on_close(partial(self._drop_flagged, place, exchange))
        if alone or self.flights is None or not place.may_join:
            reply = _noted(place, request, await call())
            exchange.on_close(partial(self._keep_sent, place, exchange, request, reply))
            return reply
        name = flight_key(place.key, request, exchange.output_limit)
        errand = Errand(
            call=partial(self._lead, name, exchange, request, place, call),
            on_close=exchange.on_close,
            hand_to=exchange.patience.hand_to,
            deadline=exchange.patience.deadline,
            look_up=partial(self._find, exchange, request, place),
            landed=partial(self._land, exchange, request, place),
        )
        flown = await self.flights.fly(name, errand)
        if flown.is_shared and exchange.hit is None:
            exchange.shares, exchange.cost_microusd = id_text(number_of(place.key)), 0
            exchange.routed_model = self._routes.get(name, "")
        return flown.reply

    async def _look_up(
        self,
        cache: ExactCache,
        exchange: Exchange,
        caller: Caller,
        request: ModelRequest,
        directives: Directives,
        sharing: str,
    ) -> Looked:
        inspection = exchange.inspection
        policy = self.version if inspection is None else f"{self.version} {inspection.plan.policy_id}"
        grounds = Grounds(sharing=sharing, tier=exchange.tier, user=exchange.user or "", policy=policy)
        is_redacted = inspection is not None and inspection.is_redacted
        key = None if is_redacted else cache.key_of(caller, request, grounds)
        if key is None:
            exchange.miss_reason = SKIPPED
            return NOTHING
        tenant = tenant_of(caller, grounds.sharing, grounds.user)
        place = Place(key, tenant, may_join=not directives.no_cache)
        reply, exchange.miss_reason = None, BYPASSED if directives.no_cache else MISSED
        if not directives.no_cache:
            hit = await cache.look_up(key, directives.max_age_s)
            reply = None if hit is None else self._give(cache, hit, exchange, request)
        if reply is None and self.likeness is not None and not _is_flagged(exchange):
            place.search = self.likeness.begin(caller, request, grounds, exchange.kind)
            if place.search is not None and not directives.no_cache:
                reply = await self._find_alike(self.likeness, cache, place.search, exchange, request, directives)
        if reply is not None:
            return Looked(reply)
        return NOTHING if directives.no_store else Looked(place=place)

    async def _find_alike(
        self,
        likeness: Likeness,
        cache: ExactCache,
        search: Search,
        exchange: Exchange,
        request: ModelRequest,
        directives: Directives,
    ) -> Reply | None:
        """Return the answer to a question that means the same."""
        outcome = await likeness.result(search, directives.max_age_s)
        if isinstance(outcome, Missed):
            exchange.miss_reason = outcome.reason
            return None
        hit = msgspec.structs.replace(outcome.payload, similarity=outcome.similarity)
        reply = self._give(cache, hit, exchange, request)
        if reply is not None:
            likeness.follow(outcome, hit.entry, exchange.hold_id, request)
        return reply

    def _give(self, cache: ExactCache, hit: Hit, exchange: Exchange, request: ModelRequest) -> Reply | None:
        reply = _again(cache, hit, request)
        if reply is not None:
            exchange.hit, exchange.cost_microusd = hit, 0
            exchange.routed_model = hit.entry.routed_model
            self.saved_microusd += hit.entry.cost_microusd
        return reply

    async def _find(self, exchange: Exchange, request: ModelRequest, place: Place) -> Reply | None:
        """Return the answer that another replica has put where it is found."""
        cache = self.cache
        hit = None if cache is None else await cache.look_up(place.key)
        return None if cache is None or hit is None else self._give(cache, hit, exchange, request)

    async def _lead(self, name: bytes, exchange: Exchange, request: ModelRequest, place: Place, call: Call) -> Reply:
        """Make a call that others may share."""
        reply = _noted(place, request, await call())
        self._routes[name] = exchange.routed_model
        exchange.on_close(partial(self._forget_route, name))
        return reply

    async def _forget_route(self, name: bytes) -> None:
        self._routes.pop(name, None)

    async def _land(self, exchange: Exchange, request: ModelRequest, place: Place, outcome: Outcome) -> None:
        """Keep an answer that is whole."""
        if not isinstance(outcome, BaseException):
            await self._keep(place, exchange, request, outcome)

    async def _keep_sent(self, place: Place, exchange: Exchange, request: ModelRequest, reply: Reply) -> None:
        """Keep an answer whose last byte was sent."""
        if exchange.status == _HTTP_OK and exchange.error is None:
            await self._keep(place, exchange, request, reply)

    async def _keep(self, place: Place, exchange: Exchange, request: ModelRequest, reply: Reply) -> None:
        """Keep an answer if it is whole and as good as was to be expected."""
        cache = self.cache
        assert cache is not None  # noqa: S101  there are no places without one
        try:
            record = await _record_of(place.noted or reply, request)
            reason = "unfinished" if record is None else why_not(record, tool_calls=cache.settings.tool_calls)
            reason = "degraded" if exchange.degraded else FLAGGED if _is_flagged(exchange) else reason
            if record is None or reason is not None:
                self.unkept[reason or "unfinished"] += 1
                return
            packed, made = pack(record), _made(place.noted or reply)
            entry = await cache.store(place.key, packed, *made, _about(place, exchange, request))
            place.is_kept = True
            if place.search is not None and self.likeness is not None:
                self.likeness.add(place.search, number_of(place.key), packed, entry.expires_at)
        except Exception:  # noqa: BLE001  as in `look_up`
            self.failures += 1

    async def _drop_flagged(self, place: Place, exchange: Exchange) -> None:
        """Forget an answer that was kept, for those who waited for it, before the guard found something in it."""
        if place.is_kept and _is_flagged(exchange):
            self.unkept[FLAGGED] += 1
            await self._forget(number_of(place.key))

    async def _forget(self, number: int) -> None:
        try:
            if self.cache is not None:
                await self.cache.delete_number(number)
            if self.likeness is not None:
                await self.likeness.delete(number)
        except Exception:  # noqa: BLE001  as in `look_up`
            self.failures += 1


def _sharing(widest: str, rules: Sequence[CacheRules]) -> str:
    """Return who shares answers: nobody beyond what the settings and each level allow."""
    for rule in rules:
        if rule.scope is not None:
            widest = narrowest(widest, rule.scope)
    return widest


def _is_flagged(exchange: Exchange) -> bool:
    return exchange.inspection is not None and exchange.inspection.is_flagged


def _about(place: Place, exchange: Exchange, request: ModelRequest) -> About:
    return About(
        model=exchange.target or request.model,
        operation=exchange.route,
        tenant=place.tenant,
        scope=b"" if place.search is None else place.search.scope,
        routed_model=exchange.routed_model,
        cost_microusd=exchange.cost_microusd or 0,
    )


def _again(cache: ExactCache, hit: Hit, request: ModelRequest) -> Reply | None:
    """Return a kept answer in the form that is asked for, None where it cannot be given in it."""
    record = unpack(hit.entry.body)
    if record is None or not record.serves(stream=request.stream):
        return None
    if not request.stream:
        return plain_again(record, hit.entry.usage, hit.entry.answered_model, fresh())
    wants_usage = bool(getattr(request, "wants_usage", False))
    return stream_again(record, hit.entry.usage, fresh(), cache.settings.streaming, wants_usage=wants_usage)


def _noted(place: Place, request: ModelRequest, reply: Reply) -> Reply:
    """Return an answer of which what is needed to keep it is noted on its way."""
    if isinstance(reply, PlainReply):
        return reply
    place.noted = NotedStream(reply, request.shape)
    return place.noted


async def _record_of(reply: Reply, request: ModelRequest) -> Record | None:
    if isinstance(reply, PlainReply):
        return record_plain(reply, request.shape)
    return await reply.record() if isinstance(reply, NotedStream) else None


def _made(reply: Reply) -> tuple[Usage, str]:
    """Return what an answer consumed, and the model that its provider names."""
    return (reply.usage, reply.answered_model) if isinstance(reply, PlainReply) else (reply.usage(), "")
