"""The classes of model."""

from __future__ import annotations

from typing import Final, Literal

TierName = Literal["simple", "medium", "complex"]
"""The classes of model, cheapest first."""

TIERS: Final[tuple[TierName, ...]] = ("simple", "medium", "complex")
