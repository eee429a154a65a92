"""What the settings file says about the cache."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which answers are kept, for whom, and for how long."""

    exact: bool = False
    """Answer a plain request that is equal to an earlier one, field by field, with the earlier answer."""
    scope: Literal["key", "team", "org"] = "team"
    """Who shares answers."""
    ttl_s: Annotated[float, msgspec.Meta(gt=0)] = 86400.0
    """Seconds an answer may be given again."""
    max_mb: Annotated[int, msgspec.Meta(ge=1)] = 512
    """Megabytes of answers kept in memory; the least recently used go first."""
