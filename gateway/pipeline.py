"""The nine stages of a request, in order.

| # | stage        | where                    | takes -> gives                 | says no with          | if it breaks |
|---|--------------|--------------------------|--------------------------------|-----------------------|--------------|
| 1 | edge         | gateway/edge/answering.py| bytes -> Exchange, request     | InvalidRequestError   | 500          |
| 2 | authenticate | policies/authenticate.py | key -> Caller                  | NotAuthenticatedError | closed: 503  |
| 3 | sanitise     | gateway/guarding/        | ModelRequest -> one to go on   | PromptRejectedError   | closed: 503  |
| 4 | reserve      | gateway/admission.py,    | Caller, ceilings -> Hold       | RateLimitedError,     | closed: 503  |
|   |              | policies/governor.py     |                                | BudgetExhaustedError  |              |
| 5 | route        | router/, continuity.py   | ModelRequest -> Decision       | UnknownModelError     | default tier |
| 6 | look up      | gateway/caching.py, cache/| ModelRequest -> Reply or None  | NotCachedError        | open: a miss |
| 7 | answer       | gateway/attempts/        | ModelRequest -> Reply          | UpstreamError and kin | next in line |
| 8 | settle       | Hold.settle              | Usage -> charge                | -                     | logged       |
| 9 | record       | gateway/telemetry.py     | Exchange -> metrics, log line  | -                     | open         |

Requests of every shape take the same way: chat, Responses, Messages, embeddings, legacy completions. What the gateway
only passes on (files, images, audio) has no prompt to judge and goes through `Pipeline.relay`: stages 2, 4, 7 to 9.

The hold comes before the decision and bounds it: the ceiling of each tier that may answer is known from the request,
and the router stays at or below the tier that was held. What the answer cost is settled before its last byte is sent,
so that a killed process owes nobody an account.

The caller is known before the body is read, so that a stranger cannot make the gateway read 32 MB: stage 1 ends
inside `run`. Stage 9, and stage 8 for whatever did not end well, run when the last byte is sent or the caller has
left: see `Exchange.close`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from gateway.admission import Admission
from gateway.attempts.asking import Asker
from gateway.attempts.attempts import Attempts
from gateway.attempts.checked import CheckedAnswers
from gateway.attempts.hedging import Hedger
from gateway.bookkeeping import record_answer, record_aside
from gateway.caching.stage import CacheStage
from gateway.ceilings import CeilingTable
from gateway.continuity import Continuity
from gateway.domain.caller import Caller
from gateway.domain.errors import (
    DeadlineExceededError,
    GatewayError,
    NotFoundError,
    NotPermittedError,
    ShuttingDownError,
    StageUnavailableError,
    UpstreamError,
)
from gateway.domain.request import ModelRequest
from gateway.domain.responses import ResponsesRequest
from gateway.domain.usage import NO_USAGE, Usage
from gateway.exchange import Exchange
from gateway.experiments.split import Assigner
from gateway.flights.base import Errand
from gateway.flights.idempotency import Idempotency, digest_of, read_key
from gateway.flights.local import Flights
from gateway.flights.once.base import OnceStore
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.settings import FlightSettings, IdempotencySettings
from gateway.guarding.answers import AnswerGuard
from gateway.guarding.external.outputs import judge_answer
from gateway.guarding.stage import GuardStage
from gateway.pricing import PriceTable
from gateway.upstreams.base import PlainReply, RelayCall, RelayReply, RelaySupport, Reply, Upstream
from gateway.upstreams.settings import Model
from policies.base import Authenticator, Limiter
from policies.effective import PolicyBook
from policies.fair_queue import SlotGate
from policies.rollout import Rollout
from policies.sanitise.inspection import Inspection
from policies.sanitise.redaction.redactor import Redactor, Vault
from policies.staging import Trial
from policies.stores.ledgers.base import Ledger
from router.base import Decision
from router.learned import Learned
from router.settings import RouterSettings
from router.tiers import Router

log = logging.getLogger("tierway")

ASIDE_S: Final = 300.0
"""Seconds that a call on nobody's behalf may take."""

_ABANDONED: Final = (DeadlineExceededError, ShuttingDownError)
"""Errors of requests whose last call was left while its upstream may have been reading the prompt."""


class Pipeline:
    """Carries requests through the stages. One is built for each version of the settings."""

    def __init__(  # noqa: PLR0913  one argument a stage
        self,
        *,
        authenticator: Authenticator,
        guard: GuardStage,
        answer_guard: AnswerGuard | None = None,
        limiter: Limiter,
        router: Router,
        policies: PolicyBook,
        rollout: Rollout | None = None,
        trial: Trial | None = None,
        ledger: Ledger | None = None,
        gates: Mapping[str, SlotGate] | None = None,
        cache: CacheStage,
        models: Mapping[str, Model],
        upstreams: Mapping[str, Upstream],
        prices: PriceTable,
        continuity: Continuity,
        learned: Learned | None = None,
        once: Idempotency | None = None,
        assigner: Assigner | None = None,
        relays_to: str | None = None,
        relay_prices: Mapping[str, int] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._guard = guard
        self.answer_guard = answer_guard or AnswerGuard()
        self.router = router
        self.cache = cache
        self._once = once or build_once()
        self._upstreams = upstreams
        self.prices = prices
        self._dearest = prices.dearest()
        self.continuity = continuity
        self.policies = policies
        self.unpriced = prices.unpriced
        self.admission = Admission(
            policies=policies,
            router=router,
            ceilings=CeilingTable(models, prices),
            limiter=limiter,
            settler=self._settle,
            rollout=rollout or Rollout(policies.organisation),
            trial=trial,
            relay_prices=relay_prices or {},
            has_cache=cache.is_on,
            assigner=assigner or Assigner({}),
        )
        self._ledger = ledger
        self.learned = learned or Learned(router.settings, models)
        self._asker = Asker(
            models=models,
            upstreams=upstreams,
            gates=gates or {},
            health=self.learned.health,
            mirror=self.learned.mirror,
        )
        attempts = self._make_attempts(models, router.settings)
        self._answers = CheckedAnswers(attempts, self.learned, router.settings.outputs)
        self._relays_to = relays_to

    def _make_attempts(self, models: Mapping[str, Model], settings: RouterSettings) -> Attempts:
        hedger = None
        if settings.hedge is not None:
            hedger = Hedger(asker=self._asker, admission=self.admission, learned=self.learned, settings=settings.hedge)
        return Attempts(
            asker=self._asker,
            admission=self.admission,
            learned=self.learned,
            hedger=hedger,
            windows={name: model.context_tokens for name, model in models.items() if model.context_tokens},
            settings=settings,
        )

    async def run(
        self, exchange: Exchange, read_body: Callable[[], Awaitable[bytes]], read: Callable[[bytes], ModelRequest]
    ) -> Reply:
        """Answer a request, or raise the `GatewayError` that says why not.

        Args:
            exchange: is filled in.
            read_body: reads and inflates the body.
            read: makes a request of it.
        """
        caller = self.authenticate(exchange)  # 2
        request = exchange.request = read(await read_body())  # 1
        once_key = read_key(exchange.headers.get(b"idempotency-key"))
        digest = b"" if once_key is None else digest_of(exchange.route, request.body)  # placeholders differ each time
        request = exchange.request = await self._sanitise(exchange, caller, request)  # 3
        refusal = await self.admission.admit(exchange, caller, request)  # 4
        exchange.decision = self._route(exchange, request)  # 5
        if isinstance(request, ResponsesRequest):
            request = await self._resume(exchange, caller, request)
        answer = partial(self._answer_anew, exchange, caller, request, refusal, alone=once_key is not None)
        reply = await (answer() if once_key is None else self._answer_once(exchange, (once_key, digest), answer))
        exchange.reply = reply
        if isinstance(reply, PlainReply):
            await exchange.settle()  # 8
        return reply

    async def _answer_once(
        self, exchange: Exchange, once: tuple[str, bytes], answer: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Answer a request that must be paid once: with what it was answered before, or is being answered."""
        errand = Errand(
            call=answer,
            on_close=exchange.on_close,
            hand_to=exchange.patience.hand_to,
            deadline=exchange.patience.deadline,
        )
        once_key, digest = once
        flown = await self._once.answer(exchange.caller_id, once_key, digest, errand)
        if flown.is_shared:
            exchange.is_replayed, exchange.cost_microusd = True, 0
        return flown.reply

    async def _answer_anew(
        self, exchange: Exchange, caller: Caller, request: ModelRequest, refusal: GatewayError | None, *, alone: bool
    ) -> Reply:
        reply, place = await self.cache.look_up(exchange, caller, request)  # 6
        if reply is None:
            if refusal is not None:
                raise refusal
            answer = partial(self._answer, exchange, request)  # 7
            asked = answer() if place is None else self.cache.fetch(exchange, place, answer, alone=alone)
            reply = await asked
        exchange.reply = reply
        inspection = exchange.inspection
        if inspection is not None and self._guard.others.watches("output"):  # before it can be fetched by its id
            reply = await judge_answer(self._guard.others, inspection, exchange.request_id, reply, request)  # 3
            exchange.reply = reply
        if isinstance(request, ResponsesRequest):
            vault = None if inspection is None else inspection.vault
            reply = await self.continuity.remember(caller, request, exchange.routed_model, reply, vault)
            exchange.reply = reply
        # Last, so that what is kept of an answer has its placeholders still.
        return await self.answer_guard.guard(inspection, reply, request, partial(self.continuity.forget, caller))  # 3

    async def relay(
        self,
        exchange: Exchange,
        endpoint: str,
        make_call: Callable[[], RelayCall],
        *,
        upstream: str | None = None,
    ) -> RelayReply:
        """Pass a request on as it is, or raise the `GatewayError` that says why not.

        Args:
            exchange: is filled in; its caller is known.
            endpoint: the family of paths it belongs to, empty where the caller's policy need not admit it.
            make_call: makes what is passed on, once the caller may have it passed on.
            upstream: who must answer it; the one that `relay.upstream` names where absent.
        """
        caller = exchange.caller or self.authenticate(exchange)
        if endpoint and not caller.may_call(endpoint):
            message = f"This key may not use '{endpoint}'. 'organisation.endpoints' of the settings admits it."
            raise NotPermittedError(message, code="endpoint_not_allowed")
        name = upstream or self._relays_to or ""
        target = self._upstreams.get(name)
        if not isinstance(target, RelaySupport):
            raise NotFoundError("No upstream is configured for this address ('relay.upstream' of the settings).")
        call = make_call()
        await self.admission.admit_relayed(exchange, caller, endpoint, call.method)
        exchange.upstream = name
        asked_at = time.perf_counter()
        try:
            reply = await target.relay(call)
        except UpstreamError:
            exchange.cost_microusd = 0
            raise
        finally:
            exchange.upstream_s += time.perf_counter() - asked_at
        exchange.on_close(reply.close)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            exchange.cost_microusd = 0
        return reply

    async def inspect_fetched(self, exchange: Exchange, caller: Caller, record_id: str) -> Inspection | None:
        """Return what the guard knows of a response that is fetched by its id; None where it has nothing to do."""
        plan = self.policies.of(caller).guard
        vault = None if plan.is_idle else await self.continuity.vault_of(caller, record_id)
        if vault is None and not plan.scans_output:
            return None
        exchange.inspection = Inspection(plan, None if vault is None else Redactor(vault))
        return exchange.inspection

    async def ask_aside(self, request: ModelRequest, name: str) -> tuple[PlainReply, int | None]:
        """Ask a model on nobody's behalf, and return its answer with what it cost in micro-dollars.

        The request is a plain one. What it consumed is written down, and counts for no budget.

        Raises:
            GatewayError: no answer came.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        number = f"shadow-{secrets.token_hex(8)}"
        exchange = Exchange(number, {}, "", task)
        exchange.patience.allow(ASIDE_S)
        asked_at = time.time()
        try:
            answered = await self._asker.ask(exchange, request, name, exchange.patience)
        finally:
            exchange.patience.end()
        assert isinstance(answered.reply, PlainReply)  # noqa: S101  what is asked for is plain
        cost = self.prices.cost(name, answered.reply.usage)
        if self._ledger is not None:
            await self._ledger.append(record_aside(exchange, name, answered.reply, asked_at, cost))
        return answered.reply, cost

    def authenticate(self, exchange: Exchange) -> Caller:
        """Tell who asks; also for routes without the other stages."""
        try:
            exchange.caller = self._authenticator.identify(token_of(exchange.headers), exchange.address)
            return exchange.caller
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("authentication is unavailable") from error

    async def _sanitise(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> ModelRequest:
        try:
            return await self._guard.check(exchange, caller, request, await self._vault_of(caller, request))
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("the guard is unavailable") from error

    async def _vault_of(self, caller: Caller, request: ModelRequest) -> Vault | None:
        """Return what placeholders stand for in what a request continues: its values get the same ones again."""
        if not isinstance(request, ResponsesRequest) or request.is_whole or self.policies.of(caller).guard.is_idle:
            return None
        return await self.continuity.vault_of(caller, request.previous_response_id or request.conversation_id)

    def _route(self, exchange: Exchange, request: ModelRequest) -> Decision:
        return self.router.route(
            request,
            exchange.held_options,
            target=exchange.target,
            wishes=exchange.wishes,
            caller_id=exchange.caller_id,
        )

    def is_resting(self, name: str) -> bool:
        """Tell whether a model has been failing and is left alone."""
        return not self.learned.health.admits(name, "")

    async def _resume(self, exchange: Exchange, caller: Caller, request: ResponsesRequest) -> ResponsesRequest:
        assert exchange.decision is not None  # noqa: S101  `_route` came before
        request, exchange.decision = await self.continuity.resume(caller, request, exchange.decision)
        exchange.request = request
        return request

    async def _answer(self, exchange: Exchange, request: ModelRequest) -> Reply:
        if exchange.output_limit is not None:
            request = request.limited(exchange.output_limit)
        reply = await self._answers.answer(exchange, request)
        if isinstance(reply, PlainReply):
            self._account(exchange, reply.usage)
        return reply

    async def _settle(self, exchange: Exchange) -> None:
        """Charge what was consumed. A failure here is loud, but the answer goes out."""
        hold, reply = exchange.hold, exchange.reply
        assert hold is not None  # noqa: S101  only called once there is one
        if exchange.is_given:
            pass  # nobody pays twice for an answer
        elif reply is not None and not isinstance(reply, PlainReply):
            self._account(exchange, reply.usage())
        elif reply is None and exchange.attempts:
            is_abandoned = exchange.error is None or isinstance(exchange.error, _ABANDONED)
            usage = self._usage_of_abandoned(exchange) if is_abandoned else NO_USAGE
            if usage is not NO_USAGE or exchange.aside:
                self._account(exchange, usage)
        try:
            if exchange.upstream or exchange.hit is not None or exchange.shares:
                # Written down first: what the books say, another process can settle for one that is killed here.
                noted = None if self._ledger is None else self._ledger.append_now(record_answer(exchange, hold))
                await hold.settle(exchange.usage, exchange.cost_microusd or 0)
                if noted is not None:
                    await noted
            else:
                await hold.release()
        except Exception:
            log.exception("settling failed", extra={"request_id": exchange.request_id})

    def _account(self, exchange: Exchange, usage: Usage) -> None:
        """Note what a request has consumed: its answer, and what was spent beside it."""
        cost = self._cost(exchange, exchange.routed_model, usage)
        for model, spent in exchange.aside:
            usage = usage.plus(spent)
            more = self._cost(exchange, model, spent)
            cost = more if cost is None else cost + (more or 0)
        exchange.usage, exchange.cost_microusd = usage, cost

    def _cost(self, exchange: Exchange, model: str, usage: Usage) -> int | None:
        """Return what an answer cost, None where nobody knows; what was held at the dearest price is charged at it."""
        cost = self.prices.cost(model, usage)
        policy = exchange.policy
        if cost is None and policy is not None and policy.counts_money and self._dearest is not None:
            return self._dearest.cost(usage)
        return cost

    def _usage_of_abandoned(self, exchange: Exchange) -> Usage:
        """Return what a caller who left before the answer has used: the prompt was sent, and is billed."""
        if exchange.request is None or not exchange.routed_model:
            return NO_USAGE
        return self._asker.estimate(exchange.request, exchange.routed_model)


def build_once(store: OnceStore | None = None) -> Idempotency:
    """Build what answers requests by their idempotency keys.

    Args:
        store: of answers; this process's memory where it is not said.
    """
    settings = IdempotencySettings()
    return Idempotency(store or MemoryOnceStore(settings), Flights(FlightSettings()), lease_s=settings.lease_s)


def token_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the caller's key, from `Authorization: Bearer KEY`, Anthropic's `x-api-key` or Azure's `api-key`."""
    sent = headers.get(b"authorization")
    if sent is None:
        sent = headers.get(b"x-api-key") or headers.get(b"api-key")
        return None if sent is None else sent.decode("latin-1")
    scheme, _, token = sent.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
