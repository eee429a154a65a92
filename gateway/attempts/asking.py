"""One call to one model, and what its health learns of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import msgspec

from gateway.domain.errors import UpstreamError, UpstreamOverloadedError
from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE, Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import (
    DEFAULT_OUTPUT_TOKENS,
    CountSupport,
    ModelCall,
    PlainReply,
    Reply,
    StreamReply,
    Upstream,
)
from gateway.upstreams.catalogue import FORWARDED
from gateway.upstreams.settings import Model
from gateway.upstreams.translating import ask
from gateway.upstreams.transport import Headers, Patience
from policies.fair_queue import NotAdmittedError, SlotGate
from router.health.deployments import Call, Health
from router.health.faults import fault_of, retry_after_s
from router.health.headroom import Mirror

Closer = Callable[[], Awaitable[None]]


class Answered(msgspec.Struct, frozen=True):
    """What a call has brought.

    Attributes:
        name: the model that was asked.
        upstream: who has it.
        reply: its answer; a stream is open.
        closers: what gives back what the call has taken, to be called in this order.
    """

    name: str
    upstream: str
    reply: Reply
    closers: tuple[Closer, ...] = ()

    async def close(self) -> None:
        """Give everything back: nobody reads this answer."""
        for closer in self.closers:
            await closer()


class Asker:
    """Makes calls.

    Args:
        models: by name.
        upstreams: by name.
        gates: the places at upstreams that requests may wait for.
        health: what is known of each model.
        mirror: the limits that providers report.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, Model],
        upstreams: Mapping[str, Upstream],
        gates: Mapping[str, SlotGate],
        health: Health,
        mirror: Mirror,
    ) -> None:
        self._models, self._upstreams, self._gates = models, upstreams, gates
        self._health, self._mirror = health, mirror
        self._observers: dict[str, Callable[[Headers], None]] = {
            name: partial(_observe, mirror, name) for name in models
        }

    async def ask(self, exchange: Exchange, request: ModelRequest, name: str, patience: Patience) -> Answered:
        """Ask a model once.

        Args:
            exchange: of the request; its upstream is noted.
            request: in the form it is sent in.
            name: of the model.
            patience: how long the call may take; of the task that makes it.

        Raises:
            UpstreamError: it failed.
            InvalidRequestError: its upstream has no words for the request.
            DeadlineExceededError: the caller's deadline passed.
        """
        model = self._models[name]
        exchange.upstream = model.upstream
        call = ModelCall(
            request=request,
            model=model.model or name,
            patience=patience,
            headers=() if FORWARDED.isdisjoint(exchange.headers) else _forwarded(exchange.headers),
            query=exchange.query,
            max_output_tokens=model.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
            observe=self._observers[name],
        )
        leave = await self._take_place(exchange, model.upstream, patience) if self._gates else None
        watch = self._health.begin(name, exchange.caller_id)
        self._mirror.note_sent(name, len(request.body) // 4)
        asked_at = time.perf_counter()
        try:
            reply = await ask(self._upstreams[model.upstream], call)
        except BaseException as error:
            _judge(watch, error)
            if leave is not None:
                await leave()
            raise
        first_byte_s = time.perf_counter() - asked_at
        if isinstance(reply, PlainReply):
            watch.succeed(first_byte_s)
            if leave is not None:
                await leave()
            return Answered(name, model.upstream, reply)
        watch.hear(first_byte_s)
        ending = partial(_end, watch, exchange, reply)
        closers: tuple[Closer, ...] = (reply.close, ending) if leave is None else (reply.close, ending, leave)
        return Answered(name, model.upstream, reply, closers)

    def estimate(self, request: ModelRequest, name: str) -> Usage:
        """Return what a model has used that was left before it answered: the prompt was sent, and is billed."""
        model = self._models[name]
        upstream = self._upstreams.get(model.upstream)
        if not isinstance(upstream, CountSupport):
            return NO_USAGE
        return Usage(input_tokens=upstream.estimate_tokens(request, model.model or name), provenance="estimated")

    async def _take_place(self, exchange: Exchange, upstream: str, patience: Patience) -> Closer | None:
        """Wait for a place at an upstream that takes no more, teams in their shares, where policy lets requests wait.

        Returns:
            What gives the place back, None where none was taken.
        """
        policy, gate = exchange.policy, self._gates.get(upstream)
        if gate is None or policy is None or policy.queue is None:
            return None
        until = min(patience.deadline, patience.loop.time() + policy.queue.max_wait_s)
        place = AsyncExitStack()
        try:
            waited = await place.enter_async_context(gate.slot(policy.team, policy.weight, 1, until))
        except NotAdmittedError as error:
            message = f"The upstream '{upstream}' takes no more requests at the moment, and waiting did not help."
            raise UpstreamOverloadedError(message) from error
        if waited.position:
            exchange.waited = waited
        return place.aclose


def _observe(mirror: Mirror, name: str, headers: Headers) -> None:
    mirror.learn(name, headers, time.monotonic())


def _judge(watch: Call, error: BaseException) -> None:
    """Tell a model's health of a call that brought no answer."""
    if not isinstance(error, UpstreamError):
        watch.abandon()  # the caller left, the caller's deadline passed, or a fault of ours
        return
    fault = fault_of(error)
    if fault is None:
        watch.refuse()
    else:
        watch.fail(fault, retry_after_s(error))


async def _end(watch: Call, exchange: Exchange, stream: StreamReply) -> None:
    """Tell a model's health how a stream ended: one that broke off has failed, though its first byte came."""
    fault = fault_of(exchange.error) if exchange.error is not None else None
    if fault is not None:
        watch.fail(fault)
    elif stream.is_ended:
        watch.succeed(0.0)
    else:
        watch.abandon()


def _forwarded(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers.items() if name in FORWARDED]
