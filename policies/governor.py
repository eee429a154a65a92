"""Holds requests to the organisation's limits and budgets: the one place that reserves, settles and gives back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError, StageUnavailableError
from gateway.domain.tier import TIERS, TierName
from gateway.domain.usage import Usage
from policies.base import Reservation
from policies.effective import Policy, degrades
from policies.fair_queue import AT_ONCE, Waited
from policies.meters import MAX_PER_CALL, NOTHING, Demand, Meter, Standing
from policies.refusals import refusal
from policies.stores.holds.base import Expired, Granted, HoldStore, Refused
from policies.waiting import WaitingRoom

log = logging.getLogger("tierway")

TEND_S: Final = 1.0
"""Seconds between looks at leases that end."""


class FreeHold:
    """What a caller without any limit holds."""

    __slots__ = ()
    granted: Granted | None = None
    demand = NOTHING
    index = 0
    is_degraded = False
    under_reserved = 0
    waited = AT_ONCE
    is_shared = True

    async def cover(self, demand: Demand) -> None:
        """Nothing to hold; see `Hold.cover`."""

    async def settle(self, usage: Usage, cost_microusd: int) -> None:
        """Nothing to charge; see `Hold.settle`."""

    async def release(self) -> None:
        """Nothing to give back; see `Hold.release`."""


FREE: Final = FreeHold()


class StoredHold:
    """What a request holds in the store; see `Hold`."""

    __slots__ = (
        "_governor", "_is_open", "demand", "granted", "hold_id", "index", "is_degraded", "is_shared", "lease_ends",
        "meters", "policy", "under_reserved", "waited",
    )  # fmt: skip

    def __init__(
        self, governor: Governor, hold_id: str, policy: Policy, meters: tuple[Meter, ...], demand: Demand
    ) -> None:
        self._governor = governor
        self._is_open = True
        self.hold_id = hold_id
        self.policy, self.meters, self.demand = policy, meters, demand
        self.granted: Granted | None = None
        self.index = 0
        self.is_degraded = False
        self.under_reserved = 0
        self.waited = AT_ONCE
        self.is_shared = True
        self.lease_ends = 0.0

    async def cover(self, demand: Demand) -> None:
        """Hold as much as `demand` where less is held; see `Hold.cover`."""
        if self._is_open and demand.beyond(self.demand) is not NOTHING:
            await self._governor.exchange(self, demand)

    async def settle(self, usage: Usage, cost_microusd: int) -> None:
        """Replace the upper bound by what was consumed; see `Hold.settle`."""
        if self._is_open:
            self._is_open = False
            await self._governor.settle(self, usage, cost_microusd)

    async def release(self) -> None:
        """Give everything back; see `Hold.release`."""
        if self._is_open:
            self._is_open = False
            await self._governor.release(self)


class Governor:
    """Reserves and settles in a store of holds, for every version of the settings.

    Args:
        store: counts; closed by whoever opened it.

    Attributes:
        refused: requests refused, by level and unit of the limit.
        under_reserved: answers that cost more than was held, and by how many micro-dollars in all.
        expired: holds whose lease ended, and how many micro-dollars were charged for them.
        degraded: requests whose tier a soft threshold capped.
        waiting: requests that wait for a limit, and how many did.
    """

    def __init__(self, store: HoldStore) -> None:
        self.store = store
        self.waiting = WaitingRoom()
        self._open: dict[str, StoredHold] = {}
        self.refused: dict[tuple[str, str], int] = {}
        self.under_reserved = self.under_reserved_microusd = 0
        self.expired = self.expired_microusd = 0
        self.degraded = 0

    @property
    def in_flight(self) -> int:
        """How many holds of this process are open."""
        return len(self._open)

    def held_microusd(self) -> dict[str, int]:
        """Return how many micro-dollars the requests of this process hold, by the key of each budget."""
        held: dict[str, int] = {}
        for hold in self._open.values():
            for meter in hold.meters:
                if meter.unit == "microusd":
                    held[meter.key] = held.get(meter.key, 0) + hold.demand.microusd
        return held

    async def reserve(self, wanted: Reservation) -> StoredHold | FreeHold:
        """Reserve what a request may consume at most; see `Limiter.reserve`."""
        hold_id, policy, meters, demands = wanted.hold_id, wanted.policy, wanted.meters, wanted.demands
        if not meters:
            return FREE
        lease_s = policy.holds.lease_s
        waited = AT_ONCE
        if policy.queue is None:
            answer = await self.store.reserve(hold_id, meters, demands, lease_s=lease_s)
        else:
            attempt = partial(self.store.reserve, hold_id, meters, demands, lease_s=lease_s)
            answer, waited = await self.waiting.reserve(policy, meters, attempt, wanted.give_up_at)
        if isinstance(answer, Refused):
            raise self._refusal(answer, policy, demands, waited)
        hold = StoredHold(self, hold_id, policy, meters, demands[answer.tier_index])
        hold.granted, hold.waited = answer, waited
        hold.is_shared = not self.store.complaint
        hold.index = answer.tier_index
        hold.lease_ends = asyncio.get_running_loop().time() + lease_s
        self._open[hold_id] = hold
        if answer.past_soft and policy.degrading:
            try:
                await self._degrade(hold, demands, wanted.tiers)
            except BaseException:  # also when the caller leaves: nobody else knows of the hold
                await hold.release()
                raise
        return hold

    async def exchange(self, hold: StoredHold, demand: Demand) -> None:
        """Hold another amount; see `Hold.cover`."""
        answer = await self.store.exchange(hold.hold_id, demand)
        if isinstance(answer, Refused):
            raise self._refusal(answer, hold.policy, (demand,))
        hold.demand = demand
        if answer is not None:
            hold.granted = answer

    async def settle(self, hold: StoredHold, usage: Usage, cost_microusd: int) -> None:
        """Charge what was consumed. It counts as one request, whatever came of it."""
        self._open.pop(hold.hold_id, None)
        prompt_tokens, completion_tokens = usage.prompt_tokens, usage.completion_tokens
        if prompt_tokens + completion_tokens + cost_microusd <= MAX_PER_CALL:
            actual = Demand(1, prompt_tokens, completion_tokens, cost_microusd)
        else:  # as some provider has it
            actual = Demand.measured(1, prompt_tokens, completion_tokens, cost_microusd)
        beyond = actual.beyond(hold.demand)
        try:
            beyond = (await self.store.settle(hold.hold_id, actual)).under_reserved
        finally:  # also when the caller leaves: the store settles all the same
            self.waiting.poke(hold.meters)
            if beyond is not NOTHING and beyond.microusd and hold.policy.counts_money:
                hold.under_reserved = beyond.microusd
                self.under_reserved += 1
                self.under_reserved_microusd += hold.under_reserved

    async def release(self, hold: StoredHold) -> None:
        """Give back what was held."""
        self._open.pop(hold.hold_id, None)
        try:
            await self.store.release(hold.hold_id)
        finally:
            self.waiting.poke(hold.meters)

    async def tend(self) -> list[Expired]:
        """Renew the leases of requests that are still answered, and end those that nobody renews.

        Returns:
            The holds that ended: their processes were killed, or could not reach the store.
        """
        now = asyncio.get_running_loop().time()
        for hold in list(self._open.values()):
            lease_s = hold.policy.holds.lease_s
            if hold.lease_ends - now < lease_s / 2 and await self.store.extend(hold.hold_id, lease_s):
                hold.lease_ends = now + lease_s
        expired = await self.store.sweep()
        self.expired += len(expired)
        self.expired_microusd += sum(one.demand.microusd for one in expired if one.charged)
        return expired

    async def run(self, note: Callable[[Expired], Awaitable[None]]) -> None:
        """Tend the leases once a second, for ever.

        Args:
            note: is told of each hold that ended by itself.
        """
        while True:
            await asyncio.sleep(TEND_S)
            try:
                await asyncio.gather(*map(note, await self.tend()))
            except StageUnavailableError:  # the store is lost, which it tells of itself; leases end later
                continue
            except Exception:
                log.exception("leases could not be tended")

    async def _degrade(self, hold: StoredHold, demands: Sequence[Demand], tiers: Sequence[TierName | None]) -> None:
        """Hold no more than the tier that soft thresholds leave."""
        assert hold.granted is not None  # noqa: S101  the caller has just set it
        best = min((_best_tier(standing, hold) for standing in hold.granted.past_soft), default=len(TIERS) - 1)
        allowed = (i for i in range(hold.index, len(tiers)) if (tier := tiers[i]) is None or TIERS.index(tier) <= best)
        index = next(allowed, len(tiers) - 1)
        if index != hold.index:
            await self.exchange(hold, demands[index])
            hold.index, hold.is_degraded = index, True
            self.degraded += 1

    def _refusal(
        self, refused: Refused, policy: Policy, demands: Sequence[Demand], waited: Waited = AT_ONCE
    ) -> RateLimitedError | BudgetExhaustedError:
        meter = refused.meter
        counted = meter.key.partition(":")[0].partition("|")[0], meter.unit
        self.refused[counted] = self.refused.get(counted, 0) + 1
        held = 0
        if meter.unit == "microusd":
            held = self._held(meter)
            if refused.used - held + min(demand.microusd for demand in demands) > refused.cap:
                held = 0
        error = refusal(refused, held, budget_status=policy.budget_status)
        error.waited = waited
        return error

    def _held(self, meter: Meter) -> int:
        """Return how many micro-dollars of a meter the requests of this process hold."""
        return sum(
            hold.demand.microusd for hold in self._open.values() if any(meter.key == other.key for other in hold.meters)
        )


def _best_tier(standing: Standing, hold: StoredHold) -> int:
    """Return the best tier that a meter past its soft threshold leaves, as an index of `TIERS`."""
    meter = standing.meter
    before = standing.used - hold.demand.microusd
    if meter.soft is None or before < meter.soft or not degrades(hold.policy, meter):
        return len(TIERS) - 1
    return 1 if 2 * before < meter.soft + meter.cap else 0
