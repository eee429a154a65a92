"""Waiting instead of being refused: a bounded queue for one contended thing, in fair shares of its tenants.

`FairQueue` is for whatever can be tried again, such as a reservation that a limit refuses; `SlotGate` is for a counted
number of places, such as the calls an upstream takes at once. Both are for the tasks of one event loop. Whoever waits
tries for itself, in its own task: while nobody waits there is no task and no timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from policies.fair_order import LEAST_WEIGHT, MOST_WEIGHT, FairOrder, Ticket
from policies.stores.holds.base import Refused

SHORTEST_PAUSE_S: Final = 0.001
"""Between a refusal and the next try at least: the stores count in whole milliseconds."""

MEMORY: Final = 16
"""From how many of the last admissions, about, the expected wait is taken: more than one, as capacity may come back in
bursts, a window's bucket at a time, and few, as it should follow what happens now."""


class Occupied(msgspec.Struct, frozen=True):
    """An attempt did not succeed, and nobody knows when another may: it is made when somebody pokes."""


OCCUPIED: Final = Occupied()

Granted = TypeVar("Granted")


class Waited(msgspec.Struct, frozen=True):
    """How somebody waited.

    Attributes:
        position: when joining, how many would be served until its turn has come, itself included, as the weights have
            it; 0 for whoever did not have to wait.
        expected_wait_s: when joining, seconds; None where too little was known.
        waited_s: seconds in the queue.
    """

    position: int
    expected_wait_s: float | None
    waited_s: float = 0.0


AT_ONCE: Final = Waited(0, 0.0)
"""Nobody was in the way."""


class NotAdmittedError(Exception):
    """Waiting came to nothing.

    Attributes:
        waited: how long, and the position when joining, or which it would have been.
    """

    def __init__(self, message: str, waited: Waited) -> None:
        super().__init__(message)
        self.waited = waited


class QueueFullError(NotAdmittedError):
    """Every place was taken, or a tenant with fewer places took this one."""


class WaitedTooLongError(NotAdmittedError):
    """The moment to give up came, or would come before the turn."""


class _Waiter(Ticket):
    """One who waits.

    Attributes:
        turn: set when it should try, or look why it is woken.
        is_displaced: it lost its place.
    """

    __slots__ = ("is_displaced", "turn")

    def __init__(self, cost: int) -> None:
        super().__init__(cost)
        self.turn = asyncio.Event()
        self.is_displaced = False

    async def woken(self, within_s: float | None) -> None:
        """Wait for the turn, or until a pause in seconds is over."""
        timer = None if within_s is None else asyncio.get_running_loop().call_later(within_s, self.turn.set)
        try:
            await self.turn.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self.turn.clear()


class _Pace:
    """The seconds between one admission and the next while somebody waits, as an exponentially weighted mean.

    What was learned before the queue was last empty counts as one admission, so that an old truth fades quickly.
    """

    __slots__ = ("_seen", "_since", "interval_s")

    def __init__(self) -> None:
        self.interval_s: float | None = None
        self._seen = 0
        self._since = 0.0

    def start(self, now: float) -> None:
        """Somebody waits where nobody did."""
        self._since, self._seen = now, min(self._seen, 1)

    def count(self, now: float) -> None:
        """Somebody was admitted."""
        before = self.interval_s or 0.0
        self._seen = min(self._seen + 1, MEMORY)
        self.interval_s = before + (now - self._since - before) / self._seen
        self._since = now


class FairQueue:
    """Lets those who were refused wait for one contended thing, and try again one at a time.

    Only who is next by `FairOrder` tries: at once when it becomes the next, then at each `poke` and when the
    `retry_after_s` of its last refusal has passed. Nobody overtakes it, so whoever comes newly has to join while
    `is_contended`. Who leaves, for whatever reason, passes the turn on.

    Args:
        max_length: how many may wait, >= 0; may be changed at any time and holds for who comes then.
        key: of the meter that is waited for. A refusal by another meter ends the wait, as nobody here should be held
            up by it. None where every refusal is waited for.

    Attributes:
        admitted: how many got through after waiting.
        gave_up: how many waited in vain until their moment to give up.
        refused_full: how many were refused, or displaced, because all places were taken.
        refused_late: how many were refused because they would have waited too long.
        waited_s: seconds that were waited in all, whatever came of it.
        last_refused: the last refusal that made somebody wait, for those who are told why before they have tried.
    """

    def __init__(self, max_length: int, *, key: str | None = None) -> None:
        self.max_length, self.key = max_length, key
        self.admitted = self.gave_up = self.refused_full = self.refused_late = 0
        self.waited_s = 0.0
        self.last_refused: Refused | None = None
        self._order: FairOrder[_Waiter] = FairOrder()
        self._next: _Waiter | None = None
        self._pace = _Pace()

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._order)

    @property
    def is_contended(self) -> bool:
        """Tell whether somebody waits, so that a newcomer has to join."""
        return bool(self._order)

    def poke(self) -> None:
        """Let the next one try: something was given back. It tries in its own task, not here, and once for many pokes.

        Call it in the loop's thread.
        """
        if self._next is not None:
            self._next.turn.set()

    async def wait(
        self,
        tenant: str,
        weight: float,
        cost: int,
        attempt: Callable[[], Awaitable[Granted | Refused | Occupied]],
        give_up_at: float,
    ) -> tuple[Granted | Refused, Waited]:
        """Join and try whenever it is this one's turn.

        Args:
            tenant: who shares, such as a team.
            weight: the tenant's share, > 0; moved into `LEAST_WEIGHT` to `MOST_WEIGHT`.
            cost: what admission counts for in the shares, >= 1: one, or the tokens asked for.
            attempt: tries once. It is cancelled with the wait, and at `give_up_at`, and leaves nothing taken then.
            give_up_at: the moment to stop waiting, seconds of the loop's clock, finite.

        Returns:
            What `attempt` returned, and how long that took. A `Refused` is one that waiting here does not help: it says
            so (`retry_after_s` is None), or names another meter than `key`.

        Raises:
            QueueFullError: all places are taken, or a tenant with fewer places took this one.
            WaitedTooLongError: `give_up_at` came, or the expected wait is longer than until then.
            ValueError: the cost is out of range.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiter = _Waiter(cost)
        joined = self._join(waiter, tenant, min(max(weight, LEAST_WEIGHT), MOST_WEIGHT), give_up_at, began)
        limit = asyncio.timeout_at(give_up_at)
        try:
            async with limit:
                outcome = await self._try_in_turn(waiter, attempt)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the attempt's own
            self.gave_up += 1
            raise WaitedTooLongError("no turn came in time", _after(joined, loop.time() - began)) from error
        finally:
            self.waited_s += loop.time() - began
            self._leave(waiter)
        waited = _after(joined, loop.time() - began)
        if outcome is None:
            self.refused_full += 1
            raise QueueFullError("a tenant with fewer places took this one", waited)
        return outcome[0], waited

    def _join(self, waiter: _Waiter, tenant: str, weight: float, give_up_at: float, now: float) -> Waited:
        position = self._order.position(tenant, weight, waiter.cost)
        interval_s = self._pace.interval_s
        joined = Waited(position, None if interval_s is None else position * interval_s)
        # Where nobody waits somebody has to find out: what is known may be old.
        expected_s = joined.expected_wait_s if self._order else None
        if now + (expected_s or 0.0) >= give_up_at:
            self.refused_late += 1
            raise WaitedTooLongError("the turn would come too late", joined)
        if len(self._order) >= self.max_length:
            self._displace(tenant, weight, joined)
        self._order.push(waiter, tenant, weight)
        if self._next is None:
            self._pace.start(now)
            self._call_next()
        return joined

    def _displace(self, tenant: str, weight: float, joined: Waited) -> None:
        """Make room for a newcomer, or refuse it."""
        displaced = self._order.displaceable(tenant, weight, self.max_length)
        if displaced is None or displaced is self._next:  # which may be trying at this moment
            self.refused_full += 1
            raise QueueFullError("all places are taken", joined)
        self._order.drop(displaced)
        displaced.is_displaced = True
        displaced.turn.set()

    async def _try_in_turn(
        self, waiter: _Waiter, attempt: Callable[[], Awaitable[Granted | Refused | Occupied]]
    ) -> tuple[Granted | Refused] | None:
        """Try until it is granted or need not be tried again; None when the place was lost."""
        pause_s: float | None = None
        while True:
            await waiter.woken(pause_s)
            if waiter.is_displaced:
                return None
            outcome = await attempt()
            if isinstance(outcome, Occupied):
                pause_s = None
            elif not isinstance(outcome, Refused):
                self._admit(waiter)
                return (outcome,)
            elif outcome.retry_after_s is None or self.key not in {None, outcome.meter.key}:
                return (outcome,)
            else:
                self.last_refused = outcome
                pause_s = max(outcome.retry_after_s, SHORTEST_PAUSE_S)

    def _admit(self, waiter: _Waiter) -> None:
        self._order.take(waiter)
        self._pace.count(asyncio.get_running_loop().time())
        self.admitted += 1

    def _leave(self, waiter: _Waiter) -> None:
        self._order.drop(waiter)
        if self._next is waiter:
            self._call_next()

    def _call_next(self) -> None:
        self._next = self._order.first()
        if self._next is not None:
            self._next.turn.set()


class SlotGate:
    """Lets a number of callers through at once; others wait in a `FairQueue`.

    Args:
        slots: how many, >= 1.
        max_length: how many may wait, >= 0.

    Attributes:
        queue: those who wait.
        in_use: slots that are taken now.
    """

    def __init__(self, slots: int, max_length: int) -> None:
        self.queue = FairQueue(max_length)
        self.in_use = 0
        self._slots = slots

    @property
    def slots(self) -> int:
        """Return how many there are."""
        return self._slots

    def resize(self, slots: int) -> None:
        """Follow new settings; slots beyond a smaller number stay taken until they are given back."""
        self._slots = slots
        self.queue.poke()

    @asynccontextmanager
    async def slot(self, tenant: str, weight: float, cost: int, give_up_at: float) -> AsyncIterator[Waited]:
        """Take a slot, after a wait where there is none, and give it back at the end.

        Args:
            tenant, weight, cost, give_up_at: see `FairQueue.wait`.

        Raises:
            QueueFullError, WaitedTooLongError: no slot was taken; see `FairQueue.wait`.
        """
        if self.queue.is_contended or not self._take():
            _, waited = await self.queue.wait(tenant, weight, cost, self._try, give_up_at)
        else:
            waited = AT_ONCE
        try:
            yield waited
        finally:
            self.in_use -= 1
            self.queue.poke()

    async def _try(self) -> bool | Occupied:
        return self._take() or OCCUPIED

    def _take(self) -> bool:
        is_free = self.in_use < self._slots
        self.in_use += is_free
        return is_free


def _after(joined: Waited, waited_s: float) -> Waited:
    return msgspec.structs.replace(joined, waited_s=waited_s)
