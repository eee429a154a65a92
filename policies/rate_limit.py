"""How much of the gateway may be in use at once."""

from __future__ import annotations

from typing import Final

from gateway.domain.caller import Caller
from gateway.domain.errors import RateLimitedError
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage
from policies.settings import Limits

RETRY_AFTER_S: Final = 1.0
"""What a refused caller is told to wait: places free up as answers end, and most take longer than this."""


class ConcurrencyLimit:
    """Counts requests in flight in this process and refuses one too many.

    Args:
        limits: `concurrency` is the bound, None for no bound.
    """

    def __init__(self, limits: Limits) -> None:
        self._bound = limits.concurrency
        self.in_flight = 0

    def update(self, limits: Limits) -> None:
        """Follow new settings; requests in flight stay counted."""
        self._bound = limits.concurrency

    async def reserve(self, caller: Caller, request: ModelRequest | None) -> _Place:  # noqa: ARG002  the seam's signature
        """Take a place; see `Limiter.reserve`."""
        if self._bound is not None and self.in_flight >= self._bound:
            message = f"The organisation's limit of {self._bound} requests at once is reached."
            raise RateLimitedError(message, retry_after_s=RETRY_AFTER_S)
        self.in_flight += 1
        return _Place(self)


class _Place:
    """One request in flight."""

    __slots__ = ("_limit",)

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self._limit: ConcurrencyLimit | None = limit

    def settle(self, usage: Usage, cost_microusd: int) -> None:  # noqa: ARG002  the seam's signature
        """Give the place back; how much was consumed does not matter to this limit."""
        self.release()

    def release(self) -> None:
        """Give the place back, once."""
        if self._limit is not None:
            self._limit.in_flight -= 1
            self._limit = None
