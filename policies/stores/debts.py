"""What was consumed while Redis was lost, until Redis counts it too."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from gateway.redis.connection import RedisConnection, load_script, pack
from gateway.redis.slot import slot_key
from policies.meters import Demand, Meter
from policies.stores.holds.redis_plan import Moment, Plan
from policies.windows import milliseconds

MAX_METERS: Final = 20_000
"""Meters whose consumption is remembered, 6 KB each at worst (measured, CPython 3.11); what further ones consume is
counted as dropped."""

REMEMBERED_MS: Final = 86_400_000
"""How long Redis knows a payment again: one whose answer was lost is repeated as soon as Redis is back."""

_AT_ONCE: Final = 50
"""Meters of one payment, for which every other caller of Redis waits: 61 buckets each took 6 ms (measured, 7.0)."""

_LUA: Final = Path(__file__).parent / "lua"
_CHARGE: Final = load_script(_LUA / "counter.lua", _LUA / "charge.lua")
_encode: Final = msgspec.msgpack.encode


class _Debt:
    """What one meter is owed, by bucket, oldest first."""

    __slots__ = ("amounts", "meter")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.amounts: dict[int, int] = {}


class _Payment:
    """Debts on their way; sent again under the same name until Redis has answered."""

    __slots__ = ("debts", "name")

    def __init__(self, debts: Sequence[_Debt]) -> None:
        self.debts, self.name = tuple(debts), os.urandom(12).hex().encode()


class Debts:
    """Remembers consumption by meter and bucket, and adds it to the counters on Redis, each once.

    What a process has not paid when it ends is lost.

    Args:
        connection: that of the holds; not closed with this.
        organisation: whose meters.
        clock: seconds since the epoch.

    Attributes:
        dropped: consumptions of a meter that were forgotten because too many meters were owed.
    """

    def __init__(self, connection: RedisConnection, organisation: str, clock: Callable[[], float]) -> None:
        self._redis, self._clock = connection, clock
        self._redis.add_scripts((_CHARGE,))
        self._prefix = slot_key(organisation).encode()
        self._debts: dict[str, _Debt] = {}
        self._payment: _Payment | None = None
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many meters are owed something."""
        return len(self._debts) + (len(self._payment.debts) if self._payment else 0)

    def owe(self, meters: Sequence[Meter], at: float, consumed: Demand) -> None:
        """Remember what a call consumed.

        Args:
            meters: those it counts in.
            at: when it was reserved, seconds since the epoch; it counts in the bucket of that moment.
            consumed: how much.
        """
        at_ms, now_ms = milliseconds(at), milliseconds(self._clock())
        for meter in meters:
            window = meter.window
            amount = 0 if window is None else consumed.of(meter.unit)
            if window is None or not amount:
                continue
            debt = self._debt_of(meter)
            if debt is None:
                self.dropped += 1
                continue
            bucket = window.bucket(at_ms)
            debt.amounts[bucket] = debt.amounts.get(bucket, 0) + amount
            _forget(debt, now_ms)

    async def pay(self) -> None:
        """Add to Redis what is owed.

        Several calls at once do no harm: each payment is remembered by Redis under its name.

        Raises:
            StageUnavailableError: Redis is lost; what it has not answered is still owed.
        """
        while self:
            if self._payment is None:
                keys = list(islice(self._debts, _AT_ONCE))
                self._payment = _Payment([self._debts.pop(key) for key in keys])
            payment = self._payment
            await self._redis.call(self._command(payment, milliseconds(self._clock())))
            if self._payment is payment:
                self._payment = None

    def forget_expired(self) -> None:
        """Forget what would count nowhere any more."""
        now_ms = milliseconds(self._clock())
        for key, debt in list(self._debts.items()):
            _forget(debt, now_ms)
            if not debt.amounts:
                del self._debts[key]

    def _debt_of(self, meter: Meter) -> _Debt | None:
        debt = self._debts.get(meter.key)
        if debt is None and len(self._debts) < MAX_METERS:
            debt = self._debts[meter.key] = _Debt(meter)
        return debt

    def _command(self, payment: _Payment, now_ms: int) -> bytes:
        plan = Plan(tuple(debt.meter for debt in payment.debts), self._prefix, _CHARGE, _CHARGE)
        keys = [self._prefix + b"meter:" + debt.meter.key.encode() for debt in payment.debts]
        moments = [Moment(debt.meter.window, now_ms) for debt in payment.debts]
        consumed = [[part for pair in debt.amounts.items() for part in pair] for debt in payment.debts]
        return pack(
            "EVALSHA",
            _CHARGE.sha,
            1 + len(keys),
            self._prefix + b"paid:" + payment.name,
            *keys,
            plan.blob,
            _encode([one for moment in moments for one in (moment.current, moment.ahead)]),
            _encode(consumed),
            REMEMBERED_MS,
        )


def _forget(debt: _Debt, now_ms: int) -> None:
    """Forget the oldest buckets of a debt as far as they have left the window."""
    window = debt.meter.window
    while debt.amounts and window is not None:
        oldest = next(iter(debt.amounts))
        expires_ms = window.expires_ms(oldest)
        if expires_ms is None or expires_ms > now_ms:
            return
        del debt.amounts[oldest]
