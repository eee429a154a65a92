"""Holds in the memory of one process: the book every embedded gateway keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from policies.counters import Bucket, Counter
from policies.meters import NOTHING, TOKEN_UNITS, UNITS, Demand, Meter, Standing, Unit
from policies.stores.holds.base import (
    CONCURRENCY_RETRY_S,
    Expired,
    Granted,
    OnExpiry,
    Refused,
    Settled,
)
from policies.windows import Window, milliseconds

MAX_PLANS: Final = 16_384
"""How many callers' meters are remembered as looked up; beyond it all are forgotten and looked up again."""

SWEPT_COUNTERS: Final = 5_000
"""How many counters one sweep looks at, so that it takes milliseconds however many there are; the next goes on."""

_UNKNOWN: Final = Settled(NOTHING, was_known=False)
_AS_HELD: Final = Settled(NOTHING, was_known=True)
_GROUPS: Final = {unit: 1 if unit in TOKEN_UNITS else {"requests": 0, "microusd": 2}.get(unit, 3) for unit in UNITS}

_MOST: Final = 1 << 62
_FOR_EVER: Final = float("inf")
_GONE: Final = Bucket(0)
_GONE.is_live = False

_Amounts = tuple[int, int, int, int, int]
"""One number a unit, in the order of `UNITS`."""


class CounterState(msgspec.Struct, frozen=True, array_like=True):
    """A counter as a snapshot keeps it.

    Attributes:
        buckets: ids and amounts, oldest first.
    """

    key: str
    unit: Unit
    window: Window | None
    buckets: list[tuple[int, int]]


class HoldState(msgspec.Struct, frozen=True, array_like=True):
    """An open hold as a snapshot keeps it.

    Attributes:
        buckets: of each of its meters the number of the counter and the id of the bucket, None when that has left.
        lease_until, lease_s: seconds since the epoch, and seconds.
    """

    hold_id: str
    buckets: list[tuple[int, int | None]]
    demand: Demand
    tier_index: int
    lease_until: float
    lease_s: float


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """All a store knows at one moment; no later change shows in it."""

    counters: list[CounterState]
    holds: list[HoldState]


class _Row:
    """One meter of a plan, with the counter it stands for.

    Attributes:
        unit: the place of its amount in `_Amounts`.
        group: 0 requests, 1 tokens, 2 money, 3 concurrency.
    """

    __slots__ = ("cap", "counter", "group", "key", "meter", "soft", "unit")

    def __init__(self, meter: Meter, counter: Counter) -> None:
        self.meter, self.counter, self.key = meter, counter, meter.key
        self.unit, self.group = UNITS.index(meter.unit), _GROUPS[meter.unit]
        self.cap, self.soft = meter.cap, meter.soft

    def standing(self, now: float) -> Standing:
        """Return how the meter stands."""
        return Standing(self.meter, self.counter.total, self.cap, self.counter.resets_at(now))

    def refusal(self, wait_s: float | None, now: float) -> Refused:
        """Say that this meter is in the way."""
        return Refused(self.meter, self.counter.total, self.cap, wait_s, self.counter.resets_at(now))

    def fits(self, amount: int) -> bool:
        """Tell whether an amount may be added."""
        return not amount or self.counter.total + amount <= self.cap

    def wait_s(self, amount: int, now: float) -> float | None:
        """Return the seconds until an amount that does not fit would; None where waiting does not help."""
        if self.meter.unit == "concurrency":
            return CONCURRENCY_RETRY_S if self.cap else None
        return self.counter.wait_s(amount, self.cap, now)


class _Plan:
    """A caller's meters as looked up.

    Attributes:
        steps: of each row what the hot loops read: counter, place of the amount, cap.
        generation: of the store's counters when it was made.
    """

    __slots__ = ("generation", "has_soft", "meters", "rows", "steps")

    def __init__(self, meters: tuple[Meter, ...], counters: list[Counter], generation: int) -> None:
        self.meters, self.generation = meters, generation
        self.rows = [_Row(meter, counter) for meter, counter in zip(meters, counters, strict=True)]
        self.steps = [(row.counter, row.unit, row.cap) for row in self.rows]
        self.has_soft = any(row.soft is not None for row in self.rows)


class _Hold:
    """What one call holds: `amounts` in `buckets`, one for each row of `plan`."""

    __slots__ = ("amounts", "buckets", "demand", "granted", "lease_s", "lease_until", "plan", "tier_index")

    def __init__(self, plan: _Plan, buckets: list[Bucket], demand: Demand, amounts: _Amounts) -> None:
        self.plan, self.buckets, self.demand, self.amounts = plan, buckets, demand, amounts
        self.granted: Granted | None = None
        self.tier_index = 0
        self.lease_until = self.lease_s = 0.0

    def lease(self, now: float, lease_s: float) -> None:
        self.lease_until, self.lease_s = now + lease_s, lease_s


class MemoryHoldStore:
    """Keeps holds and counters for the life of the process. Not for several threads.

    Every verb has a plain form, named `..._now`, for callers that can do without awaiting.

    Args:
        clock: seconds since the epoch.
        on_expiry: what becomes of a hold whose lease ended.
    """

    def __init__(self, clock: Callable[[], float], on_expiry: OnExpiry = "charge") -> None:
        self._clock = clock
        self._on_expiry: OnExpiry = on_expiry
        self._counters: dict[str, Counter] = {}
        self._holds: dict[str, _Hold] = {}
        self._plans: dict[int, _Plan] = {}
        self._generation = 0
        self._unseen: list[Counter] = []

    @property
    def complaint(self) -> str:
        """Return nothing: what has no disk and no server cannot lose them."""
        return ""

    @property
    def size(self) -> int:
        """Return about how many buckets and holds a snapshot has."""
        return len(self._holds) + sum(len(counter.buckets) for counter in self._counters.values())

    def __len__(self) -> int:
        return len(self._holds)

    def __contains__(self, hold_id: str) -> bool:
        return hold_id in self._holds

    async def reserve(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], *, lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`."""
        return self.reserve_now(hold_id, meters, demands, lease_s)

    async def exchange(
        self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`."""
        return self.exchange_now(hold_id, demand, meters)

    async def settle(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`."""
        return self.settle_now(hold_id, actual)

    async def release(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`."""
        return self.release_now(hold_id)

    async def extend(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`."""
        return self.extend_now(hold_id, lease_s)

    async def sweep(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over; see `HoldStore.sweep`."""
        return self.sweep_now(now)

    async def standing(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`."""
        return self.standing_now(meters)

    async def outstanding(self) -> int:
        """Return how many holds are open."""
        return len(self._holds)

    async def close(self) -> None:
        """Nothing to let go of."""

    def reserve_now(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`."""
        now = self._clock()
        plan = self._plan(meters)
        known = self._holds.get(hold_id)
        at_ms = milliseconds(now)
        if known is not None:
            _advance(plan, at_ms)
            return known.granted or _grant(known, plan, known.tier_index, now)
        for tier_index, demand in enumerate(demands):
            amounts = (demand.requests, demand.input_tokens, demand.output_tokens, demand.microusd, 1)
            if _fit(plan, amounts, at_ms):
                hold = self._holds[hold_id] = _Hold(plan, _add(plan, amounts), demand, amounts)
                hold.lease(now, lease_s)
                return _grant(hold, plan, tier_index, now)
        if not demands:
            raise ValueError("a hold needs a demand")
        return _refusal(plan, demands, now)

    def exchange_now(
        self, hold_id: str, demand: Demand, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`."""
        now = self._clock()
        hold = self._holds.get(hold_id)
        if hold is None:
            return None
        plan = self._plan(hold.plan.meters if meters is None else meters)
        _advance(hold.plan, milliseconds(now))
        _advance(plan, milliseconds(now))
        before = dict(zip((meter.key for meter in hold.plan.meters), hold.buckets, strict=True))
        amounts = _amounts(demand)
        raised = [row for row in plan.rows if amounts[row.unit] > (hold.amounts[row.unit] if row.key in before else 0)]
        _add_to(hold, -1)
        blocked = [row for row in raised if not row.fits(amounts[row.unit])]
        if blocked:
            row, wait_s = _longest_wait(blocked, amounts, now)
            _add_to(hold, +1)
            return row.refusal(wait_s, now)
        hold.buckets = [_bucket_for(row, before.get(row.key), is_raised=row in raised) for row in plan.rows]
        hold.plan, hold.demand, hold.amounts = plan, demand, amounts
        _add_to(hold, +1)
        return _grant(hold, plan, 0, now)

    def settle_now(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`."""
        hold = self._holds.pop(hold_id, None)
        if hold is None:
            return _UNKNOWN
        _close(hold, actual)
        beyond = actual.beyond(hold.demand)
        return _AS_HELD if beyond is NOTHING else Settled(beyond, was_known=True)

    def release_now(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`."""
        hold = self._holds.pop(hold_id, None)
        if hold is None:
            return False
        _close(hold, NOTHING)
        return True

    def extend_now(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`."""
        hold = self._holds.get(hold_id)
        if hold is None:
            return False
        hold.lease(self._clock(), lease_s)
        return True

    def sweep_now(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over; see `HoldStore.sweep`."""
        now = self._clock() if now is None else now
        charges = self._on_expiry == "charge"
        ended = [hold_id for hold_id, hold in self._holds.items() if _is_over(hold, now)]
        expired = []
        for hold_id in ended:
            hold = self._holds.pop(hold_id)
            _close(hold, hold.demand if charges else NOTHING)
            expired.append(Expired(hold_id, hold.demand, charges))
        self._forget_empty(milliseconds(now))
        return expired

    def standing_now(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`."""
        now = self._clock()
        plan = self._plan(meters)
        _advance(plan, milliseconds(now))
        return tuple(row.standing(now) for row in plan.rows)

    def open_holds(self) -> tuple[str, ...]:
        """Return the ids of the open holds, oldest first."""
        return tuple(self._holds)

    def meters_of(self, hold_id: str) -> tuple[Meter, ...]:
        """Return the meters of an open hold."""
        return self._holds[hold_id].plan.meters

    def readmit(self, hold_id: str, meters: tuple[Meter, ...], demand: Demand, tier_index: int, lease_s: float) -> None:
        """Hold what was granted before, without judging it again."""
        now = self._clock()
        plan, amounts = self._plan(meters), _amounts(demand)
        _advance(plan, milliseconds(now))
        hold = self._holds[hold_id] = _Hold(plan, _add(plan, amounts), demand, amounts)
        hold.tier_index = tier_index
        hold.lease(now, lease_s)

    def forget_changed(self, meters: Sequence[Meter]) -> None:
        """Forget what was counted for keys that now mean another unit or window."""
        for meter in meters:
            counter = self._counters.get(meter.key)
            if counter is not None and (counter.unit != meter.unit or counter.window != meter.window):
                self._drop(counter)

    def snapshot(self) -> Snapshot:
        """Return all that is known, in about 0.1 us a bucket and 1 us a hold."""
        at_ms = milliseconds(self._clock())
        for counter in self._counters.values():
            if not counter.since_ms <= at_ms < counter.until_ms:
                counter.advance(at_ms)
        held = {counter.key: counter for hold in self._holds.values() for counter, _, _ in hold.plan.steps}
        counters = list((held | {key: one for key, one in self._counters.items() if one.buckets}).values())
        numbers = {counter.key: number for number, counter in enumerate(counters)}
        return Snapshot(
            [CounterState(one.key, one.unit, one.window, [(b.id, b.amount) for b in one.buckets]) for one in counters],
            [_state_of(hold_id, hold, numbers) for hold_id, hold in self._holds.items()],
        )

    def restore(self, pieces: Iterable[Snapshot]) -> None:
        """Take over what another store knew, piece by piece, counters before the holds on them; this one is new."""
        found: list[tuple[Counter, dict[int, Bucket]]] = []
        for piece in pieces:
            for state in piece.counters:
                counter = self._counters[state.key] = Counter(state.key, state.unit, state.window)
                found.append((counter, counter.put_back(state.buckets)))
            for hold in piece.holds:
                self._restore_hold(hold, found)

    def _restore_hold(self, state: HoldState, found: list[tuple[Counter, dict[int, Bucket]]]) -> None:
        # Caps are the policy's, not the store's: a hold that was made is not judged again.
        counters = [found[number][0] for number, _ in state.buckets]
        buckets = [_GONE if bucket_id is None else found[number][1][bucket_id] for number, bucket_id in state.buckets]
        meters = tuple(Meter(counter.key, "", counter.unit, 0, counter.window) for counter in counters)
        plan = _Plan(meters, counters, self._generation)
        hold = self._holds[state.hold_id] = _Hold(plan, buckets, state.demand, _amounts(state.demand))
        hold.tier_index, hold.lease_until, hold.lease_s = state.tier_index, state.lease_until, state.lease_s

    def _plan(self, meters: Sequence[Meter]) -> _Plan:
        plan = self._plans.get(id(meters))
        if plan is not None:
            if plan.generation == self._generation:
                return plan
            if not any(counter.is_dropped for counter, _, _ in plan.steps):
                plan.generation = self._generation
                return plan
        return self._make_plan(meters)

    def _make_plan(self, meters: Sequence[Meter]) -> _Plan:
        kept = tuple(meters)
        if len({meter.key for meter in kept}) != len(kept):
            raise ValueError("a key stands twice among the meters")
        plan = _Plan(kept, [self._counter(meter) for meter in kept], self._generation)
        if kept is meters:  # a list may change later under the same identity
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[id(meters)] = plan
        return plan

    def _counter(self, meter: Meter) -> Counter:
        counter = self._counters.get(meter.key)
        if counter is None:
            counter = self._counters[meter.key] = Counter(meter.key, meter.unit, meter.window)
        elif counter.unit != meter.unit or counter.window != meter.window:
            raise ValueError(f"meter {meter.key!r} had another unit or window before")
        return counter

    def _forget_empty(self, at_ms: int) -> None:
        if not self._unseen:
            self._unseen = list(self._counters.values())
        looked_at, self._unseen = self._unseen[-SWEPT_COUNTERS:], self._unseen[:-SWEPT_COUNTERS]
        for counter in looked_at:
            if not counter.since_ms <= at_ms < counter.until_ms:
                counter.advance(at_ms)
        empty = [counter for counter in looked_at if not counter.total and not counter.is_dropped]
        # A call may yet be charged in a bucket that holds nothing of it.
        held = {bucket for hold in self._holds.values() for bucket in hold.buckets} if empty else set()
        for counter in empty:
            if held.isdisjoint(counter.buckets):
                self._drop(counter)

    def _drop(self, counter: Counter) -> None:
        counter.is_dropped = True
        del self._counters[counter.key]
        self._generation += 1


def _amounts(demand: Demand) -> _Amounts:
    return (demand.requests, demand.input_tokens, demand.output_tokens, demand.microusd, 1)


def _advance(plan: _Plan, at_ms: int) -> None:
    for counter, _, _ in plan.steps:
        if not counter.since_ms <= at_ms < counter.until_ms:
            counter.advance(at_ms)


def _fit(plan: _Plan, amounts: _Amounts, at_ms: int) -> bool:
    """Tell whether every meter takes its amount; all counters up to the one that does not are advanced."""
    for counter, unit, cap in plan.steps:
        if not counter.since_ms <= at_ms < counter.until_ms:
            counter.advance(at_ms)
        amount = amounts[unit]
        if counter.total + amount > cap and amount:
            return False
    return True


def _add(plan: _Plan, amounts: _Amounts) -> list[Bucket]:
    """Count the amounts in the buckets under way, and return these."""
    buckets = []
    for counter, unit, _ in plan.steps:
        amount = amounts[unit]
        bucket = counter.newest
        if bucket is None:
            bucket = counter.open()
        bucket.amount += amount
        counter.total += amount
        buckets.append(bucket)
    return buckets


def _grant(hold: _Hold, plan: _Plan, tier_index: int, now: float) -> Granted:
    best, tightest = 2.0, None
    least: list[int] = [_MOST, _MOST, _MOST, _MOST]
    rows: list[_Row | None] = [None, None, None, None]
    for row in plan.rows:
        cap = row.cap
        left = cap - row.counter.total
        share = left / cap if cap else 0.0
        if share < best:
            best, tightest = share, row
        if left < least[row.group]:
            least[row.group], rows[row.group] = left, row
    requests, tokens, budget, _ = rows
    hold.tier_index = tier_index
    hold.granted = granted = Granted(
        tier_index,
        _standing_of(tightest, now),
        _standing_of(requests, now),
        _standing_of(tokens, now),
        _standing_of(budget, now),
        _past_soft(plan, now) if plan.has_soft else (),
    )
    return granted


def _close(hold: _Hold, actual: Demand) -> None:
    requests, input_tokens, output_tokens, microusd, place = hold.amounts
    changes = (
        actual.requests - requests,
        actual.input_tokens - input_tokens,
        actual.output_tokens - output_tokens,
        actual.microusd - microusd,
        -place,
    )
    for (counter, unit, _), bucket in zip(hold.plan.steps, hold.buckets, strict=True):
        change = changes[unit]
        if change and bucket.is_live:
            bucket.amount += change
            counter.total += change


def _add_to(hold: _Hold, sign: int) -> None:
    """Count what a hold holds once more (+1) or once less (-1), where it still counts."""
    for (counter, unit, _), bucket in zip(hold.plan.steps, hold.buckets, strict=True):
        if bucket.is_live:
            bucket.amount += sign * hold.amounts[unit]
            counter.total += sign * hold.amounts[unit]


def _bucket_for(row: _Row, before: Bucket | None, *, is_raised: bool) -> Bucket:
    """Return where an exchanged hold counts: where it did, unless that has left and there is more to count."""
    if before is None or (is_raised and not before.is_live):
        return row.counter.open()
    return before


def _standing_of(row: _Row | None, now: float) -> Standing | None:
    return None if row is None else row.standing(now)


def _past_soft(plan: _Plan, now: float) -> tuple[Standing, ...]:
    return tuple(row.standing(now) for row in plan.rows if row.soft is not None and row.counter.total >= row.soft)


def _refusal(plan: _Plan, demands: Sequence[Demand], now: float) -> Refused:
    """Say why none of the demands fits, and when one of them might."""
    _advance(plan, milliseconds(now))
    blocks = []
    for demand in demands:
        amounts = _amounts(demand)
        blocks.append(_longest_wait([row for row in plan.rows if not row.fits(amounts[row.unit])], amounts, now))
    row, wait_s = min(blocks, key=lambda block: _FOR_EVER if block[1] is None else block[1])
    return row.refusal(wait_s, now)


def _longest_wait(rows: list[_Row], amounts: _Amounts, now: float) -> tuple[_Row, float | None]:
    """Return the row of those that do not fit for which the wait is longest, and that wait."""
    waits = [(row, row.wait_s(amounts[row.unit], now)) for row in rows]
    return max(waits, key=lambda block: _FOR_EVER if block[1] is None else block[1])


def _is_over(hold: _Hold, now: float) -> bool:
    # After a clock has jumped back, a lease lasts no longer than it was given for.
    if hold.lease_until - now > hold.lease_s:
        hold.lease_until = now + hold.lease_s
    return hold.lease_until <= now


def _state_of(hold_id: str, hold: _Hold, numbers: dict[str, int]) -> HoldState:
    buckets = [
        (numbers[counter.key], bucket.id if bucket.is_live else None)
        for (counter, _, _), bucket in zip(hold.plan.steps, hold.buckets, strict=True)
    ]
    return HoldState(hold_id, buckets, hold.demand, hold.tier_index, hold.lease_until, hold.lease_s)
