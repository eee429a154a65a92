"""Equal requests of several replicas that share one call."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.flights.base import Errand, Flown, Outcome
from gateway.flights.leases import Lease, Leases
from gateway.flights.local import Flights
from gateway.upstreams.base import Reply

FIRST_PAUSE_S: Final = 0.01
"""Before it is looked again whether another replica has an answer; the pauses grow by half."""

LONGEST_PAUSE_S: Final = 0.25
"""Between two looks: a quarter of a second in an answer that took some, for four commands a second."""


class SharedFlights:
    """Lets equal requests of all replicas share one call.

    Those of one process share as in `Flights`. Its leader takes a lease on Redis first; where another replica has it,
    it waits until the answer is found where that replica puts it, or the lease ends, which it then takes over. Streams
    are found when they are whole. Without Redis every replica makes its own call.

    Args:
        local: shares within this process.
        leases: tells which replica makes the call.

    Attributes:
        fetched: calls that were not made here because another replica has answered.
        unavailable: how often Redis could not be asked.
    """

    def __init__(self, local: Flights, leases: Leases) -> None:
        self.local, self.leases = local, leases
        self.fetched = self.unavailable = 0

    async def fly(self, key: bytes, errand: Errand) -> Flown:
        """Answer a request; see `SingleFlight.fly`. Its errand must tell where answers are found."""
        trip = _Trip(self, key, errand)
        flown = await self.local.fly(key, msgspec.structs.replace(errand, call=trip.call, landed=trip.landed))
        return Flown(flown.reply, is_shared=True) if trip.is_fetched else flown

    async def close(self) -> None:
        """Let go of the leases; those that are held end by themselves."""
        await self.leases.close()


class _Trip:
    """One process's part in a call that replicas share."""

    __slots__ = ("_errand", "_flights", "_is_begun", "_key", "_lease", "is_fetched")

    def __init__(self, flights: SharedFlights, key: bytes, errand: Errand) -> None:
        self._flights, self._key, self._errand = flights, key, errand
        self._lease: Lease | None = None
        self._is_begun = self.is_fetched = False

    async def call(self) -> Reply:
        """Fetch the answer of another replica, or make the call."""
        reply = await self._fetch()
        if reply is None:
            self._is_begun = True
            return await self._errand.call()
        self.is_fetched = True
        self._flights.fetched += 1
        return reply

    async def landed(self, outcome: Outcome) -> None:
        """Put the answer where others find it, and let go of the lease."""
        is_whole = not isinstance(outcome, BaseException)
        try:
            if self._errand.landed is not None and self._is_begun:
                await self._errand.landed(outcome)
        finally:
            self._release(has_landed=is_whole)

    async def _fetch(self) -> Reply | None:
        """Wait for another replica's answer; None when the call is to be made here."""
        try:
            lease = self._lease = await self._flights.leases.take(self._key)
            if lease is None:
                lease = self._lease = await self._wait()
            elif not lease.has_landed:
                return None
        except StageUnavailableError:
            self._flights.unavailable += 1
            return None
        return None if lease is None else await self._look_up()

    async def _wait(self) -> Lease | None:
        """Wait until the lease ends, and take it; None when that takes too long."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        until = loop.time() + min(self._flights.local.settings.elsewhere_s, (self._errand.deadline - loop.time()) / 2)
        while loop.time() < until:
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.0))  # noqa: S311  spreads replicas, guards nothing
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
            lease = await self._flights.leases.take(self._key)
            if lease is not None:
                return lease
        return None

    async def _look_up(self) -> Reply | None:
        return None if self._errand.look_up is None else await self._errand.look_up()

    def _release(self, *, has_landed: bool) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            self._flights.leases.release(lease, has_landed=has_landed)
