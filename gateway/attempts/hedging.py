"""A second call beside one that is slow: the first byte wins, the other is cancelled, and both are charged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.admission import Admission
from gateway.attempts.asking import Answered, Asker
from gateway.domain.errors import BudgetExhaustedError, RateLimitedError, UpstreamTimeoutError
from gateway.domain.request import ModelRequest
from gateway.domain.responses import ResponsesRequest
from gateway.exchange import Exchange
from gateway.upstreams.transport import Patience
from router.learned import Learned
from router.settings import HedgeSettings

_QUANTILE: Final = 0.95

_Task = asyncio.Task[Answered]


class Hedger:
    """Attempts slow calls twice, as far as its allowance goes.

    Args:
        asker: makes the calls.
        admission: holds enough for both.
        learned: how long answers take to begin, and the share of requests that may be attempted twice.
        settings: when.
    """

    def __init__(self, *, asker: Asker, admission: Admission, learned: Learned, settings: HedgeSettings) -> None:
        self._asker, self._admission, self._settings = asker, admission, settings
        self._learned, self._health, self._allowance = learned, learned.health, learned.hedges

    async def ask(self, exchange: Exchange, request: ModelRequest, name: str, others: Sequence[str]) -> Answered:
        """Ask a model, and another one beside it once the first has been silent for longer than it usually is.

        Raises:
            GatewayError: neither has answered; what the first one met.
        """
        self._allowance.earn()
        other = next((one for one in others if self._health.admits(one, exchange.caller_id)), None)
        after_s = self._health.quantile(name, _QUANTILE)
        if other is None or after_s is None or (isinstance(request, ResponsesRequest) and request.is_stored):
            return await self._asker.ask(exchange, request, name, exchange.patience)
        race = _Race(exchange)
        try:
            race.start(self._asker, request, name)
            is_slow = not await race.has_ended(max(after_s, self._settings.least_s))
            if is_slow and await self._may_start(exchange, request, (name, other)):
                self._learned.note("hedge")
                race.start(self._asker, request, other)
            winner = await race.winner()
        except BaseException:
            await race.abandon(self._asker, request, None)
            raise
        await race.abandon(self._asker, request, winner)
        answered = winner.result()
        if answered.name == other:
            self._learned.note("hedge_won")
        return answered

    async def _may_start(self, exchange: Exchange, request: ModelRequest, names: tuple[str, str]) -> bool:
        """Tell whether a second call fits: the allowance, what is held for the caller, and what is left of its time."""
        if exchange.patience.is_over() or not self._allowance.take():
            return False
        try:
            await self._admission.cover(exchange, request, *names)
        except (RateLimitedError, BudgetExhaustedError):
            return False
        return True


class _Race:
    """Calls for one request that run beside each other, each in a task with a patience of its own."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._calls: dict[_Task, tuple[str, Patience]] = {}

    def start(self, asker: Asker, request: ModelRequest, name: str) -> None:
        """Start a call."""

        async def call() -> Answered:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  a coroutine runs in one
            patience = self._exchange.patience.fork(task)
            self._calls[task] = name, patience
            return await asker.ask(self._exchange, request, name, patience)

        self._calls[asyncio.create_task(call())] = name, self._exchange.patience

    async def has_ended(self, within_s: float) -> bool:
        """Wait for the first call to end, and tell whether it has."""
        done, _ = await asyncio.wait(self._calls, timeout=within_s)
        return bool(done)

    async def winner(self) -> _Task:
        """Return the first call that has brought an answer; the request goes on with its patience.

        Raises:
            GatewayError: none has; what the call that was started first met.
        """
        pending: set[_Task] = set(self._calls)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in self._calls:
                if task in done and not task.cancelled() and task.exception() is None:
                    self._take_over(task)
                    return task
        first = next(iter(self._calls))
        self._exchange.routed_model = self._calls[first][0]
        return first

    async def abandon(self, asker: Asker, request: ModelRequest, winner: _Task | None) -> None:
        """End all calls but one, and note what they have used.

        Args:
            asker: estimates that.
            request: what was asked.
            winner: the call that goes on. None where the caller has left: the call that was started first is then
                charged as any that is abandoned.
        """
        losers = [task for task in self._calls if task is not winner]
        for task in losers:
            task.cancel()
        if losers:
            await asyncio.wait(losers)
        for task in losers:
            name, patience = self._calls[task]
            patience.end()
            failure = None if task.cancelled() else task.exception()
            if not task.cancelled() and failure is None:
                await task.result().close()
            was_reading = failure is None or isinstance(failure, UpstreamTimeoutError)
            if was_reading and (winner is not None or task is not losers[0]):
                self._exchange.spend_aside(name, asker.estimate(request, name))

    def _take_over(self, task: _Task) -> None:
        main = asyncio.current_task()
        assert main is not None  # noqa: S101
        _, patience = self._calls[task]
        self._exchange.patience.end()
        patience.hand_to(main)
        self._exchange.patience = patience
