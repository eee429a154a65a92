"""Holds on Redis: one book for all replicas, every verb one script, and settlements outlive a lost connection.

The moment of a verb is that of the store's own clock. A replica whose clock is late counts in the newest bucket that
any other has opened, so windows follow the earliest clock, and a skew of d seconds lets content leave at most d seconds
too early; leases likewise. Redis should keep everything (`maxmemory-policy noeviction`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key
from policies.meters import NOTHING, Demand, Meter, Standing
from policies.stores.holds.base import CONCURRENCY_RETRY_S, Expired, Granted, OnExpiry, Refused, Settled
from policies.stores.holds.redis_plan import Moment, Plan, bulk, head, read_plan
from policies.windows import TotalWindow, Window, milliseconds

MAX_PLANS: Final = 16_384
"""How many callers' meters are remembered encoded; beyond it all are forgotten and encoded again."""

UNDO_MS: Final = 60_000
"""How long an attempt to reserve that was taken back is refused if it still arrives, longer than sockets keep it."""

SWEPT_AT_ONCE: Final = 100
"""Holds looked at in one step of a sweep."""

UNLISTED_MS: Final = 10_000
"""After which a hold that ended is listed by another store: the one that ended it, which sweeps once a second, has not
swept again."""

_LUA: Final = Path(__file__).parent.parent / "lua"
_UNKNOWN: Final = Settled(NOTHING, was_known=False)
_FOR_EVER: Final = float("inf")
_OTHER_METERS: Final = -1
_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.decode


def _script(verb: str, *, counts: bool = True) -> Script:
    return load_script(*([_LUA / "counter.lua"] if counts else []), _LUA / f"{verb}.lua")


_RESERVE: Final = _script("reserve")
_EXCHANGE: Final = _script("exchange")
_SETTLE: Final = _script("settle")
_RELEASE: Final = _script("release")
_SWEEP: Final = _script("sweep")
_STANDING: Final = _script("standing")
_EXTEND: Final = _script("extend", counts=False)


class _Hold:
    """A hold this store made: its meters, what it holds, and when its lease ends."""

    __slots__ = ("demand", "lease_until", "plan")

    def __init__(self, plan: Plan, demand: Demand, lease_until: float) -> None:
        self.plan, self.demand, self.lease_until = plan, demand, lease_until


class RedisHoldStore:
    """Keeps holds and counters on a Redis that replicas share.

    When Redis is out of reach, `settle` and `release` wait in the connection's backlog and answer from what this store
    knows of its own holds; every other verb raises `StageUnavailableError` at once.

    Args:
        connection: closed with the store. For a cluster, its slot key must be that of the organisation.
        organisation: whose holds; see `slot_key`.
        clock: seconds since the epoch.
        on_expiry: what becomes of a hold whose lease ended.
    """

    def __init__(
        self,
        connection: RedisConnection,
        organisation: str,
        clock: Callable[[], float],
        on_expiry: OnExpiry = "charge",
    ) -> None:
        self._redis = connection
        self._redis.add_scripts((_RESERVE, _EXCHANGE, _SETTLE, _RELEASE, _SWEEP, _STANDING, _EXTEND))
        self._clock, self._on_expiry = clock, on_expiry
        self._prefix = slot_key(organisation).encode()
        self._leases, self._ended = self._prefix + b"leases", self._prefix + b"ended"
        self._listed: tuple[str, ...] = ()
        self._holds: dict[str, _Hold] = {}
        self._plans: dict[int, Plan] = {}
        self._moments: dict[Window | None, Moment] = {}
        self._longest_lease_s = 0.0
        self._attempts, self._name = count(), os.urandom(6).hex()

    @property
    def is_available(self) -> bool:
        """Tell whether Redis was in reach when it was last asked."""
        return self._redis.is_available

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        return "" if self._redis.is_available or not self._redis.failures else "Redis is lost"

    @property
    def failures(self) -> int:
        """Return how often the connection was lost or could not be made."""
        return self._redis.failures

    @property
    def queued(self) -> int:
        """Return how many settlements and releases wait for a connection."""
        return self._redis.queued

    @property
    def dropped(self) -> int:
        """Return how many of them were given up; those holds end with their lease."""
        return self._redis.dropped

    async def reserve(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], *, lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`.

        An attempt whose answer reaches nobody is taken back, even one that reaches Redis later.
        """
        if not demands:
            raise ValueError("a hold needs a demand")
        now, plan = self._clock(), self._plan(meters)
        token = f"{self._name}.{next(self._attempts)}"
        self._longest_lease_s = max(self._longest_lease_s, lease_s)
        call = _encode([hold_id, token, milliseconds(now + lease_s), milliseconds(lease_s), *map(_parts, demands)])
        packed = b"".join(
            (
                plan.reserve_head,
                bulk(self._hold_key(hold_id)),
                plan.reserve_body,
                plan.moment(milliseconds(now), self._moment),
                bulk(call),
                bulk(plan.digest),
            )
        )
        reply = await self._redis.call(packed, undo=partial(self._release_command, plan, hold_id, token))
        if isinstance(reply, list):
            before = plan if plan.blob == reply[1] else self._read_plan(reply[1])
            return _granted(before, _decode(reply[0]), now)
        answer = _decode(reply)
        if answer[0] != 1:
            return self._refused(plan, answer, demands, now)
        self._holds[hold_id] = _Hold(plan, demands[answer[1]], now + lease_s)
        return _granted(plan, answer, now)

    async def exchange(
        self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`."""
        now = self._clock()
        wanted = None if meters is None else self._plan(meters)
        before = await self._plan_of(hold_id)
        while before is not None:
            plan = wanted or before
            reply = _decode(await self._redis.call(self._exchange_command(hold_id, before, plan, demand, now)))
            if reply[0] == 1:
                known = self._holds.get(hold_id)
                self._holds[hold_id] = _Hold(plan, demand, known.lease_until if known else _FOR_EVER)
                return _granted(plan, reply, now)
            if reply[0] != -4:
                return None if reply[0] == -3 else self._refused(plan, reply, (demand,), now)
            before = await self._find_plan(hold_id)
        return None

    async def settle(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`. It never raises."""
        hold = self._holds.pop(hold_id, None)
        reply: Any = _OTHER_METERS
        if hold is not None:
            reply = await self._redis.keep(self._settle_command(hold.plan, hold_id, actual))
            if reply is None:
                return Settled(actual.beyond(hold.demand), was_known=True)
        if reply == _OTHER_METERS:
            reply = await self._keep_for_other(hold_id, lambda plan: self._settle_command(plan, hold_id, actual))
        if isinstance(reply, bytes):
            return Settled(actual.beyond(Demand(*_decode(reply))), was_known=True)
        return _UNKNOWN

    async def release(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`. It never raises."""
        hold = self._holds.pop(hold_id, None)
        reply: Any = _OTHER_METERS
        if hold is not None:
            reply = await self._redis.keep(self._release_command(hold.plan, hold_id))
            if reply is None:
                return True
        if reply == _OTHER_METERS:
            reply = await self._keep_for_other(hold_id, lambda plan: self._release_command(plan, hold_id))
        return bool(reply == 1)

    async def extend(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`."""
        until = self._clock() + lease_s
        self._longest_lease_s = max(self._longest_lease_s, lease_s)
        arguments = (hold_id.encode(), b"%d" % milliseconds(until), b"%d" % milliseconds(lease_s))
        keys = bulk(self._leases) + bulk(self._hold_key(hold_id))
        reply = await self._redis.call(head(_EXTEND, 2, 3) + keys + b"".join(map(bulk, arguments)))
        if reply == 1 and hold_id in self._holds:
            self._holds[hold_id].lease_until = until
        return bool(reply == 1)

    async def sweep(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over; see `HoldStore.sweep`.

        Meters that count nothing are forgotten by Redis itself. What ended is remembered there until the store that
        listed it sweeps again or closes; where its process is killed before, another store lists it.
        """
        now = self._clock() if now is None else now
        if self._listed:
            await self._redis.call(pack("HDEL", self._ended, *self._listed))
            self._listed = ()
        for hold_id in [hold_id for hold_id, hold in self._holds.items() if hold.lease_until <= now]:
            del self._holds[hold_id]
        # Beyond the longest lease only a clock that has jumped back or another replica's longer lease explains an end.
        late = pack("ZRANGEBYSCORE", self._leases, f"({milliseconds(now + self._longest_lease_s)}", "+inf")
        expired = await self._unlisted(now) + await self._end(await self._redis.call(late), now)
        over = pack("ZRANGEBYSCORE", self._leases, "-inf", milliseconds(now), "LIMIT", 0, SWEPT_AT_ONCE)
        while ids := await self._redis.call(over):
            expired += await self._end(ids, now)
            if len(ids) < SWEPT_AT_ONCE:
                break
        self._listed = tuple(one.hold_id for one in expired)
        return expired

    async def standing(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`."""
        now, plan = self._clock(), self._plan(meters)
        if not plan.meters:
            return ()
        moment = plan.moment(milliseconds(now), self._moment)
        reply = _decode(
            await self._redis.call(head(_STANDING, len(plan.meters), 2) + plan.keys + bulk(plan.blob) + moment)
        )
        _check_meters(plan, reply)
        pairs = zip(plan.rows, reply[::2], reply[1::2], strict=True)
        return tuple(row.standing(used, newest, now) for row, used, newest in pairs)

    async def outstanding(self) -> int:
        """Return how many holds are open."""
        return int(await self._redis.call(pack("ZCARD", self._leases)))

    async def close(self) -> None:
        """Send what waits, for two seconds at most, and disconnect."""
        if self._listed:
            _ = self._redis.keep(pack("HDEL", self._ended, *self._listed))
            self._listed = ()
        await self._redis.close()

    def _hold_key(self, hold_id: str) -> bytes:
        return self._prefix + b"hold:" + hold_id.encode()

    def _settle_command(self, plan: Plan, hold_id: str, actual: Demand) -> bytes:
        return b"".join(
            (
                plan.settle_head,
                bulk(self._hold_key(hold_id)),
                plan.keys,
                bulk(hold_id.encode()),
                bulk(plan.digest),
                bulk(_encode(_parts(actual))),
            )
        )

    def _release_command(self, plan: Plan, hold_id: str, token: str = "") -> bytes:
        return self._command(_RELEASE, plan, hold_id, token.encode(), b"%d" % UNDO_MS)

    def _sweep_command(self, plan: Plan, hold_id: str, *arguments: bytes) -> bytes:
        return self._command(_SWEEP, plan, hold_id, *arguments, last_key=bulk(self._ended))

    def _command(self, script: Script, plan: Plan, hold_id: str, *arguments: bytes, last_key: bytes = b"") -> bytes:
        keys = bulk(self._leases) + bulk(self._hold_key(hold_id)) + plan.keys + last_key
        shown = (hold_id.encode(), plan.digest, *arguments)
        count = 2 + len(plan.meters) + bool(last_key)
        return head(script, count, len(shown)) + keys + b"".join(map(bulk, shown))

    def _exchange_command(self, hold_id: str, before: Plan, plan: Plan, demand: Demand, now: float) -> bytes:
        places = {meter.key: place for place, meter in enumerate(before.meters, 1)}
        call = [len(before.meters), _parts(demand), *(places.get(meter.key, 0) for meter in plan.meters)]
        return b"".join(
            (
                head(_EXCHANGE, 1 + len(before.meters) + len(plan.meters), 5),
                bulk(self._hold_key(hold_id)),
                before.keys,
                plan.keys,
                bulk(plan.blob),
                plan.moment(milliseconds(now), self._moment),
                bulk(_encode(call)),
                bulk(before.digest),
                bulk(plan.digest),
            )
        )

    def _plan(self, meters: Sequence[Meter]) -> Plan:
        plan = self._plans.get(id(meters))
        if plan is not None:
            return plan
        kept = tuple(meters)
        plan = Plan(kept, self._prefix, _RESERVE, _SETTLE)
        if kept is meters:  # a list may change later under the same identity
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[id(meters)] = plan
        return plan

    def _moment(self, window: Window | None, at_ms: int) -> Moment:
        moment = self._moments.get(window)
        if moment is None or not moment.since_ms <= at_ms < moment.until_ms:
            moment = self._moments[window] = Moment(window, at_ms)
        return moment

    async def _plan_of(self, hold_id: str) -> Plan | None:
        hold = self._holds.get(hold_id)
        return await self._find_plan(hold_id) if hold is None else hold.plan

    async def _find_plan(self, hold_id: str) -> Plan | None:
        """Return the meters of a hold that another store made, None when it is not open."""
        blob = await self._redis.call(pack("HGET", self._hold_key(hold_id), "k"))
        return None if blob is None else self._read_plan(blob)

    def _read_plan(self, blob: bytes) -> Plan:
        return read_plan(blob, self._prefix, _RESERVE, _SETTLE)

    async def _keep_for_other(self, hold_id: str, command: Callable[[Plan], bytes]) -> Any:
        """Run a command on a hold that another store made or changed; 0 when it is not open or cannot be found."""
        try:
            while plan := await self._find_plan(hold_id):
                reply = await self._redis.keep(command(plan))
                if reply != _OTHER_METERS:
                    return reply
        except StageUnavailableError:
            return 0
        return 0

    async def _unlisted(self, now: float) -> list[Expired]:
        """Take over what ended in the sweep of a store that was gone before anybody could have written it down."""
        found = await self._redis.call(pack("HGETALL", self._ended))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        orphans = []
        for hold_id, packed in pairs:
            at_ms, charged, demand = _decode(packed)
            if at_ms <= milliseconds(now) - UNLISTED_MS:
                # Listed again should this process be killed now; two stores at once would write the same record twice.
                again = _encode([milliseconds(now), charged, demand])
                await self._redis.call(pack("HSET", self._ended, hold_id, again))
                orphans.append(Expired(hold_id.decode(), Demand(*demand), bool(charged)))
        return orphans

    async def _end(self, ids: list[bytes], now: float) -> list[Expired]:
        ended = await asyncio.gather(*(self._end_one(hold_id.decode(), now) for hold_id in ids))
        return [one for one in ended if one is not None]

    async def _end_one(self, hold_id: str, now: float) -> Expired | None:
        charges = self._on_expiry == "charge"
        reply: Any = _OTHER_METERS
        while reply == _OTHER_METERS:
            plan = await self._find_plan(hold_id) or self._plan(())
            rule = b"1" if charges else b"0"
            reply = await self._redis.call(self._sweep_command(plan, hold_id, b"%d" % milliseconds(now), rule))
        if not isinstance(reply, bytes):
            return None
        self._holds.pop(hold_id, None)
        return Expired(hold_id, Demand(*_decode(reply)), charges)

    @staticmethod
    def _refused(plan: Plan, answer: list[Any], demands: Sequence[Demand], now: float) -> Refused:
        """Choose what to name; see `Refused`."""
        if answer[0] == -1:
            raise StageUnavailableError("an attempt to reserve arrived after it was taken back")
        _check_meters(plan, answer)
        waits: dict[int, tuple[float, list[int]]] = {}
        for entry in answer[1:]:
            tier, place, _, bucket, _ = entry
            wait_s = _wait_s(plan, place - 1, demands[tier - 1], bucket, now)
            if tier not in waits or wait_s > waits[tier][0]:
                waits[tier] = wait_s, entry
        wait_s, (_, place, used, _, newest) = min(waits.values(), key=lambda block: block[0])
        row = plan.rows[place - 1]
        shown = None if wait_s == _FOR_EVER else wait_s
        return Refused(row.meter, used, row.meter.cap, shown, row.resets_at(used, newest, now))


def _parts(demand: Demand) -> tuple[int, int, int, int]:
    return (demand.requests, demand.input_tokens, demand.output_tokens, demand.microusd)


def _granted(plan: Plan, answer: list[int], now: float) -> Granted:
    rows = plan.rows
    best, used, newest = answer[2:5]
    tightest = rows[best - 1].standing(used, newest, now) if best else None
    named: list[Standing | None] = []
    for at in (5, 8, 11):
        place = answer[at]
        if place == best:
            named.append(tightest)
        else:
            named.append(rows[place - 1].standing(answer[at + 1], answer[at + 2], now) if place else None)
    requests, tokens, budget = named
    past = answer[14:]
    soft = (rows[past[at] - 1].standing(past[at + 1], past[at + 2], now) for at in range(0, len(past), 3))
    return Granted(answer[1], tightest, requests, tokens, budget, tuple(soft) if past else ())


def _wait_s(plan: Plan, place: int, demand: Demand, bucket: int, now: float) -> float:
    """Return the seconds until a demand that does not fit a meter would, infinity where waiting does not help."""
    meter = plan.meters[place]
    if meter.unit == "concurrency":
        return CONCURRENCY_RETRY_S if meter.cap else _FOR_EVER
    if demand.of(meter.unit) > meter.cap or isinstance(meter.window, TotalWindow):
        return _FOR_EVER
    expires_s = plan.rows[place].expires_s(bucket) if bucket >= 0 else now
    return max(0.0, (expires_s or now) - now)


def _check_meters(plan: Plan, answer: list[Any]) -> None:
    if answer[0] == -2:
        raise ValueError(f"meter {plan.meters[answer[1] - 1].key!r} had another unit or window before")
