"""What the settings file says about routing."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.tier import TierName


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request finds the models that may answer it."""

    strategy: Literal["fixed"] = "fixed"
    """How `auto` picks a tier. `fixed`: always `default_tier`."""
    tiers: dict[TierName, tuple[str, ...]] = {}
    """The candidates of each tier in the order they are tried; names of `models`."""
    default_tier: TierName = "complex"
    """The tier of `auto` when nothing else decides; an empty tier passes to the next one up, then down."""
    unknown_model: Literal["reject", "auto"] = "reject"
    """What a model name that is not configured gets: a 404, or the treatment of `auto`."""
