"""What an experiment may spend in a day."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from gateway.domain.errors import DeadlineExceededError, ShuttingDownError, UpstreamTimeoutError
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest
from gateway.upstreams.base import PlainReply

Ask = Callable[[ModelRequest, str], Awaitable[tuple[PlainReply, int | None]]]
"""Asks a model of the settings and returns its plain answer in the shape of the request, with what it cost in
micro-dollars, None where its price is not known. It raises what upstreams raise."""

Ceiling = Callable[[ModelRequest, str], int]
"""Returns the most micro-dollars that a request to a model of the settings can cost."""

DAY_S: Final = 86_400.0

_MAYBE_BILLED: Final = (
    asyncio.CancelledError, TimeoutError, DeadlineExceededError, ShuttingDownError, UpstreamTimeoutError,
)  # fmt: skip
"""Ends of a call after which the upstream may have read the prompt, and bills it."""


class OverAllowanceError(Exception):
    """A call could cost more than is left of the day's allowance."""


class Allowance:
    """Micro-dollars for each day (UTC), counted in this process.

    Spent and held together never exceed the allowance, as long as no call costs more than its ceiling.

    Args:
        usd_per_day: US dollars, > 0.
        clock: seconds since the epoch.
    """

    def __init__(self, usd_per_day: float, clock: Callable[[], float]) -> None:
        self.microusd_per_day = round(usd_per_day * PER_MILLION)
        self._clock = clock
        self._day = self._today()
        self._spent = 0
        self._held = 0

    @property
    def spent_microusd(self) -> int:
        """What was spent today."""
        self._turn()
        return self._spent

    @property
    def held_microusd(self) -> int:
        """What calls under way may still cost."""
        return self._held

    def hold(self, microusd: int) -> bool:
        """Take an amount, 0 or more, out of what is left; False where it is more than that."""
        self._turn()
        if self._spent + self._held + microusd > self.microusd_per_day:
            return False
        self._held += microusd
        return True

    def settle(self, held: int, spent: int) -> None:
        """Give back what was held and count what was spent, on the day the call ends."""
        self._turn()
        self._held -= held
        self._spent += spent

    def _turn(self) -> None:
        today = self._today()
        if today != self._day:
            self._day, self._spent = today, 0

    def _today(self) -> int:
        return int(self._clock() // DAY_S)


class AllowedCall(msgspec.Struct, frozen=True):
    """An answer.

    Attributes:
        cost_microusd: what it cost, None where that is not known.
        charged_microusd: what the allowance was charged: its cost, or else its ceiling.
    """

    reply: PlainReply
    cost_microusd: int | None
    charged_microusd: int


class AllowedAsk:
    """Asks models within an allowance.

    Args:
        ask: asks them.
        ceiling: what a call can cost at most.
        allowance: what there is.
        patience_s: seconds that a call may take, > 0.
    """

    def __init__(self, ask: Ask, ceiling: Ceiling, allowance: Allowance, patience_s: float) -> None:
        self._ask, self._ceiling, self._allowance, self._patience_s = ask, ceiling, allowance, patience_s

    async def __call__(self, request: ModelRequest, model: str) -> AllowedCall:
        """Ask a model.

        Raises:
            OverAllowanceError: too little is left; nobody was asked.
            TimeoutError: it took too long.
            Exception: whatever asking raises.
        """
        ceiling = self._ceiling(request, model)
        if not self._allowance.hold(ceiling):
            raise OverAllowanceError
        spent = 0
        try:
            async with asyncio.timeout(self._patience_s):
                reply, cost = await self._ask(request, model)
            spent = ceiling if cost is None else cost
        except BaseException as error:
            spent = ceiling if isinstance(error, _MAYBE_BILLED) else 0
            raise
        finally:
            self._allowance.settle(ceiling, spent)
        return AllowedCall(reply, cost, spent)
