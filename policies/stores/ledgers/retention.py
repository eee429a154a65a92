"""How long records are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.domain.errors import StageUnavailableError

log = logging.getLogger("tierway")

RETENTION_DAYS: Final = 90.0
"""How long records are kept where nothing else is said: a quarter, which is what invoices are disputed in."""

PRUNE_S: Final = 3600.0
"""Seconds between looks at what is older than that; only the room it takes depends on it."""

DAY_S: Final = 86_400.0


async def prune_hourly(
    prune: Callable[[float], Awaitable[int]], clock: Callable[[], float], retention_days: float
) -> None:
    """Forget what is older than the retention, now and every hour, until cancelled."""
    while True:
        try:
            await prune(clock() - retention_days * DAY_S)
        except StageUnavailableError as error:
            log.warning("usage older than %g days is kept for now: %s", retention_days, error)
        await asyncio.sleep(PRUNE_S)
