"""Whether an answer is there already, and who makes it where none is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from cache.base import Hit, id_text, number_of, read_id
from cache.directives import Directives, directives_of, read_directives
from cache.exact import ExactCache
from cache.scope import Grounds, narrowest, tenant_of
from cache.semantic.base import Missed
from gateway.answers.again import plain_again, stream_again
from gateway.answers.record import unpack
from gateway.answers.streamed import NotedStream
from gateway.answers.template import fresh
from gateway.caching.keeping import Keeper, is_flagged
from gateway.caching.place import Place, flight_key
from gateway.domain.caller import Caller
from gateway.domain.errors import NotCachedError
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest
from gateway.exchange import Exchange
from gateway.flights.base import Errand, Outcome, SingleFlight
from gateway.upstreams.base import PlainReply, Reply
from policies.settings import CacheRules

if TYPE_CHECKING:
    from cache.semantic.search import Search
    from gateway.caching.likeness import Likeness

_HTTP_OK: Final = 200

BYPASSED: Final = "bypassed"
"""Why nothing was looked up: the caller wants an answer of its own."""

SKIPPED: Final = "skipped"
"""Why nothing was looked up: the request has no key, as its answer may be given to no other."""

MISSED: Final = "miss"

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


class _Asked(NamedTuple):
    """A request, and what it and its policy allow."""

    exchange: Exchange
    caller: Caller
    request: ModelRequest
    directives: Directives
    sharing: str

    def grounds(self, version: str) -> Grounds:
        """Return what its key depends on besides itself."""
        exchange, inspection = self.exchange, self.exchange.inspection
        policy = version if inspection is None else f"{version} {inspection.plan.policy_id}"
        return Grounds(sharing=self.sharing, tier=exchange.tier, user=exchange.user or "", policy=policy)


class CacheStage:
    """Answers requests from the cache, and keeps the answers of others. Whatever breaks in it is a miss.

    Args:
        cache: None where none is on.
        version: of everything else an answer depends on.
        likeness: finds answers by meaning; None where only equal requests are answered.
        flights: lets equal requests share a call; None where each makes its own.

    Attributes:
        cache, version, likeness, flights: as given.
        keeper: keeps answers; None where no cache is on.
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
        self.keeper = None if cache is None else Keeper(cache, likeness)
        self.saved_microusd = 0
        self._failures = 0
        self._routes: dict[bytes, str] = {}

    @property
    def is_on(self) -> bool:
        """Whether an answer may come from here."""
        return self.cache is not None

    @property
    def failures(self) -> int:
        """How many look-ups and answers were lost as something broke."""
        return self._failures + (self.keeper.failures if self.keeper else 0)

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
            sharing = _sharing(self.cache.settings.scope, rules)
            try:
                looked = await self._look_up(self.cache, _Asked(exchange, caller, request, directives, sharing))
            except Exception:  # noqa: BLE001  a broken cache is a miss: counted, and the request goes on
                self._failures += 1
                exchange.miss_reason = "unavailable"
        if looked.reply is None and directives.only_if_cached:
            raise NotCachedError("No answer to this request is in the cache, and it allows no other.")
        return looked

    async def fetch(self, exchange: Exchange, place: Place, call: Call, *, alone: bool) -> Reply:
        """Return the answer of a call, or of an equal request's call that is under way; it is kept once it is whole.

        Args:
            exchange: of the request.
            place: as the look-up gave it.
            call: asks an upstream.
            alone: whether the call is shared in another way already.

        Raises:
            GatewayError: what the request's own call has met.
        """
        keeper = self.keeper
        assert keeper is not None  # noqa: S101  there are no places without one
        if exchange.inspection is not None:
            exchange.on_close(partial(keeper.forget_flagged, place, exchange))
        if alone or self.flights is None or not place.may_join:
            reply = _noted(place, await call())
            exchange.on_close(partial(_keep_sent, keeper, place, exchange, reply))
            return reply
        name = flight_key(place.key, place.request, exchange.output_limit)
        errand = Errand(
            call=partial(self._lead, name, exchange, place, call),
            on_close=exchange.on_close,
            hand_to=exchange.patience.hand_to,
            deadline=exchange.patience.deadline,
            look_up=partial(self._find, exchange, place),
            landed=partial(_land, keeper, place, exchange),
        )
        flown = await self.flights.fly(name, errand)
        if flown.is_shared and exchange.hit is None:
            exchange.shares, exchange.cost_microusd = id_text(number_of(place.key)), 0
            exchange.routed_model = self._routes.get(name, "")
        return flown.reply

    async def _look_up(self, cache: ExactCache, asked: _Asked) -> Looked:
        exchange, directives = asked.exchange, asked.directives
        grounds = asked.grounds(self.version)
        is_redacted = exchange.inspection is not None and exchange.inspection.is_redacted
        key = None if is_redacted else cache.key_of(asked.caller, asked.request, grounds)
        if key is None:
            exchange.miss_reason = SKIPPED
            return NOTHING
        exchange.miss_reason = BYPASSED if directives.no_cache else MISSED
        if not directives.no_cache:
            hit = await cache.look_up(key, directives.max_age_s)
            reply = None if hit is None else self._give(cache, hit, exchange, asked.request)
            if reply is not None:
                return Looked(reply)
        tenant = tenant_of(asked.caller, grounds.sharing, grounds.user)
        place = Place(asked.request, key, tenant, may_join=not directives.no_cache)
        if self.likeness is not None and not is_flagged(exchange):
            place.search = self.likeness.begin(asked.caller, asked.request, grounds, exchange.kind)
            if place.search is not None and not directives.no_cache:
                reply = await self._find_alike(cache, self.likeness, place.search, asked)
                if reply is not None:
                    return Looked(reply)
        return NOTHING if directives.no_store else Looked(place=place)

    async def _find_alike(self, cache: ExactCache, likeness: Likeness, search: Search, asked: _Asked) -> Reply | None:
        """Return the answer to a question that means the same."""
        exchange = asked.exchange
        outcome = await likeness.result(search, asked.directives.max_age_s)
        if isinstance(outcome, Missed):
            exchange.miss_reason = outcome.reason
            return None
        hit = msgspec.structs.replace(outcome.payload, similarity=outcome.similarity)
        reply = self._give(cache, hit, exchange, asked.request)
        if reply is not None:
            likeness.follow(outcome, hit.entry, exchange.hold_id, asked.request)
        return reply

    def _give(self, cache: ExactCache, hit: Hit, exchange: Exchange, request: ModelRequest) -> Reply | None:
        reply = _again(cache, hit, request)
        if reply is not None:
            exchange.hit, exchange.cost_microusd = hit, 0
            exchange.routed_model = hit.entry.routed_model
            self.saved_microusd += hit.entry.cost_microusd
        return reply

    async def _find(self, exchange: Exchange, place: Place) -> Reply | None:
        """Return the answer that another replica has put where it is found."""
        cache = self.cache
        hit = None if cache is None else await cache.look_up(place.key)
        return None if cache is None or hit is None else self._give(cache, hit, exchange, place.request)

    async def _lead(self, name: bytes, exchange: Exchange, place: Place, call: Call) -> Reply:
        """Make a call that others may share."""
        reply = _noted(place, await call())
        self._routes[name] = exchange.routed_model
        exchange.on_close(partial(self._forget_route, name))
        return reply

    async def _forget_route(self, name: bytes) -> None:
        self._routes.pop(name, None)


async def _land(keeper: Keeper, place: Place, exchange: Exchange, outcome: Outcome) -> None:
    """Keep an answer that is whole."""
    if not isinstance(outcome, BaseException):
        await keeper.keep(place, exchange, outcome)


async def _keep_sent(keeper: Keeper, place: Place, exchange: Exchange, reply: Reply) -> None:
    """Keep an answer whose last byte was sent."""
    if exchange.status == _HTTP_OK and exchange.error is None:
        await keeper.keep(place, exchange, reply)


def _sharing(widest: str, rules: Sequence[CacheRules]) -> str:
    """Return who shares answers: nobody beyond what the settings and each level allow."""
    for rule in rules:
        if rule.scope is not None:
            widest = narrowest(widest, rule.scope)
    return widest


def _again(cache: ExactCache, hit: Hit, request: ModelRequest) -> Reply | None:
    """Return a kept answer in the form that is asked for, None where it cannot be given in it."""
    record = unpack(hit.entry.body)
    if record is None or not record.serves(stream=request.stream):
        return None
    if not request.stream:
        return plain_again(record, hit.entry.usage, hit.entry.answered_model, fresh())
    wants_usage = bool(getattr(request, "wants_usage", False))
    return stream_again(record, hit.entry.usage, fresh(), cache.settings.streaming, wants_usage=wants_usage)


def _noted(place: Place, reply: Reply) -> Reply:
    """Return an answer of which what is needed to keep it is noted on its way."""
    if isinstance(reply, PlainReply):
        return reply
    place.noted = NotedStream(reply, place.request.shape)
    return place.noted
