"""The nine stages of a request, in order.

| # | stage        | where                    | takes -> gives                 | says no with          | if it breaks |
|---|--------------|--------------------------|--------------------------------|-----------------------|--------------|
| 1 | edge         | gateway/edge/chat.py     | bytes -> Exchange, ChatRequest | InvalidRequestError   | 500          |
| 2 | authenticate | policies/authenticate.py | key -> Caller                  | NotAuthenticatedError | closed: 503  |
| 3 | sanitise     | policies/sanitise/       | ChatRequest -> the same        | PromptRejectedError   | closed: 503  |
| 4 | reserve      | policies/rate_limit.py   | Caller -> Hold                 | RateLimitedError      | closed: 503  |
| 5 | route        | router/                  | ChatRequest -> Decision        | UnknownModelError     | default tier |
| 6 | look up      | cache/                   | key -> Hit or None             | -                     | open: a miss |
| 7 | answer       | gateway/upstreams/       | ChatRequest -> Reply           | UpstreamError and kin | next in line |
| 8 | settle       | Hold.settle              | Usage -> charge                | -                     | logged       |
| 9 | record       | gateway/telemetry.py     | Exchange -> metrics, log line  | -                     | open         |

The caller is known before the body is read, so that a stranger cannot make the gateway read 32 MB: stage 1 ends
inside `run`. Stages 8 and 9 run when the last byte is sent or the caller has left: see `Exchange.close`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from cache.exact import ExactCache
from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.errors import (
    GatewayError,
    NotPermittedError,
    StageUnavailableError,
    UpstreamError,
)
from gateway.exchange import Exchange
from gateway.pricing import PriceTable
from gateway.upstreams.base import ChatCall, PlainReply, Reply, Upstream
from gateway.upstreams.settings import Model
from policies.base import Authenticator, Hold, Limiter, Sanitiser
from router.tiers import Router

log = logging.getLogger("tierway")

_FORWARDED: Final = frozenset({b"traceparent", b"tracestate", b"openai-beta"})
"""Request headers that travel on to the upstream. The caller's credentials, cookies and the rest do not."""


class Pipeline:
    """Carries chat requests through the stages. One is built for each version of the settings."""

    def __init__(  # noqa: PLR0913  one argument a stage
        self,
        *,
        authenticator: Authenticator,
        sanitiser: Sanitiser,
        limiter: Limiter,
        router: Router,
        cache: ExactCache | None,
        models: Mapping[str, Model],
        upstreams: Mapping[str, Upstream],
        prices: PriceTable,
    ) -> None:
        self._authenticator = authenticator
        self._sanitiser = sanitiser
        self._limiter = limiter
        self.router = router
        self._cache = cache
        self._models = models
        self._upstreams = upstreams
        self._prices = prices
        self.cache_failures = 0

    async def run(self, exchange: Exchange, read_body: Callable[[], Awaitable[bytes]]) -> Reply:
        """Answer a chat request, or raise the `GatewayError` that says why not.

        Args:
            exchange: is filled in.
            read_body: reads and inflates the body.
        """
        caller = self.authenticate(exchange)  # 2
        request = exchange.request = read_chat(await read_body())  # 1
        self._sanitise(request)  # 3
        await self._reserve(exchange, caller, request)  # 4
        self._route(exchange, caller, request)  # 5
        found = await self._look_up(exchange, caller, request)  # 6
        exchange.reply = found or await self._answer(exchange, request)  # 7
        return exchange.reply

    def authenticate(self, exchange: Exchange) -> Caller:
        """Tell who asks; also for routes without the other stages."""
        try:
            exchange.caller = self._authenticator.identify(token_of(exchange.headers), exchange.address)
            return exchange.caller
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("authentication is unavailable") from error

    def _sanitise(self, request: ChatRequest) -> None:
        try:
            self._sanitiser.check(request)
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("the guard is unavailable") from error

    async def _reserve(self, exchange: Exchange, caller: Caller, request: ChatRequest) -> None:
        try:
            hold = await self._limiter.reserve(caller, request)
        except GatewayError:
            raise
        except Exception as error:
            raise StageUnavailableError("limits are unavailable") from error
        exchange.on_close(partial(self._settle, exchange, hold))  # 8

    def _route(self, exchange: Exchange, caller: Caller, request: ChatRequest) -> None:
        exchange.decision = self.router.route(request)
        if caller.models and not caller.may_use(request.model):
            message = f"This key may not use the model '{request.model[:100]}'."
            raise NotPermittedError(message, code="model_not_allowed", param="model")

    async def _look_up(self, exchange: Exchange, caller: Caller, request: ChatRequest) -> PlainReply | None:
        if self._cache is None:
            return None
        try:
            key = self._cache.key(caller, request, exchange.tier)
            hit = None if key is None else await self._cache.look_up(key)
        except Exception:  # noqa: BLE001  a broken cache is a miss: counted, and the request goes on
            self.cache_failures += 1
            exchange.miss_reason = "unavailable"
            return None
        if hit is None:
            exchange.miss_reason = "skipped" if key is None else "miss"
            if key is not None:
                exchange.on_close(partial(self._store, exchange, self._cache, key))
            return None
        exchange.hit = hit
        exchange.cost_microusd = 0
        return PlainReply(body=hit.entry.body, usage=hit.entry.usage, answered_model=hit.entry.answered_model)

    async def _answer(self, exchange: Exchange, request: ChatRequest) -> Reply:
        assert exchange.decision is not None  # noqa: S101  stage 5 came before
        candidates = exchange.decision.candidates
        for position, name in enumerate(candidates, start=1):
            exchange.routed_model = name
            exchange.attempts = position
            try:
                return await self._ask(exchange, request, name)
            except UpstreamError as error:
                if not error.retryable or position == len(candidates) or exchange.patience.is_over():
                    raise
        raise StageUnavailableError("a tier without candidates")

    async def _ask(self, exchange: Exchange, request: ChatRequest, name: str) -> Reply:
        model = self._models[name]
        exchange.upstream = model.upstream
        headers = () if _FORWARDED.isdisjoint(exchange.headers) else _forwarded(exchange.headers)
        call = ChatCall(request=request, model=model.model or name, patience=exchange.patience, headers=headers)
        asked_at = time.perf_counter()
        try:
            reply = await self._upstreams[model.upstream].chat(call)
        finally:
            exchange.upstream_s += time.perf_counter() - asked_at
        if isinstance(reply, PlainReply):
            exchange.usage = reply.usage
            exchange.cost_microusd = self._prices.cost(name, reply.usage)
        else:
            exchange.on_close(reply.close)
        return reply

    async def _settle(self, exchange: Exchange, hold: Hold) -> None:
        """Charge what was consumed. A failure here is loud, but the answer has been given."""
        reply = exchange.reply
        if reply is not None and not isinstance(reply, PlainReply):
            exchange.usage = reply.usage()
            exchange.cost_microusd = self._prices.cost(exchange.routed_model, exchange.usage)
        try:
            if reply is None:
                hold.release()
            else:
                hold.settle(exchange.usage, exchange.cost_microusd or 0)
        except Exception:
            log.exception("settling failed", extra={"request_id": exchange.request_id})

    async def _store(self, exchange: Exchange, cache: ExactCache, key: bytes) -> None:
        """Keep a complete plain answer whose last byte was sent."""
        reply = exchange.reply
        if not isinstance(reply, PlainReply) or exchange.status != 200:
            return
        try:
            await cache.store(key, reply.body, reply.usage, reply.answered_model)
        except Exception:  # noqa: BLE001  as in `_look_up`
            self.cache_failures += 1


def token_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the caller's key, from `Authorization: Bearer KEY` or Azure's `api-key`; None without either."""
    sent = headers.get(b"authorization")
    if sent is None:
        sent = headers.get(b"api-key")
        return None if sent is None else sent.decode("latin-1")
    scheme, _, token = sent.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def _forwarded(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers.items() if name in _FORWARDED]
