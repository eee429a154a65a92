"""What a replica may grant on its own while Redis is lost: its part of every cap, less its part of what was used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.domain.errors import StateLostError
from policies.meters import MAX_PER_CALL, Demand, Meter, Standing
from policies.stores.holds.base import Granted, Refused
from policies.stores.holds.memory import MemoryHoldStore
from policies.stores.replicas import Replicas

MAX_SEEN: Final = 16_384
"""Meters of which the last standing is remembered, and callers whose shares are; beyond it all are forgotten."""

_SEED: Final = "seed of a share"


class Shares:
    """Divides meters among the replicas that were last known, and tells the local store how far they are used up.

    A share is the cap divided by the replicas, rounded down, but at least 1 where the cap is. When an outage begins,
    the local counter starts at this replica's part of what the meter's last answer from Redis showed as used. The part
    counts from then on for a whole window, which is longer than what it stands for.

    Args:
        replicas: how many share.
        local: counts while Redis is lost.
        clock: seconds since the epoch.
    """

    def __init__(self, replicas: Replicas, local: MemoryHoldStore, clock: Callable[[], float]) -> None:
        self._replicas, self._local, self._clock = replicas, local, clock
        self._seen: dict[str, Standing] = {}
        self._shares: dict[int, tuple[Sequence[Meter], tuple[Meter, ...]]] = {}

    def note(self, answer: Granted | Refused) -> None:
        """Remember how the meters that an answer of Redis names stand."""
        seen = self._seen
        if len(seen) >= MAX_SEEN:
            seen.clear()
        if isinstance(answer, Refused):
            seen[answer.meter.key] = Standing(answer.meter, answer.used, answer.cap, answer.resets_at)
            return
        for standing in (answer.tightest, answer.requests, answer.tokens, answer.budget):
            if standing is not None:
                seen[standing.meter.key] = standing

    def begin(self) -> None:
        """Start an outage: what was divided before is divided anew."""
        self._shares.clear()

    def of(self, meters: Sequence[Meter]) -> tuple[Meter, ...]:
        """Return the meters with this replica's part of their caps; the same tuple for the same meters.

        Raises:
            StateLostError: one of them may not go on without Redis, or nobody knows yet how many replicas there are.
        """
        known = self._shares.get(id(meters))
        if known is not None:
            return known[1]
        if not self._replicas.is_known or any(meter.lost == "deny" for meter in meters):
            raise StateLostError("Limits and budgets cannot be checked at the moment. Please try again.")
        shares = tuple(self._share(meter) for meter in meters)
        if isinstance(meters, tuple):  # a list may change later under the same identity
            if len(self._shares) >= MAX_SEEN:
                self._shares.clear()
            self._shares[id(meters)] = meters, shares
        return shares

    def _share(self, meter: Meter) -> Meter:
        count = self._replicas.count
        cap = max(1, meter.cap // count) if meter.cap else 0
        soft = None if meter.soft is None else meter.soft // count
        share = msgspec.structs.replace(meter, cap=cap, soft=soft)
        self._seed(share, count)
        return share

    def _seed(self, share: Meter, count: int) -> None:
        """Count locally this replica's part of what is used, as far as it is not counted there yet."""
        seen = self._seen.get(share.key)
        if seen is None or share.window is None or (seen.resets_at is not None and seen.resets_at <= self._clock()):
            return
        missing = -(-seen.used // count) - self._local.standing_now((share,))[0].used
        if missing > 0:
            amounts = dict.fromkeys(Demand.__struct_fields__, 0) | {share.unit: min(missing, MAX_PER_CALL)}
            demand = Demand(**amounts)
            self._local.readmit(_SEED, (share,), demand, 0, 1.0)
            self._local.settle_now(_SEED, demand)
