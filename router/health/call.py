"""One call to a deployment, from its beginning to the one thing it came to."""

from __future__ import annotations

from collections.abc import Sequence

from router.health.breaker import Probe
from router.health.deployment import Deployment
from router.health.faults import Fault


class Call:
    """A call under way. It counts as in flight until the first of `succeed`, `fail`, `refuse` and `abandon`.

    Whatever is said of it afterwards is ignored, so that a `finally` may abandon a call whatever came before.

    Args:
        deployment: what is called.
        caller: on whose behalf.
    """

    __slots__ = ("_began", "_caller", "_deployment", "_has_ended", "_is_heard", "_probes")

    def __init__(self, deployment: Deployment, caller: str) -> None:
        self._deployment, self._caller = deployment, caller
        self._has_ended = self._is_heard = False
        self._began = now = deployment.clock()
        self._probes: Sequence[Probe] = deployment.probe(caller, now) if deployment.watched else ()
        deployment.in_flight += 1

    @property
    def is_probe(self) -> bool:
        """Tell whether it tries a half-open breaker; others wait for what becomes of it."""
        return bool(self._probes)

    def hear(self, first_byte_s: float) -> None:
        """Learn from the first byte while the answer goes on; optional.

        What it probes is closed at once, not when a stream of minutes ends, except for garbled answers, which may
        still go wrong.

        Args:
            first_byte_s: seconds since the call began.
        """
        if self._has_ended or self._is_heard:
            return
        now = self._hear(first_byte_s)
        for probe in self._probes:
            if probe.breaker.fault != "garbled":
                probe.breaker.close(probe, self._caller, now)

    def succeed(self, first_byte_s: float) -> None:
        """End well.

        Args:
            first_byte_s: seconds from the beginning of the call to the first byte of its answer.
        """
        if not self._has_ended:
            self._end()
            now = self._deployment.clock() if self._is_heard else self._hear(first_byte_s)
            self._deployment.succeed(self._caller, self._probes, now)

    def refuse(self) -> None:
        """End with an answer that finds fault with the request: the deployment works."""
        if not self._has_ended:
            self._end()
            self._deployment.succeed(self._caller, self._probes, self._deployment.clock())

    def fail(self, fault: Fault, retry_after_s: float | None = None) -> None:
        """End by a fault of the provider.

        Args:
            fault: its class.
            retry_after_s: seconds for which the upstream asked to be left alone.
        """
        if not self._has_ended:
            self._end()
            now = self._end_silence()
            self._deployment.fail(fault, self._caller, retry_after_s or 0.0, self._probes, now)

    def abandon(self) -> None:
        """End without a verdict: the caller left, its deadline passed, or another call was faster."""
        if not self._has_ended:
            self._end()
            self._end_silence()
            for probe in self._probes:
                probe.circuit.free(probe)

    def _end(self) -> None:
        self._has_ended = True
        self._deployment.in_flight -= 1

    def _hear(self, first_byte_s: float) -> float:
        self._is_heard = True
        now = self._deployment.clock()
        self._deployment.observe(first_byte_s, now)
        return now

    def _end_silence(self) -> float:
        now = self._deployment.clock()
        if not self._is_heard:
            self._deployment.observe_silence(now - self._began, now)
        return now
