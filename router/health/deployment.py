"""What is known of one deployment: its calls in flight, how fast it answers, and its breakers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.health.breaker import Breaker, Probe
from router.health.faults import Fault
from router.health.latency import FirstBytes, PeakEwma
from router.health.rolling import BUCKETS, Rolling
from router.health.settings import BreakerSettings


class Deployment:
    """One entry of `models`, as its calls show it.

    Args:
        settings: of its breakers.
        clock: seconds, monotonic.
        random: returns 0 to 1.

    Attributes:
        in_flight: calls that began and have not ended.
        latency: seconds to the first byte.
        first_bytes: the same, of the last answers.
        breakers: by class of fault, of those that occurred.
        watched: breakers that calls are told to, because something failed lately; empty while it is healthy.
    """

    __slots__ = (
        "_random", "_settings", "_succeeded", "_tidy_at",
        "breakers", "clock", "first_bytes", "in_flight", "latency", "watched",
    )  # fmt: skip

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self.clock = clock
        self.in_flight = 0
        self.latency, self.first_bytes = PeakEwma(), FirstBytes()
        self.breakers: dict[Fault, Breaker] = {}
        self.watched: tuple[Breaker, ...] = ()
        self._settings, self._random, self._tidy_at = settings, random, 0.0
        self._succeeded = Rolling(settings.window_s, clock())

    def admits(self, caller: str) -> bool:
        """Tell whether every breaker lets this caller call."""
        now = self.clock()
        return all(breaker.admits(caller, now) for breaker in self.watched)

    def retry_in_s(self, caller: str) -> float:
        """Return after how many seconds this caller may ask again, 0 for at once."""
        now = self.clock()
        return max((breaker.retry_in_s(caller, now) for breaker in self.watched), default=0.0)

    def hasten(self, caller: str) -> None:
        """Have every breaker tried early."""
        now = self.clock()
        for breaker in self.watched:
            breaker.hasten(caller, now)

    def probe(self, caller: str, now: float) -> list[Probe]:
        """Return what a call that begins is the probe of."""
        return [probe for breaker in self.watched for probe in breaker.begin(caller, now)]

    def observe(self, first_byte_s: float, now: float) -> None:
        """Take in how long a first byte took."""
        self.latency.observe(first_byte_s, now)
        self.first_bytes.add(first_byte_s)

    def observe_silence(self, silent_s: float, now: float) -> None:
        """Take in a call that ended without a byte: only that it would have taken longer than it was waited for."""
        if silent_s > self.latency.read(now):
            self.latency.observe(silent_s, now)

    def succeed(self, caller: str, probes: Sequence[Probe], now: float) -> None:
        """Count a call that went well for every breaker, and close what it was the probe of."""
        self._succeeded.add(now)
        if not self.watched:
            return
        for breaker in self.watched:
            breaker.succeed(caller, now)
        for probe in probes:
            probe.breaker.close(probe, caller, now)
        if now >= self._tidy_at:
            self._tidy_at = now + self._settings.window_s / BUCKETS
            self.watched = tuple(breaker for breaker in self.watched if not breaker.tidy(now))

    def fail(self, fault: Fault, caller: str, retry_after_s: float, probes: Sequence[Probe], now: float) -> None:
        """Count a failure for the breaker of its class; probes of others decided nothing."""
        breaker = self.breakers.get(fault)
        if breaker is None:
            breaker = self.breakers[fault] = Breaker(fault, self._settings, self._succeeded, self._random, now)
        if breaker not in self.watched:
            self.watched = (*self.watched, breaker)
        breaker.fail(caller, now, retry_after_s, probes)

    def follow(self, settings: BreakerSettings) -> None:
        """Take new settings; what is open stays so, calls in flight still count."""
        if settings == self._settings:
            return
        now = self.clock()
        self._settings, self._succeeded = settings, Rolling(settings.window_s, now)
        for breaker in self.breakers.values():
            breaker.follow(settings, self._succeeded, now)
