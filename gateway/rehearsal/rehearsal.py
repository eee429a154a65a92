"""What comes of a request under a settings file: the pipeline itself, with stand-ins where the world begins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from types import MappingProxyType

import msgspec

from gateway.caching.stage import CacheStage
from gateway.continuity import Continuity
from gateway.domain.caller import Caller
from gateway.domain.chat import read_chat
from gateway.domain.errors import BudgetExhaustedError, GatewayError, RateLimitedError
from gateway.domain.tier import TierName
from gateway.domain.usage import NO_USAGE, Usage
from gateway.exchange import Exchange
from gateway.guarding.scanning import Looker
from gateway.guarding.stage import GuardStage
from gateway.pipeline import Pipeline
from gateway.pricing import PriceTable
from gateway.rehearsal.stand_ins import EmptyCounters, KnownCaller, Recorded, StandIn
from gateway.routing import build_router
from gateway.sealing import Sealer
from gateway.settings import Settings, prices_of
from gateway.stored.memory import MemoryResponseStore
from gateway.stored.responses import StoredResponses
from policies.base import Limiter
from policies.effective import NO_TEAM, PolicyBook
from policies.explanation import own_rules
from policies.meters import Standing
from policies.refusals import limit_name
from policies.settings import LevelSettings


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be tried.

    Attributes:
        key: `team/key` of the caller.
        text: the user's message.
        user: the end user, None for none.
        max_output_tokens: the longest answer it asks for, None for no word on it.
        usage: what its answer takes.
        tier: what it was assigned to when it was recorded, None where that is to be decided.
    """

    key: str
    model: str = "auto"
    text: str = ""
    user: str | None = None
    max_output_tokens: int | None = None
    usage: Usage = NO_USAGE
    tier: TierName | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        allowed: whether it would have been sent to an upstream.
        status: of the answer; 200 where it is allowed.
        code, message: of the error, empty where it is allowed.
        refused_by: the limit or budget that stops it, as people say it; empty where none does.
        tier: the class of model it is assigned to, None for a model of none and where it is not allowed.
        model: who is asked first, empty where it is not allowed.
        ceiling_microusd: the most that is held for it; 0 where no budget counts it.
        cost_microusd: what its usage costs, None where the price is not known.
        output_limit: the longest answer it is sent with, None for its own.
        limits: what counts it, as people say it.
    """

    allowed: bool
    status: int = 200
    code: str = ""
    message: str = ""
    refused_by: str = ""
    tier: TierName | None = None
    model: str = ""
    ceiling_microusd: int = 0
    cost_microusd: int | None = None
    output_limit: int | None = None
    limits: tuple[str, ...] = ()


class Rehearsal:
    """Tries requests one after the other.

    Args:
        settings: the file they are tried against.
        limiter: counts them; each is tried on empty counters where absent.
        stored: the rules of keys that do not stand in the file, by team and name.

    Attributes:
        router: as the file has it.
        policies: as the file has them.
        prices: as the file has them.
    """

    def __init__(
        self,
        settings: Settings,
        limiter: Limiter | None = None,
        *,
        stored: Mapping[tuple[str, str], LevelSettings] = MappingProxyType({}),
    ) -> None:
        self._stored = stored
        self._who = KnownCaller()
        self._upstream = StandIn()
        self._numbers = count(1)
        kept = MemoryResponseStore(1)
        self.policies = PolicyBook(settings.organisation, stored)
        self.prices = PriceTable(prices_of(settings))
        self.router = build_router(settings, self.prices)
        self._recorded = self.router.strategy = Recorded(self.router.strategy)
        self._pipeline = Pipeline(
            authenticator=self._who,
            guard=GuardStage(self.policies, Looker()),
            limiter=limiter or EmptyCounters(),
            router=self.router,
            policies=self.policies,
            cache=CacheStage(None),
            models=settings.models,
            upstreams=dict.fromkeys(settings.upstreams, self._upstream),
            prices=self.prices,
            continuity=Continuity(StoredResponses(kept, kept, Sealer(None)), settings.models),
        )

    def caller(self, key: str) -> Caller:
        """Return the caller of a key, `team/key`, as if its secret had been sent and were not expired."""
        team, _, name = key.partition("/")
        policy = self.policies.of_key(team, name)
        organisation = self.policies.organisation
        own = own_rules(organisation, team, name) or self._stored.get((team, name)) or LevelSettings()
        levels = (organisation, organisation.teams.get(team, NO_TEAM), own)
        return Caller(
            organisation=organisation.name,
            team=team,
            key=name,
            key_id=key,
            models=policy.models,
            endpoints=tuple(level.endpoints for level in levels),
        )

    async def ask(self, question: Question) -> Outcome:
        """Try a request."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        exchange = Exchange(f"rehearsal-{next(self._numbers)}", {}, "", task)
        body = _body(question)
        self._who.caller = self.caller(question.key)
        self._upstream.usage = question.usage
        self._recorded.tier = question.tier

        async def read_body() -> bytes:
            return body

        try:
            await self._pipeline.run(exchange, read_body, read_chat)
        except GatewayError as error:
            exchange.error = error
        finally:
            await exchange.close()
        return self._outcome(exchange)

    def _outcome(self, exchange: Exchange) -> Outcome:
        policy, error, hold, decision = exchange.policy, exchange.error, exchange.hold, exchange.decision
        meters = () if policy is None else self.policies.meters(policy, exchange.user)
        limits = tuple(f"{limit_name(meter)} of {meter.level}" for meter in meters)
        if error is not None:
            refused_by = _refused_by(error)
            code, message = error.code or "", error.message
            return Outcome(
                allowed=False, status=error.status, code=code, message=message, refused_by=refused_by, limits=limits
            )
        return Outcome(
            allowed=True,
            tier=decision.tier if decision else None,
            model=exchange.routed_model,
            ceiling_microusd=hold.demand.microusd if hold else 0,
            cost_microusd=exchange.cost_microusd,
            output_limit=exchange.output_limit,
            limits=limits,
        )


def _body(question: Question) -> bytes:
    document: dict[str, object] = {
        "model": question.model,
        "messages": [{"role": "user", "content": question.text}],
    }
    if question.user is not None:
        document["user"] = question.user
    if question.max_output_tokens is not None:
        document["max_completion_tokens"] = question.max_output_tokens
    return msgspec.json.encode(document)


def _refused_by(error: GatewayError) -> str:
    if isinstance(error, RateLimitedError | BudgetExhaustedError) and isinstance(error.standing, Standing):
        meter = error.standing.meter
        return f"{limit_name(meter)} of {meter.level}"
    return ""
