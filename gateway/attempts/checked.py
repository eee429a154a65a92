"""Answers that must have a form: checked, asked for once more, and then asked of another model."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from gateway.attempts.attempts import Attempts
from gateway.domain.errors import GatewayError
from gateway.domain.request import ModelRequest
from gateway.exchange import Exchange
from gateway.outputs.compiled import Unchecked
from gateway.outputs.expectation import Expectation, Fault, expected_output
from gateway.outputs.repair import repair_request
from gateway.outputs.schemas import Schemas
from gateway.upstreams.base import PlainReply, Reply
from router.learned import Learned
from router.settings import OutputSettings

_AT_ONCE_BYTES: Final = 16 * 1024
"""Answers up to this size are checked on the loop, which takes 0.1 ms; larger ones in a thread."""


class CheckedAnswers:
    """Answers requests, and holds plain answers to the form that was asked for.

    An answer that does not have it and cannot be had otherwise is given all the same, and marked: it is what the
    caller would have got without a gateway.

    Args:
        attempts: asks models.
        learned: counts what becomes of answers.
        settings: how far to go.
    """

    def __init__(self, attempts: Attempts, learned: Learned, settings: OutputSettings) -> None:
        self._attempts, self._learned, self._settings = attempts, learned, settings
        self._schemas = Schemas()

    async def answer(self, exchange: Exchange, request: ModelRequest) -> Reply:
        """Return an answer. Raises what `Attempts.answer` does."""
        reply = await self._attempts.answer(exchange, request)
        if not self._settings.check or not isinstance(reply, PlainReply):
            return reply
        wanted = expected_output(request, self._schemas)
        return reply if wanted is None else await self._checked(exchange, request, reply, wanted)

    async def _checked(
        self, exchange: Exchange, request: ModelRequest, reply: PlainReply, wanted: Expectation
    ) -> PlainReply:
        fault = await self._fault(reply, request, wanted)
        if fault is None:
            return reply
        unwrapped = wanted.unwrapped(reply.body, request.shape)
        if unwrapped is not None:
            return self._marked(exchange, msgspec.structs.replace(reply, body=unwrapped), "unwrapped")
        first = exchange.routed_model
        if self._settings.repairs:
            again = repair_request(request, reply.body, fault)
            better = await self._better(exchange, again, reply, first)
            if better is not None:
                reply, fault = better, await self._fault(better, request, wanted)
                if fault is None:
                    return self._marked(exchange, reply, "repaired")
        other = await self._better(exchange, request, reply, "", without=first)
        if other is not None:
            reply, fault = other, await self._fault(other, request, wanted)
            if fault is None:
                return self._marked(exchange, reply, "fallback")
        return self._marked(exchange, reply, "invalid")

    async def _fault(self, reply: PlainReply, request: ModelRequest, wanted: Expectation) -> Fault | None:
        if len(reply.body) <= _AT_ONCE_BYTES:
            found = wanted.check(reply.body, request.shape)
        else:
            found = await asyncio.to_thread(wanted.check, reply.body, request.shape)
        if isinstance(found, Unchecked):
            self._learned.note(f"output_{found.why}")
            return None
        if found is not None:
            self._learned.note(f"output_without_{found.kind}")
        return found

    async def _better(
        self, exchange: Exchange, request: ModelRequest, before: PlainReply, name: str, *, without: str = ""
    ) -> PlainReply | None:
        """Return another answer in place of one, which is paid for all the same; None where there is none.

        Args:
            exchange: of the request.
            request: what to ask.
            before: the answer there is.
            name: the model to ask; any but `without` where it is empty.
            without: the model not to ask.
        """
        known = exchange.routed_model, exchange.upstream, exchange.decision, exchange.degraded
        try:
            if name:
                reply = await self._attempts.ask(exchange, request, name)
            else:
                reply = await self._attempts.answer(exchange, request, without)
        except GatewayError:
            exchange.routed_model, exchange.upstream, exchange.decision, exchange.degraded = known
            return None
        assert isinstance(reply, PlainReply)  # noqa: S101  what is asked for is plain
        exchange.spend_aside(known[0], before.usage)
        return reply

    def _marked(self, exchange: Exchange, reply: PlainReply, word: str) -> PlainReply:
        self._learned.note(f"output_{word}")
        exchange.degrade(b"output=" + word.encode())
        return reply
