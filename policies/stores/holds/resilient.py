"""Holds that outlive the loss of Redis: by each meter's rule a call is refused, or held in this replica's share.

What holds for a meter of `share` with a cap c and n replicas that all know of each other: in any window Redis grants at
most c, and each replica on its own at most max(1, c // n). So at most c is granted in a window that no outage touches,
and never more than 2 c (c + n where c < n). Between the two stands what replicas do not know of each other: one that
shares starts from its part of what it last saw used (`Shares`), and pays what it granted to Redis before it asks Redis
again (`Debts`), so that where all saw the same and all have paid the sum stays within c. A meter of `deny` never passes
its cap.

Lost are: what a process consumed in its share and had not paid when it ended; settlements beyond the connection's
backlog; and whatever a Redis that comes back empty had counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError, StateLostError
from policies.meters import Demand, Meter, Standing
from policies.stores.debts import Debts
from policies.stores.holds.base import Expired, Granted, OnExpiry, Refused, Settled
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.holds.redis import RedisHoldStore
from policies.stores.replicas import Replicas
from policies.stores.shares import Shares

log = logging.getLogger("tierway")

_UNKNOWN_HOLD: Final = "This request's hold cannot be changed at the moment. Please try again."


class ResilientHoldStore:
    """Asks Redis, and while that is lost decides by `Meter.lost`.

    A Redis that answers later than its connection waits is lost too. Holds made in this replica's share stay here until
    they end, even when Redis is back; new ones go to Redis as soon as it answers.

    Args:
        primary: the holds on Redis; closed with this.
        replicas: how many share; on the same connection.
        debts: what Redis is to be told of; on the same connection.
        clock: seconds since the epoch.
        on_expiry: what becomes of a hold whose lease ended; as `primary` has it.

    Attributes:
        outages: how often Redis was lost, as far as a call noticed.
        local_grants: holds made in this replica's share.
        refused: calls refused because a meter of theirs may not go on without Redis.
    """

    def __init__(
        self,
        primary: RedisHoldStore,
        replicas: Replicas,
        debts: Debts,
        clock: Callable[[], float],
        on_expiry: OnExpiry = "charge",
    ) -> None:
        self._primary, self._debts, self._clock = primary, debts, clock
        self._local = MemoryHoldStore(clock, on_expiry)
        self._shares = Shares(replicas, self._local, clock)
        self._leased: dict[str, tuple[Sequence[Meter], float]] = {}
        self._shared: dict[str, tuple[Sequence[Meter], float]] = {}
        self._paying: asyncio.Task[None] | None = None
        self._is_lost = False
        self.outages = self.local_grants = self.refused = 0

    @property
    def is_degraded(self) -> bool:
        """Tell whether Redis is lost at the moment."""
        return self._primary.failures > 0 and not self._primary.is_available

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        text = "the shared state is lost: limits refuse, or go on with this replica's share, as lost_state says"
        return text if self.is_degraded else ""

    @property
    def owed(self) -> int:
        """Return how many meters on Redis lack something that was consumed without it."""
        return len(self._debts)

    @property
    def local(self) -> int:
        """Return how many open holds were made in this replica's share."""
        return len(self._local)

    async def reserve(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], *, lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`.

        Raises:
            StateLostError: Redis is lost, and a meter may not go on without it.
        """
        if hold_id in self._local:
            return self._local.reserve_now(hold_id, self._local.meters_of(hold_id), demands, lease_s)
        if self._debts:
            await self._pay()
        try:
            answer = await self._primary.reserve(hold_id, meters, demands, lease_s=lease_s)
        except StageUnavailableError as error:
            self._note_loss(error)
            return self._reserve_share(hold_id, meters, demands, lease_s)
        self._note_answer(answer)
        if isinstance(answer, Granted):
            self._leased[hold_id] = meters, self._clock() + lease_s
        return answer

    async def exchange(
        self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`.

        While Redis is lost, a hold that was made there moves into this replica's share if its meters allow.

        Raises:
            StateLostError: Redis is lost, and a meter may not go on without it; the hold is as it was.
        """
        if hold_id in self._local:
            return self._exchange_share(hold_id, demand, meters)
        try:
            answer = await self._primary.exchange(hold_id, demand, meters=meters)
        except StageUnavailableError as error:
            self._note_loss(error)
            return await self._move(hold_id, demand, meters)
        if answer is not None:
            self._note_answer(answer)
        if isinstance(answer, Granted) and meters is not None and hold_id in self._leased:
            self._leased[hold_id] = meters, self._leased[hold_id][1]
        return answer

    async def settle(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`. It never raises."""
        if hold_id in self._local:
            self._debts.owe(*self._shared.pop(hold_id), actual)
            return self._local.settle_now(hold_id, actual)
        self._leased.pop(hold_id, None)
        return await self._primary.settle(hold_id, actual)

    async def release(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`. It never raises."""
        if hold_id in self._local:
            del self._shared[hold_id]
            return self._local.release_now(hold_id)
        self._leased.pop(hold_id, None)
        return await self._primary.release(hold_id)

    async def extend(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`. False also while Redis, which has it, is lost."""
        if hold_id in self._local:
            return self._local.extend_now(hold_id, lease_s)
        try:
            is_open = await self._primary.extend(hold_id, lease_s)
        except StageUnavailableError as error:
            self._note_loss(error)
            return False
        if is_open and hold_id in self._leased:
            self._leased[hold_id] = self._leased[hold_id][0], self._clock() + lease_s
        return is_open

    async def sweep(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over, and pay what is owed; see `HoldStore.sweep`.

        While Redis is lost, those that were made there wait.
        """
        now = self._clock() if now is None else now
        expired = self._sweep_share(now)
        for hold_id in [hold_id for hold_id, (_, until) in self._leased.items() if until <= now]:
            del self._leased[hold_id]
        await self._pay()
        with suppress(StageUnavailableError):
            expired += await self._primary.sweep(now)
        return expired

    async def standing(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`. While Redis is lost, how their shares do.

        Raises:
            StateLostError: Redis is lost, and a meter may not go on without it.
        """
        try:
            return await self._primary.standing(meters)
        except StageUnavailableError as error:
            self._note_loss(error)
            return self._local.standing_now(self._shares.of(meters))

    async def outstanding(self) -> int:
        """Return how many holds are open, here and on Redis.

        Raises:
            StageUnavailableError: Redis is lost.
        """
        return len(self._local) + await self._primary.outstanding()

    async def close(self) -> None:
        """Pay what is owed, send what waits, for two seconds at most, and disconnect."""
        await self._pay()
        await self._primary.close()

    def _note_loss(self, error: StageUnavailableError) -> None:
        """Begin an outage, unless Redis is there and would not carry out this one call."""
        if self._primary.is_available:
            raise error
        if not self._is_lost:
            self._is_lost = True
            self.outages += 1
            self._shares.begin()
            log.warning("Redis is lost: limits and budgets go by their rule for that until it is back")

    def _note_answer(self, answer: Granted | Refused) -> None:
        if self._is_lost:
            self._is_lost = False
            log.warning("Redis is back")
        self._shares.note(answer)

    def _reserve_share(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], lease_s: float
    ) -> Granted | Refused:
        if hold_id in self._leased:  # made on Redis, which alone knows what was granted
            raise StateLostError(_UNKNOWN_HOLD)
        shares = self._share_of(meters)
        answer = self._local.reserve_now(hold_id, shares, demands, lease_s)
        if isinstance(answer, Refused):
            return _hopeful(answer, meters, demands)
        self._shared[hold_id] = meters, self._clock()
        self.local_grants += 1
        return answer

    def _exchange_share(self, hold_id: str, demand: Demand, meters: Sequence[Meter] | None) -> Granted | Refused | None:
        before, at = self._shared[hold_id]
        shares = None if meters is None else self._share_of(meters)
        answer = self._local.exchange_now(hold_id, demand, shares)
        if isinstance(answer, Refused):
            return _hopeful(answer, meters or before, (demand,))
        self._shared[hold_id] = meters or before, at
        return answer

    async def _move(self, hold_id: str, demand: Demand, meters: Sequence[Meter] | None) -> Granted | Refused:
        """Hold another ceiling in this replica's share, and give back what is held on Redis."""
        if hold_id not in self._leased:
            raise StateLostError(_UNKNOWN_HOLD)
        before, lease_until = self._leased.pop(hold_id)
        lease_s = lease_until - self._clock()
        try:
            answer = self._reserve_share(hold_id, before if meters is None else meters, (demand,), lease_s)
        except StateLostError:
            self._leased[hold_id] = before, lease_until
            raise
        if isinstance(answer, Refused):
            self._leased[hold_id] = before, lease_until
        else:
            await self._primary.release(hold_id)
        return answer

    def _share_of(self, meters: Sequence[Meter]) -> tuple[Meter, ...]:
        try:
            return self._shares.of(meters)
        except StateLostError:
            self.refused += 1
            raise

    def _sweep_share(self, now: float) -> list[Expired]:
        expired = self._local.sweep_now(now)
        for one in expired:
            meters, at = self._shared.pop(one.hold_id)
            if one.charged:
                self._debts.owe(meters, at, one.demand)
        self._debts.forget_expired()
        return expired

    async def _pay(self) -> None:
        """Tell Redis what was consumed without it; whoever comes meanwhile waits for the same payment."""
        if not self._debts or not self._primary.is_available:
            return
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._try_to_pay())
        await asyncio.wait((self._paying,))  # unlike `await`, does not cancel it with its caller

    async def _try_to_pay(self) -> None:
        with suppress(StageUnavailableError):
            await self._debts.pay()


def _hopeful(refused: Refused, meters: Sequence[Meter], demands: Sequence[Demand]) -> Refused:
    """Advise to ask again where only the share is too small: Redis may be back then."""
    if refused.retry_after_s is not None:
        return refused
    if not any(all(demand.of(meter.unit) <= meter.cap for meter in meters) for demand in demands):
        return refused
    return msgspec.structs.replace(refused, retry_after_s=StateLostError.retry_after_s)
