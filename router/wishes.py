"""What a caller asks of the router beside the request itself."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.tier import TIERS, TierName


class Wishes(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The bounds a caller sets for one request; None for no bound.

    Attributes:
        max_cost_microusd: the most the request may cost, >= 1.
        min_tier: the lowest tier that may answer.
        max_tier: the highest one, not below the lowest.
        max_first_byte_s: seconds the first byte of the answer may take, > 0.
        role: the part that the call plays, a name that the settings give a tier.
        session: the caller's own name for the conversation, 1 to 256 characters.
    """

    max_cost_microusd: int | None = None
    min_tier: TierName | None = None
    max_tier: TierName | None = None
    max_first_byte_s: float | None = None
    role: str | None = None
    session: str | None = None

    def admits(self, tier: TierName) -> bool:
        """Tell whether a tier is within the bounds."""
        return tier == self.clamped(tier)

    def clamped(self, tier: TierName) -> TierName:
        """Return the tier, or the nearest one that is within the bounds."""
        if self.min_tier is not None and TIERS.index(tier) < TIERS.index(self.min_tier):
            return self.min_tier
        if self.max_tier is not None and TIERS.index(tier) > TIERS.index(self.max_tier):
            return self.max_tier
        return tier


NO_WISHES: Final = Wishes()
"""Of a caller that sets no bounds: what nearly every request has, shared so that it costs nothing."""
