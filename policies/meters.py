"""What limits and budgets count: meters, what a call may add to them, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from policies.windows import Window

Unit = Literal["requests", "input_tokens", "output_tokens", "microusd", "concurrency"]
"""What is counted. Money is in micro-dollars; `concurrency` is calls in flight, each counting 1."""

UNITS: Final[tuple[Unit, ...]] = ("requests", "input_tokens", "output_tokens", "microusd", "concurrency")

TOKEN_UNITS: Final[frozenset[Unit]] = frozenset({"input_tokens", "output_tokens"})

MAX_PER_CALL: Final = 10**12
"""The most one call may demand of a unit: a million dollars, or a million times a million tokens. It keeps sums of
what is counted within 64 bits."""

MAX_CAP: Final = 2**53 - 1
"""The largest cap: what a double holds exactly, in which Redis counts; nine billion dollars."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class Meter(msgspec.Struct, frozen=True):
    """One limit or budget of one subject.

    Attributes:
        key: unique text and the storage key, such as `team:search|requests|60`. A key means one unit and one window
            for ever: what counts otherwise has another key. The cap is no part of it and may change at any time.
        level: whose it is, for messages: `organisation`, `team 'search'`, `key 'search/ci'`, `user 'x'`.
        unit: what is counted.
        cap: the most that may be counted in the window, 0 to `MAX_CAP`.
        window: None for `concurrency`, which counts only what is in flight.
        soft: from how much on the caller should be warned or degraded, >= 0; None for never.
        lost: what happens while the state that replicas share cannot be reached: `deny` refuses every call that this
            meter counts; `share` lets each replica count on its own, up to its part of the cap.
    """

    key: str
    level: str
    unit: Unit
    cap: Count
    window: Window | None
    soft: Count | None = None
    lost: Literal["deny", "share"] = "share"

    def __post_init__(self) -> None:
        if not 0 <= self.cap <= MAX_CAP or (self.soft is not None and self.soft < 0):
            raise ValueError(f"meter {self.key!r}: a cap is 0 to {MAX_CAP}, a soft threshold 0 or more")
        if (self.unit == "concurrency") != (self.window is None):
            raise ValueError(f"meter {self.key!r}: a window is needed, but not for concurrency")


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What one call may consume at most, when reserving; what it did consume, when settling.

    Each part is 0 to `MAX_PER_CALL`. A call also counts 1 towards `concurrency` while it is in flight.
    """

    requests: Count = 1
    input_tokens: Count = 0
    output_tokens: Count = 0
    microusd: Count = 0

    def __post_init__(self) -> None:
        if not (
            0 <= self.requests <= MAX_PER_CALL
            and 0 <= self.input_tokens <= MAX_PER_CALL
            and 0 <= self.output_tokens <= MAX_PER_CALL
            and 0 <= self.microusd <= MAX_PER_CALL
        ):
            raise ValueError("each part of a demand is 0 to a million times a million")

    @classmethod
    def measured(cls, requests: int, input_tokens: int, output_tokens: int, microusd: int) -> Demand:
        """Make a demand of numbers somebody else reported: each is moved into the range."""
        parts = (requests, input_tokens, output_tokens, microusd)
        return cls(*(min(max(0, part), MAX_PER_CALL) for part in parts))

    def of(self, unit: Unit) -> int:
        """Return the part that a meter of a unit counts."""
        return 1 if unit == "concurrency" else int(getattr(self, unit))

    def beyond(self, held: Demand) -> Demand:
        """Return by how much this is more than what was held, part by part; `NOTHING` when it is not."""
        if (
            self.requests <= held.requests
            and self.input_tokens <= held.input_tokens
            and self.output_tokens <= held.output_tokens
            and self.microusd <= held.microusd
        ):
            return NOTHING
        return Demand(
            max(0, self.requests - held.requests),
            max(0, self.input_tokens - held.input_tokens),
            max(0, self.output_tokens - held.output_tokens),
            max(0, self.microusd - held.microusd),
        )


def together(demands: Sequence[Demand]) -> Demand:
    """Return what one request may consume that makes several calls; it counts as one all the same."""
    if len(demands) == 1:
        return demands[0]
    tokens = (sum(one.input_tokens for one in demands), sum(one.output_tokens for one in demands))
    return Demand.measured(1, *tokens, sum(one.microusd for one in demands))


NOTHING: Final = Demand(0, 0, 0, 0)
"""A call that consumed nothing."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a meter stands.

    Attributes:
        meter: which.
        used: what is counted now, holds at their ceilings included; above the cap only by what was under-reserved
            or when the cap was lowered.
        cap: the meter's.
        resets_at: the moment by which all that is counted now has left the window, seconds since the epoch; now when
            nothing is counted, None where nothing leaves by itself (`total` windows, concurrency).
    """

    meter: Meter
    used: int
    cap: int
    resets_at: float | None

    @property
    def remaining(self) -> int:
        """Return what is left, >= 0."""
        return max(0, self.cap - self.used)
