"""The order of calls: each candidate, those that may be asked again, then the next tier, while there is time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import stamina.instrumentation

from gateway.admission import Admission
from gateway.attempts.asking import Answered, Asker
from gateway.attempts.hedging import Hedger
from gateway.attempts.verdicts import is_filtered, is_too_long, may_ask_again, may_ask_another
from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    InvalidRequestError,
    RateLimitedError,
    UpstreamError,
    UpstreamsRestingError,
    UpstreamTimeoutError,
)
from gateway.domain.request import ModelRequest
from gateway.exchange import Exchange
from gateway.upstreams.base import Reply
from router.base import Option
from router.health.allowance import Allowance
from router.health.deployments import Health
from router.health.faults import retry_after_s
from router.learned import Learned
from router.settings import RouterSettings

FIRST_SHARE: Final = 25 / 40
"""The part of what is left of a deadline that a call may take while another candidate could follow. A call of 25 s and
then one of 15 s is a common pair; under a deadline of 30 s it needs 40. The same pair in proportion always fits."""

LONGEST_WAIT_S: Final = 20.0
"""Seconds that a provider may ask to be left alone for and still be waited for; OpenAI's clients wait up to 120, but
they have nobody else to ask."""

FIRST_WAIT_S: Final = 0.25
"""Seconds before a first retry, and as much again by chance; each further wait is twice as long."""

FALLBACK: Final = "fallback"
"""The reason of a decision for another tier than was chosen, as none of its models could answer."""


def keep_retries_quiet() -> None:
    """Turn off the hooks of stamina: they log the words of exceptions, and count in a registry nobody reads."""
    stamina.instrumentation.set_on_retry_hooks(())


class Attempts:
    """Asks models until one answers.

    Args:
        asker: makes the calls.
        admission: holds enough for each further call.
        learned: who may be asked, and how often.
        hedger: attempts slow calls twice, None where they are not.
        windows: context windows in tokens, of the models whose window is known.
        settings: how often, and what else may be done.
    """

    def __init__(
        self,
        *,
        asker: Asker,
        admission: Admission,
        learned: Learned,
        hedger: Hedger | None,
        windows: Mapping[str, int],
        settings: RouterSettings,
    ) -> None:
        self._asker, self._admission = asker, admission
        self._learned, self._health, self._mirror = learned, learned.health, learned.mirror
        self._hedger, self._windows, self._settings = hedger, windows, settings

    async def answer(self, exchange: Exchange, request: ModelRequest, without: str = "") -> Reply:
        """Return the first answer.

        Args:
            exchange: of the request; its decision is known.
            request: in the form it is sent in.
            without: a model that is not asked.

        Raises:
            UpstreamError: no candidate could answer; what the last one said.
            UpstreamsRestingError: none may be asked now.
            GatewayError: whatever else ended it.
        """
        decision = exchange.decision
        assert decision is not None  # noqa: S101  stage 5 came before
        if not exchange.attempts:
            self._learned.retries.earn()
        options = (Option(decision.tier, decision.candidates), *decision.spare)
        names = [name for option in options for name in option.candidates if name != without]
        came = await self._ask_tiers(exchange, request, options, without)
        if came is None and self._health.hasten(names, exchange.caller_id):
            came = await self._ask_tiers(exchange, request, options, without)
        if came is None or isinstance(came, GatewayError):
            raise came or self._resting(exchange, names)
        return came

    async def _ask_tiers(
        self, exchange: Exchange, request: ModelRequest, options: Sequence[Option], without: str
    ) -> Reply | GatewayError | None:
        """Return an answer, the last failure, or None where nobody may be asked."""
        failure: GatewayError | None = None
        for option in options:
            came = await self._ask_tier(exchange, request, option, failure, without)
            if came is not None and not isinstance(came, GatewayError):
                return came
            failure = came or failure
        return failure

    async def _ask_tier(
        self, exchange: Exchange, request: ModelRequest, option: Option, failure: GatewayError | None, without: str
    ) -> Reply | GatewayError | None:
        """Ask the candidates of a tier, and once more those that may be asked again.

        Args:
            exchange: of the request.
            request: in the form it is sent in.
            option: the tier.
            failure: what came of the tiers before, None for the first one.
            without: a model that is not asked.

        Returns:
            An answer, the last failure, or None where nobody may be asked.
        """
        is_spare = failure is not None
        failed: dict[str, GatewayError] = {}
        waiting = await self._in_order(exchange, request, option.candidates, without)
        while waiting:
            name = waiting.pop(0)
            if failure is not None and not self._may_help(name, exchange.routed_model, failure):
                continue
            self._move_to(exchange, option)
            try:
                return await self._attempt(exchange, request, name, waiting)
            except (RateLimitedError, BudgetExhaustedError):
                if is_spare and failure is not None:
                    raise failure from None  # what failed is the answer, not that the next tier is too dear
                raise
            except (UpstreamError, InvalidRequestError) as error:
                failure = failed[name] = error
                if not self._may_go_on(exchange, error):
                    raise
        return await self._ask_again(exchange, request, failed) or failure

    async def ask(self, exchange: Exchange, request: ModelRequest, name: str) -> Reply:
        """Ask a model that has answered a request for another answer to it; held is enough for both."""
        return await self._attempt(exchange, request, name, (), (name, name))

    async def _in_order(
        self, exchange: Exchange, request: ModelRequest, candidates: Sequence[str], without: str
    ) -> list[str]:
        """Return who may be asked, the quick and those whose provider has room first; wait where none has."""
        who, longest_s = exchange.caller_id, exchange.wishes.max_first_byte_s
        names = [name for name in candidates if name != without and self._health.admits(name, who)]
        if longest_s is not None:
            names.sort(key=lambda name: self._health.latency_s(name) > longest_s)
        if not names or not self._mirror.is_known:
            return names
        tokens = len(request.body) // 4
        delays = {name: self._mirror.delay_s(name, tokens) for name in names}
        names.sort(key=lambda name: delays[name] > 0)
        delay_s = min(delays.values())
        if delay_s > 0 and self._settings.pacing_s:
            self._learned.note("paced")
            await asyncio.sleep(min(delay_s, self._settings.pacing_s, exchange.patience.remaining_s * FIRST_SHARE))
            names.sort(key=delays.__getitem__)
        return names

    async def _attempt(
        self,
        exchange: Exchange,
        request: ModelRequest,
        name: str,
        others: Sequence[str],
        paid: tuple[str, ...] = (),
    ) -> Reply:
        """Ask one model, within its part of the deadline.

        Args:
            exchange: of the request.
            request: in the form it is sent in.
            name: of the model.
            others: who may be asked after it, or beside it.
            paid: the models whose answers are paid for in the end; only this one where empty.
        """
        if exchange.attempts:
            await self._admission.cover(exchange, request, *(paid or (name,)))
        exchange.routed_model = name
        exchange.attempts += 1
        patience = exchange.patience
        patience.first_byte_s = patience.remaining_s * FIRST_SHARE if others else float("inf")
        patience.total_s = float("inf") if request.stream else patience.first_byte_s
        asked_at = time.perf_counter()
        try:
            if self._hedger is None:
                answered = await self._asker.ask(exchange, request, name, patience)
            else:
                answered = await self._hedger.ask(exchange, request, name, others)
        except UpstreamTimeoutError:
            exchange.spend_aside(name, self._asker.estimate(request, name))  # it was left reading the prompt
            raise
        finally:
            exchange.upstream_s += time.perf_counter() - asked_at
        return self._adopt(exchange, answered)

    def _adopt(self, exchange: Exchange, answered: Answered) -> Reply:
        """Make an answer the request's own."""
        for closer in reversed(answered.closers):
            exchange.on_close(closer)
        exchange.routed_model, exchange.upstream = answered.name, answered.upstream
        decision = exchange.decision
        if decision is not None and answered.name != decision.candidates[0]:
            self._learned.note("fallback")
            exchange.degrade(b"fallback")
        return answered.reply

    def _may_go_on(self, exchange: Exchange, error: GatewayError) -> bool:
        """Tell whether other models may be asked."""
        if exchange.patience.is_over():
            return False
        settings = self._settings
        return (
            may_ask_another(error)
            or (settings.on_context_overflow == "larger" and is_too_long(error))
            or (settings.on_content_filter == "next" and is_filtered(error))
        )

    def _may_help(self, name: str, failed: str, failure: GatewayError) -> bool:
        """Tell whether a model may answer what another one did not: a prompt too long for it needs a larger window."""
        if not is_too_long(failure):
            return True
        window, least = self._windows.get(name), self._windows.get(failed)
        return window is None or least is None or window > least

    def _move_to(self, exchange: Exchange, option: Option) -> None:
        """Note that a request goes to the next tier."""
        assert exchange.decision is not None  # noqa: S101
        if exchange.decision.tier != option.tier:
            self._learned.note("escalation")
            exchange.decision = msgspec.structs.replace(exchange.decision, tier=option.tier, reason=FALLBACK)

    async def _ask_again(
        self, exchange: Exchange, request: ModelRequest, failed: dict[str, GatewayError]
    ) -> Reply | GatewayError | None:
        """Ask models that have failed once more, after a wait, as far as the retry budget goes.

        Returns:
            An answer, the last failure, or None where nobody was asked.
        """
        failed = {name: error for name, error in failed.items() if may_ask_again(error)}
        left = self._settings.retries.attempts - exchange.retries
        if not failed or left <= 0:
            return None
        rounds = _Rounds(self._health, self._learned.retries, exchange, failed, left)
        try:
            async for attempt in stamina.retry_context(
                rounds.wait_s,
                attempts=left + 1,
                timeout=exchange.patience.remaining_s,
                wait_initial=FIRST_WAIT_S,
                wait_max=LONGEST_WAIT_S,
                wait_jitter=FIRST_WAIT_S,
            ):
                with attempt:
                    if attempt.num == 1:
                        raise rounds.failure  # so that it waits before the first retry too
                    exchange.retries += 1
                    return await self._attempt(exchange, request, rounds.name, ())
        except (UpstreamError, InvalidRequestError) as error:
            return error
        return None

    def _resting(self, exchange: Exchange, names: Sequence[str]) -> UpstreamsRestingError:
        seconds = max(self._health.retry_in_s(names, exchange.caller_id), 0.001)
        message = f"Every model that could answer has been failing. One of them is tried again within {seconds:.1f} s."
        return UpstreamsRestingError(message, retry_after_s=seconds)


class _Rounds:
    """Picks who is asked again, and after how long.

    Args:
        health: says who may be.
        retries: the shared budget.
        exchange: of the request.
        failed: who has failed, and how.
        left: how many further calls there may be.
    """

    def __init__(
        self, health: Health, retries: Allowance, exchange: Exchange, failed: dict[str, GatewayError], left: int
    ) -> None:
        self._health, self._retries, self._exchange, self._failed = health, retries, exchange, failed
        self._left = left
        self.name, self.failure = next(reversed(failed.items()))

    def wait_s(self, error: Exception) -> float | bool:
        """Return how long to wait before the next call, True for as long as usual, False for no further call."""
        if not self._left or not isinstance(error, GatewayError) or not self._pick(error):
            return False
        asked_for = retry_after_s(self.failure)
        least = FIRST_WAIT_S if asked_for is None else asked_for
        if least > LONGEST_WAIT_S or least >= self._exchange.patience.remaining_s:
            return False
        if not self._retries.take():
            return False
        self._left -= 1
        return asked_for or True

    def _pick(self, error: GatewayError) -> bool:
        """Choose the model that asks for the shortest wait."""
        self._failed[self.name] = error
        who = self._exchange.caller_id
        able = [
            (retry_after_s(failure) or 0.0, name)
            for name, failure in self._failed.items()
            if may_ask_again(failure) and self._health.admits(name, who)
        ]
        if not able:
            return False
        _, self.name = min(able)
        self.failure = self._failed[self.name]
        return True
