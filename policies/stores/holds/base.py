"""The seam of the hold stores: capacity is reserved at its ceiling in one atomic step and settled with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from policies.meters import Demand, Meter, Standing

OnExpiry = Literal["charge", "release"]
"""What becomes of a hold whose lease ended: charged at its ceiling, or given back."""

CONCURRENCY_RETRY_S: Final = 1.0
"""What a caller refused for calls in flight is told to wait: places free up as answers end, nobody knows when."""


class Granted(msgspec.Struct, frozen=True, gc=False):
    """A hold was made. Every standing includes it.

    Which meter is tightest: overall the one with the smallest share of its cap left, `(cap - used) / cap`, a cap of 0
    counting as none left; within requests, tokens and budgets the one with the least left. The first named wins a tie.

    Attributes:
        tier_index: which demand was the first to fit; 0 for the best tier and after an exchange.
        tightest: of all meters; None where there were none.
        requests: the tightest meter of requests, None where there was none.
        tokens: the tightest meter of input or output tokens.
        budget: the tightest meter of micro-dollars.
        past_soft: every meter that has reached its soft threshold, in the order given.
    """

    tier_index: int
    tightest: Standing | None
    requests: Standing | None = None
    tokens: Standing | None = None
    budget: Standing | None = None
    past_soft: tuple[Standing, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """No demand fitted; nothing was added anywhere.

    Of the meters that a demand does not fit, the one with the longest wait is named, the first of equals; of the
    demands, the one with the shortest such wait, the first of equals.

    Attributes:
        meter: the one named.
        used, cap: how it stands, without the refused demand.
        retry_after_s: exact seconds until the demand would fit this meter if nothing else were counted meanwhile and
            nothing given back: when enough of the oldest buckets has left; `CONCURRENCY_RETRY_S` for calls in flight.
            None where waiting does not help: the cap is 0, the demand alone is larger than it, or the window is
            `total`.
        resets_at: as in `Standing`.
    """

    meter: Meter
    used: int
    cap: int
    retry_after_s: float | None
    resets_at: float | None


class Settled(msgspec.Struct, frozen=True, gc=False):
    """A hold was settled.

    Attributes:
        under_reserved: by how much the actual consumption was above what was held, part by part. It was charged.
        was_known: False when no such hold is open (settled before, released, its lease ended, never made): nothing
            was changed.
    """

    under_reserved: Demand
    was_known: bool


class Expired(msgspec.Struct, frozen=True):
    """A hold whose lease ended.

    Attributes:
        hold_id: which.
        demand: what was held.
        charged: True when it stays counted at its ceiling, False when it was given back. Either way the place among
            the calls in flight is free again.
    """

    hold_id: str
    demand: Demand
    charged: bool


class HoldStore(Protocol):
    """Counts what is consumed and what may be, for meters that need not be declared beforehand.

    Every verb is one atomic step, between tasks, workers and replicas alike; one that is cancelled or fails half-way
    has happened whole or not at all.

    Rules every store keeps:

    * a demand d > 0 fits a meter when used + d <= cap; a demand of 0 always fits;
    * what is held or charged counts in the bucket that was under way when it was reserved;
    * concurrency counts 1 for each open hold and is freed by settle, release and the end of the lease;
    * a clock that jumps back makes no window negative and brings back nothing that left; one that jumps forward only
      lets content leave and leases end;
    * nothing is ever below 0.
    """

    @property
    def complaint(self) -> str:
        """Return what is wrong and what happens instead, empty when all is well."""

    async def reserve(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], *, lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter.

        A meter that was never seen starts in the same step. Asked again for an open hold, it answers the same
        `Granted` and changes nothing.

        Args:
            hold_id: the request's id; unique.
            meters: on every level; no key twice. Hand in the same tuple for the same caller: stores remember it.
            demands: the ceiling of each allowed tier, best tier first; at least one.
            lease_s: seconds until the hold ends by itself, > 0.

        Raises:
            StageUnavailableError: the store cannot decide, or cannot keep a budget's hold safe.
            ValueError: a key stands twice among the meters, or had another unit or window before; no demands.
        """

    async def exchange(
        self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling, for a call that goes to another model.

        The new demand must fit with the old one taken out. It counts in the bucket where the old one was, or, when it
        is larger and that bucket has left the window, whole in the bucket under way. The lease stays.

        Args:
            hold_id: which.
            demand: the new ceiling.
            meters: the new meters; those no longer among them are given back. None keeps them.

        Returns:
            `Granted` with tier 0; `Refused`, the hold being as it was; None when no such hold is open.

        Raises:
            StageUnavailableError, ValueError: as for `reserve`.
        """

    async def settle(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed, in the buckets where it was reserved, and close it.

        In a bucket that has left the window nothing changes. More than was held is charged in full. Never fails for
        what the store cannot write; a second settle changes nothing and says so.
        """

    async def release(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed, not even the request; False when no such hold is open."""

    async def extend(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself `lease_s` seconds from now instead; False when no such hold is open."""

    async def sweep(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over, by the store's rule (`OnExpiry`), and forget meters that count nothing.

        Args:
            now: seconds since the epoch; None for the store's clock.

        Returns:
            What ended in this call; each hold is listed once, to one caller.
        """

    async def standing(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand, in their order; one that was never seen has nothing used."""

    async def outstanding(self) -> int:
        """Return how many holds are open."""

    async def close(self) -> None:
        """Write what is not yet written and let go of files and connections; twice is harmless."""
