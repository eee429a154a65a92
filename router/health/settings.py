"""What the settings file says about breakers."""

from __future__ import annotations

from typing import Annotated

import msgspec


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a deployment that fails is left alone, and for how long."""

    failures: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    """Failures of one class within `window_s` that open its breaker, if they are also half of the calls. 5: fewer are
    chance, and each costs a caller a retry. A refused credential opens after 2: it does not mend."""
    window_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 30.0
    """Seconds that calls are remembered for. 30: a few times as long as one of them takes."""
    open_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)] = 5.0
    """Seconds before the first probe, give or take a tenth; each probe that fails doubles them. 5: a restart."""
    max_open_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 60.0
    """Seconds that doubling ends at. 60: one call a minute finds out soon enough that a long outage is over."""
