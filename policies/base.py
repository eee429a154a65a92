"""The seams of the policies: who asks, and what is held for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.tier import TierName
from gateway.domain.usage import Usage
from policies.effective import Policy
from policies.fair_queue import Waited
from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """What is to be held for a request.

    Attributes:
        hold_id: unique.
        policy: what holds for the caller.
        meters: what counts it; `PolicyBook.meters` knows them.
        demands: the most it may consume at each tier that may answer, best tier first.
        tiers: those tiers, None for a model that belongs to none.
        give_up_at: the caller's deadline, seconds of the loop's clock.
    """

    hold_id: str
    policy: Policy
    meters: tuple[Meter, ...]
    demands: Sequence[Demand]
    tiers: Sequence[TierName | None]
    give_up_at: float


class Authenticator(Protocol):
    """Tells who asks."""

    def identify(self, token: str | None, address: str) -> Caller:
        """Return the caller a token stands for.

        Raises:
            NotAuthenticatedError: the token is missing, unknown, revoked or expired.
            LoginThrottledError: too many unknown tokens came from this address.
        """


class Hold(Protocol):
    """Capacity reserved for one request. After `settle` or `release` nothing is held, and both do nothing more.

    Attributes:
        granted: how the limits stand with it; None where the caller has none.
        index: which of the demands is held; the request must not go to a better tier.
        is_degraded: whether a soft threshold, and not the demands, kept it from a better tier.
        under_reserved: by how much the settled cost was above what was held, in micro-dollars.
        waited: how it waited for a limit.
        is_shared: whether the limits were counted as they should be; False while the state that counts them is lost.
    """

    @property
    def granted(self) -> Granted | None:
        """Return how the limits stand with this hold, None where the caller has none."""

    @property
    def demand(self) -> Demand:
        """Return what is held."""

    index: int
    is_degraded: bool
    under_reserved: int
    waited: Waited
    is_shared: bool

    async def cover(self, demand: Demand) -> None:
        """Hold as much as `demand` where less is held: the call goes to another model than was foreseen.

        Raises:
            RateLimitedError, BudgetExhaustedError: it does not fit; the hold is as it was.
        """

    async def settle(self, usage: Usage, cost_microusd: int) -> None:
        """Replace the upper bound that was reserved by what was consumed."""

    async def release(self) -> None:
        """Give everything back: nothing was consumed, not even a request."""


class Limiter(Protocol):
    """Reserves capacity before anything is spent."""

    async def reserve(self, wanted: Reservation) -> Hold:
        """Reserve what a request may consume at most, on every level of its caller at once.

        Raises:
            RateLimitedError: a limit is reached and waiting helps.
            BudgetExhaustedError: a budget has less left than the request may cost.
            StageUnavailableError: nobody can tell.
        """
