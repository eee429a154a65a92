"""Stage 4, reserve: what holds for a caller, who may answer within it, and the hold for the most that can cost."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from gateway.ceilings import CeilingTable, relay_price
from gateway.domain.caller import Caller
from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    InvalidRequestError,
    NotPermittedError,
    StageUnavailableError,
)
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName
from gateway.exchange import Exchange
from gateway.experiments.split import Assigner, subject_of
from policies.base import Limiter, Reservation
from policies.effective import Policy, PolicyBook
from policies.governor import FREE
from policies.meters import Demand, Meter, together
from policies.rollout import Rollout, is_denial
from policies.staging import Trial, in_force
from router.base import Option
from router.conversation import conversation_key
from router.tiers import Router

Settler = Callable[[Exchange], Awaitable[None]]
"""Charges what a request consumed."""


class Admission:
    """Lets requests in and holds what they may consume.

    Args:
        policies: what holds for each key.
        router: who may answer.
        ceilings: the most that can cost.
        limiter: holds it.
        settler: is called once for each request that holds something.
        rollout: is told whom policy denies.
        trial: rules that are only tried, None where there are none.
        relay_prices: what a POST to each family of relayed endpoints is charged, in micro-dollars.
        has_cache: whether an answer may come from a cache.
        assigner: says which arm of a split alias a caller belongs to.
    """

    def __init__(  # noqa: PLR0913  one argument a part
        self,
        *,
        policies: PolicyBook,
        router: Router,
        ceilings: CeilingTable,
        limiter: Limiter,
        settler: Settler,
        rollout: Rollout,
        trial: Trial | None,
        relay_prices: Mapping[str, int],
        has_cache: bool,
        assigner: Assigner,
    ) -> None:
        self.policies, self.router, self.rollout = policies, router, rollout
        self._ceilings, self._limiter, self._settler = ceilings, limiter, settler
        self._trial, self._relay_prices, self._has_cache = trial, relay_prices, has_cache
        self._assigner = assigner

    async def admit(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> BudgetExhaustedError | None:
        """Permit a request and hold what it may consume, and note what policy says of it; see `_reserve`."""
        try:
            options = self._permit(exchange, caller, request)
            refusal = await self._reserve(exchange, request, options)
        except GatewayError as error:
            self.rollout.note(is_denied=is_denial(error))
            raise
        self.rollout.note(is_denied=refusal is not None)
        if self._trial is not None and exchange.policy is not None:
            await self._trial.judge(request, exchange.policy, exchange.user)
        return refusal

    async def admit_relayed(self, exchange: Exchange, caller: Caller, endpoint: str, method: str) -> None:
        """Hold what a request that nobody reads costs: what its endpoint is declared to."""
        policy = exchange.policy = self.policies.of(caller)
        exchange.user = self.policies.user_of(exchange.headers, {})
        price = relay_price(self._relay_prices, endpoint, method)
        if price is None and policy.counts_money:
            message = f"'{endpoint}' has no price, and budgets count money. 'relay.prices.{endpoint}' gives it one."
            raise NotPermittedError(message, code="endpoint_unpriced")
        exchange.cost_microusd = price
        meters = self.policies.meters(policy, exchange.user)
        await self._hold(exchange, policy, meters, (Demand(1, microusd=price or 0),), (None,))

    async def cover(self, exchange: Exchange, request: ModelRequest, *names: str) -> None:
        """Hold enough for the models that are really called, on each further hop; for all of them together.

        Raises:
            RateLimitedError, BudgetExhaustedError: it does not fit; what was held is.
        """
        policy, hold = exchange.policy, exchange.hold
        assert policy is not None  # noqa: S101  stage 4 came before
        assert hold is not None  # noqa: S101
        meters = self._bounding(self.policies.meters(policy, exchange.user))
        await hold.cover(together([self._ceilings.of_model(request, policy, meters, name) for name in names]))

    def _permit(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> tuple[Option, ...]:
        """Find out what holds for the caller, and who may answer."""
        policy = exchange.policy = self.policies.of(caller)
        exchange.user = user = self.policies.user_of(exchange.headers, request.document)
        if user is None and policy.requires_user:
            raise InvalidRequestError("This key needs requests to name their end user in 'user'.", param="user")
        exchange.target = self._target(exchange, caller, request, policy)
        options = self.router.options(
            request,
            policy.tiers,
            may_degrade=bool(policy.degrading),
            target=exchange.target,
            wishes=exchange.wishes,
        )
        if caller.models and not caller.may_use(request.model):
            message = f"This key may not use the model '{request.model[:100]}'."
            raise NotPermittedError(message, code="model_not_allowed", param="model")
        return options

    def _target(self, exchange: Exchange, caller: Caller, request: ModelRequest, policy: Policy) -> str:
        """Return what the requested name stands for; of an alias that is split, the caller's arm."""
        sticky = self._assigner.sticky(request.model)
        if sticky is None:
            routes_all = policy.routes_all and request.shape != "embeddings"
            return self.router.target(request.model, routes_all=routes_all)
        conversation = None
        if sticky == "conversation":
            conversation = conversation_key(request, caller.key_id, exchange.wishes.session).hex() or None
        exchange.experiment = request.model
        exchange.subject = subject_of(sticky, caller, user=exchange.user, conversation=conversation)
        return self._assigner.arm(request.model, exchange.subject)

    async def _reserve(
        self, exchange: Exchange, request: ModelRequest, options: tuple[Option, ...]
    ) -> BudgetExhaustedError | None:
        """Hold what the request may consume.

        Returns:
            None; or why it may not be sent anywhere, though it may be answered from the cache.
        """
        policy = exchange.policy
        assert policy is not None  # noqa: S101  `_permit` came before
        meters = self.policies.meters(policy, exchange.user)
        if not meters and policy.max_output_tokens is None:  # nothing is counted: there is nothing to hold
            exchange.hold, exchange.held_options, exchange.reserved_at = FREE, options, time.time()
            exchange.settle_with(partial(self._settler, exchange))
            return None
        ceilings = self._ceilings.of(request, policy, self._bounding(meters), options)
        exchange.output_limit = ceilings.most_output_tokens
        try:
            await self._hold(exchange, policy, meters, ceilings.demands, ceilings.tiers)
        except BudgetExhaustedError as error:
            if not policy.cached_answers or not self._has_cache:
                raise
            await self._hold(exchange, policy, meters, (Demand(1),), (None,))
            exchange.held_options = options
            return error
        assert exchange.hold is not None  # noqa: S101  it was just set
        exchange.held_options = options[exchange.hold.index :]
        return None

    def _bounding(self, meters: tuple[Meter, ...]) -> tuple[Meter, ...]:
        """Return the meters that bound a request: not those of rules that are only tried."""
        return meters if self._trial is None else in_force(meters)

    async def _hold(
        self,
        exchange: Exchange,
        policy: Policy,
        meters: tuple[Meter, ...],
        demands: tuple[Demand, ...],
        tiers: tuple[TierName | None, ...],
    ) -> None:
        exchange.reserved_at = time.time()
        try:
            exchange.hold = await self._limiter.reserve(
                Reservation(exchange.hold_id, policy, meters, demands, tiers, exchange.patience.deadline)
            )
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("limits are unavailable") from error
        exchange.settle_with(partial(self._settler, exchange))
