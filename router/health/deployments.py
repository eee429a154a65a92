"""The health of all deployments: who may be asked by whom, and how they fare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from router.health.call import Call
from router.health.circuit import CircuitState
from router.health.deployment import Deployment
from router.health.faults import FAULTS, Fault
from router.health.settings import BreakerSettings

__all__ = ["BreakerState", "Call", "Health"]


class BreakerState(NamedTuple):
    """How one breaker stands.

    Attributes:
        state: for everybody.
        opened: how often it opened for everybody.
        locked_out: callers it is open or half-open for, besides.
        opened_for_one: how often it opened for one caller.
    """

    deployment: str
    fault: Fault
    state: CircuitState
    opened: int = 0
    locked_out: int = 0
    opened_for_one: int = 0


class Health:
    """Keeps what calls show of their deployments. For one event loop; nothing here waits.

    A name that was not given is a KeyError.

    Args:
        names: of the deployments, as in `models`.
        settings: of their breakers; None has everybody admitted whatever calls show.
        clock: seconds, monotonic.
        random: returns 0 to 1.
    """

    def __init__(
        self,
        names: Iterable[str],
        settings: BreakerSettings | None,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._is_off = settings is None
        self._settings = settings = settings or BreakerSettings()
        self._clock = clock
        self._deployments = {name: Deployment(settings, clock, random) for name in names}

    def admits(self, name: str, caller: str) -> bool:
        """Tell whether a caller may ask a deployment, be it as a probe."""
        deployment = self._deployments[name]
        return not deployment.watched or self._is_off or deployment.admits(caller)

    def retry_in_s(self, names: Iterable[str], caller: str) -> float:
        """Return the seconds until the soonest of some deployments may be asked, 0 where one may or none is named."""
        return min((self._deployments[name].retry_in_s(caller) for name in names), default=0.0)

    def hasten(self, names: Iterable[str], caller: str) -> bool:
        """Have some deployments tried early, as nobody else is left; tell whether the caller may now ask one."""
        deployments = [self._deployments[name] for name in names]
        for deployment in deployments:
            deployment.hasten(caller)
        return any(deployment.admits(caller) for deployment in deployments)

    def begin(self, name: str, caller: str) -> Call:
        """Begin a call; it must come to an end by one of its verbs. It is a probe where a breaker is half-open."""
        return Call(self._deployments[name], caller)

    def in_flight(self, name: str) -> int:
        """Return the calls under way."""
        return self._deployments[name].in_flight

    def latency_s(self, name: str) -> float:
        """Return the peak-sensitive mean of seconds to the first byte; 0 where nothing is known."""
        return self._deployments[name].latency.read(self._clock())

    def quantile(self, name: str, q: float) -> float | None:
        """Return the seconds within which a share of the last answers began; None while too few are known.

        Args:
            name: of the deployment.
            q: the share, above 0 and up to 1.
        """
        return self._deployments[name].first_bytes.quantile(q)

    def adopt(self, old: Health) -> None:
        """Take over what is known of deployments whose name stays, calls in flight included, under its own settings."""
        for name in self._deployments:
            known = old._deployments.get(name)
            if known is not None:
                known.follow(self._settings)
                self._deployments[name] = known

    def states(self) -> list[BreakerState]:
        """Return how every breaker stands, for metrics; none where there are none."""
        if self._is_off:
            return []
        now = self._clock()
        return [
            _state(name, fault, deployment, now) for name, deployment in self._deployments.items() for fault in FAULTS
        ]


def _state(name: str, fault: Fault, deployment: Deployment, now: float) -> BreakerState:
    breaker = deployment.breakers.get(fault)
    if breaker is None:
        return BreakerState(name, fault, "closed")
    state = breaker.everybody.state(now)
    return BreakerState(name, fault, state, breaker.opened, breaker.locked_out(now), breaker.opened_for_one)
