"""The seams of the policies: who asks, whether the prompt may pass, and what is held for it."""

from __future__ import annotations

from typing import Protocol

from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage


class Authenticator(Protocol):
    """Tells who asks."""

    def identify(self, token: str | None, address: str) -> Caller:
        """Return the caller a token stands for.

        Raises:
            NotAuthenticatedError: the token is missing, unknown, revoked or expired.
            LoginThrottledError: too many unknown tokens came from this address.
        """


class Sanitiser(Protocol):
    """Decides whether a prompt may pass."""

    def check(self, request: ModelRequest) -> None:
        """Let a request pass.

        Raises:
            PromptRejectedError: it may not.
        """


class Hold(Protocol):
    """Capacity reserved for one request. `settle` or `release` is called exactly once."""

    def settle(self, usage: Usage, cost_microusd: int) -> None:
        """Replace the upper bound that was reserved by what was consumed."""

    def release(self) -> None:
        """Give everything back: nothing was consumed."""


class Limiter(Protocol):
    """Reserves capacity before anything is spent."""

    async def reserve(self, caller: Caller, request: ModelRequest | None) -> Hold:
        """Reserve what the request may consume at most, on every level of the caller at once.

        Args:
            caller: who asks.
            request: what for; None for one that is passed on unread.

        Raises:
            RateLimitedError: a limit is reached and waiting helps.
        """
