"""What the router learns of models and traffic while it runs, and keeps when the settings change."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from router.health.allowance import Allowance
from router.health.deployments import Health
from router.health.headroom import Mirror
from router.settings import HedgeSettings, RouterSettings
from router.traffic import Traffic

BURST: Final = 10
"""Extra calls that may be made at once, however little traffic has earned them: with one request a minute, a share of
it would allow none."""


class Learned:
    """One of each part that learns.

    Args:
        settings: of the router.
        names: of all models.
        clock: seconds, monotonic.
        chance: returns 0 to 1.

    Attributes:
        health: of models.
        mirror: of the limits that providers report.
        retries: the share of requests that may be retries.
        hedges: the share of requests that may be attempted twice.
        traffic: what prompts score.
        events: how often something happened that is told of in metrics, by its name.
    """

    def __init__(
        self,
        settings: RouterSettings,
        names: Iterable[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.clock, self._chance = clock, chance
        self.health = Health(names, settings.breaker, clock, chance)
        self.mirror = Mirror(clock)
        self.retries = Allowance(settings.retries.budget, BURST)
        self.hedges = Allowance((settings.hedge or HedgeSettings()).allowance, BURST)
        self.traffic = Traffic(settings.target)
        self.events: dict[str, int] = {}

    def note(self, event: str) -> None:
        """Count something that happened."""
        self.events[event] = self.events.get(event, 0) + 1

    def adapted(self, settings: RouterSettings, names: Iterable[str]) -> Learned:
        """Return what is learned under other settings, with all that is known of models that stay."""
        names = list(names)
        other = Learned(settings, names, clock=self.clock, chance=self._chance)
        other.health.adopt(self.health)
        self.mirror.keep(names)
        other.mirror = self.mirror
        other.events = self.events
        other.traffic = self.traffic.adapted(settings.target)
        return other
