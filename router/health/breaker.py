"""Leaves a deployment alone that fails in one way, without letting one caller's bad requests lock out the others.

Whether it opens for everybody depends on the others: the caller with the most failures is left aside, and the rest
must fail at least as often as it succeeds. Where there is no rest, the class of fault decides: a refused connection, an
overload or a refused credential concerns everybody, while a timeout, a 5xx or a garbled answer may come from what this
one caller sends, and the breaker opens for it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from router.health.circuit import Circuit
from router.health.faults import AMBIGUOUS, MOST_RETRY_AFTER_S, Fault
from router.health.rolling import Rolling
from router.health.settings import BreakerSettings

MOST_CALLERS: Final = 32
"""Callers that a breaker remembers one by one; the failures of further ones are counted together."""

AUTH_FAILURES: Final = 2
"""Refusals of the gateway's credential that open a breaker: one may be a hiccup of the provider's key store."""


ROW: Final = 4
"""How many times `failures` have to come without an answer in between to open a breaker whatever came before. With the
default, 20: by chance they come so once in a million calls where half of them fail."""


class Probe:
    """A call that tries whether a half-open circuit may be closed."""

    __slots__ = ("breaker", "circuit", "opening")

    def __init__(self, breaker: Breaker, circuit: Circuit) -> None:
        self.breaker, self.circuit, self.opening = breaker, circuit, circuit.openings

    @property
    def is_current(self) -> bool:
        """Tell whether the circuit has neither closed nor opened again since."""
        return not self.circuit.is_closed and self.circuit.openings == self.opening


class _Record:
    """What became of a caller's calls since it was first seen to fail."""

    __slots__ = ("circuit", "failed", "succeeded")

    def __init__(self, window_s: float, now: float) -> None:
        self.failed, self.succeeded = Rolling(window_s, now), Rolling(window_s, now)
        self.circuit = Circuit()

    def forget_calls(self, window_s: float, now: float) -> None:
        self.failed, self.succeeded = Rolling(window_s, now), Rolling(window_s, now)

    def is_failing(self, needed: int, now: float) -> bool:
        failed = self.failed.count(now)
        return failed >= needed and failed >= self.succeeded.count(now)

    def is_over(self, window_s: float, now: float) -> bool:
        """Tell whether nothing of it matters any more; a caller that does not probe for a window is forgotten."""
        is_held = not self.circuit.is_closed and now < self.circuit.until + window_s
        return not is_held and not self.failed.count(now)


class Breaker:
    """Counts one class of fault of one deployment and opens.

    Memory is bounded by `MOST_CALLERS`. Made when the first fault of its class occurs, and told of calls only while it
    is not quiet, so that a healthy deployment pays nothing.

    Args:
        fault: its class.
        settings: when it opens, for how long.
        succeeded: calls of the deployment that went well within the window, whoever made them; kept by the deployment.
        random: returns 0 to 1.
        now: the moment, seconds of a monotonic clock.

    Attributes:
        opened: how often it opened for everybody.
        opened_for_one: how often it opened for one caller.
    """

    __slots__ = (
        "_first_prober", "_in_a_row", "_needed", "_not_before", "_random", "_records", "_rest", "_row_at",
        "_row_callers", "_settings", "_succeeded",
        "everybody", "fault", "opened_for_one",
    )  # fmt: skip

    def __init__(
        self,
        fault: Fault,
        settings: BreakerSettings,
        succeeded: Rolling,
        random: Callable[[], float],
        now: float,
    ) -> None:
        self.fault = fault
        self.opened_for_one = 0
        self.everybody = Circuit()
        self._settings, self._succeeded, self._random = settings, succeeded, random
        self._needed = _needed(fault, settings)
        self._records: dict[str, _Record] = {}
        self._rest = _Record(settings.window_s, now)
        self._first_prober: str | None = None
        self._not_before = now
        self._in_a_row, self._row_at = 0, now
        self._row_callers: set[str] = set()

    @property
    def opened(self) -> int:
        """Return how often it opened for everybody."""
        return self.everybody.openings

    def admits(self, caller: str, now: float) -> bool:
        """Tell whether this caller may call."""
        record = self._records.get(caller)
        return self.everybody.admits(now) and (record is None or record.circuit.admits(now))

    def retry_in_s(self, caller: str, now: float) -> float:
        """Return after how many seconds this caller may ask again, 0 for at once."""
        record = self._records.get(caller)
        own_s = 0.0 if record is None else record.circuit.retry_in_s(now)
        return max(own_s, self.everybody.retry_in_s(now))

    def hasten(self, caller: str, now: float) -> None:
        """Be tried early."""
        record = self._records.get(caller)
        self.everybody.hasten(now)
        if record is not None:
            record.circuit.hasten(now)

    def begin(self, caller: str, now: float) -> list[Probe]:
        """Return what a call that begins is the probe of."""
        record = self._records.get(caller)
        circuits = (self.everybody,) if record is None else (self.everybody, record.circuit)
        probes = [Probe(self, circuit) for circuit in circuits if not circuit.is_closed and circuit.admits(now)]
        for probe in probes:
            probe.circuit.take(probe, now)
        return probes

    def succeed(self, caller: str, now: float) -> None:
        """Count a call that went well, or was refused for the caller's own fault."""
        self._records.get(caller, self._rest).succeeded.add(now)
        if self._in_a_row:
            self._end_row()

    def close(self, probe: Probe, caller: str, now: float) -> None:
        """Close what a probe that went well tried; nothing if that has opened again meanwhile."""
        if not probe.is_current:
            return
        probe.circuit.close()
        if probe.circuit is self.everybody:
            self._forget_calls(now)
        else:
            self._records.pop(caller, None)

    def fail(self, caller: str, now: float, retry_after_s: float, probes: Iterable[Probe]) -> None:
        """Count a failure, and open.

        Args:
            caller: who made the call.
            now: the moment.
            retry_after_s: seconds for which the upstream asks to be left alone, 0 where it says nothing.
            probes: what the call was the probe of.
        """
        self._not_before = max(self._not_before, now + min(retry_after_s, MOST_RETRY_AFTER_S))
        record = self._record(caller, now)
        record.failed.add(now)
        self._continue_row(caller, now)
        tried = [probe.circuit for probe in probes if probe.breaker is self and probe.is_current]
        for probe in probes:
            probe.circuit.free(probe)
        if self.everybody in tried:
            self._fail_for_everybody(caller, record, now)
        elif record.circuit in tried:
            self._open_for_one(record, now)
        elif self.everybody.is_closed:
            self._judge(record, now)
        elif now < self.everybody.until:
            self.everybody.postpone(self._not_before)

    def tidy(self, now: float) -> bool:
        """Forget callers of whom nothing matters any more; return whether it is quiet: nothing is left at all."""
        window_s = self._settings.window_s
        over = [caller for caller, record in self._records.items() if record.is_over(window_s, now)]
        for caller in over:
            del self._records[caller]
        return self.everybody.is_closed and not self._records and not self._rest.failed.count(now)

    def follow(self, settings: BreakerSettings, succeeded: Rolling, now: float) -> None:
        """Take new settings; what is open stays so, calls are counted anew."""
        self._settings, self._succeeded = settings, succeeded
        self._needed = _needed(self.fault, settings)
        self._forget_calls(now)

    def locked_out(self, now: float) -> int:
        """Return how many callers it is open or half-open for, besides everybody."""
        return sum(record.circuit.state(now) != "closed" for record in self._records.values())

    def _record(self, caller: str, now: float) -> _Record:
        record = self._records.get(caller)
        if record is not None:
            return record
        if len(self._records) >= MOST_CALLERS:
            self.tidy(now)
        if len(self._records) >= MOST_CALLERS:
            return self._rest
        record = self._records[caller] = _Record(self._settings.window_s, now)
        return record

    def _continue_row(self, caller: str, now: float) -> None:
        """Count a failure that no answer came before, within the window."""
        if now - self._row_at > self._settings.window_s:
            self._end_row()
        self._row_at = now
        self._in_a_row += 1
        if len(self._row_callers) < 2:
            self._row_callers.add(caller)

    def _end_row(self) -> None:
        self._in_a_row = 0
        self._row_callers.clear()

    def _judge(self, record: _Record, now: float) -> None:
        failed = self._rest.failed.count(now) + sum(r.failed.count(now) for r in self._records.values())
        is_outright = self._in_a_row >= ROW * self._needed
        concerns_all = failed >= self._succeeded.count(now) and self._concerns_everybody(now)
        if failed >= self._needed and (concerns_all or (is_outright and len(self._row_callers) > 1)):
            self._open(self.everybody, now)
        elif record is not self._rest and record.circuit.is_closed and (is_outright or self._is_failing(record, now)):
            self._open_for_one(record, now)

    def _is_failing(self, record: _Record, now: float) -> bool:
        """Tell whether a caller's calls fail, rather than that its failures ended first."""
        if not record.is_failing(self._needed, now):
            return False
        others = [self._rest, *(one for one in self._records.values() if one is not record)]
        has_others = any(one.failed.count(now) or one.succeeded.count(now) for one in others)
        return has_others or record.failed.count(now) >= self._succeeded.count(now)

    def _concerns_everybody(self, now: float) -> bool:
        """Tell whether those fail too who are not the caller with the most failures."""
        worst = max(self._records.values(), key=lambda record: record.failed.count(now))
        others = [self._rest, *(record for record in self._records.values() if record is not worst)]
        failed = sum(record.failed.count(now) for record in others)
        succeeded = sum(record.succeeded.count(now) for record in others)
        if failed or succeeded:
            return 0 < failed >= succeeded
        return self.fault not in AMBIGUOUS

    def _fail_for_everybody(self, caller: str, record: _Record, now: float) -> None:
        """Judge a failed probe: where it may be the caller's fault, another caller must fail as well."""
        if self.fault not in AMBIGUOUS or record is self._rest or self._first_prober not in (None, caller):
            self._open(self.everybody, now)
            return
        self._first_prober = caller
        record.circuit.failed_in_a_row = max(record.circuit.failed_in_a_row, self.everybody.failed_in_a_row)
        self._open_for_one(record, now)

    def _open_for_one(self, record: _Record, now: float) -> None:
        self._open(record.circuit, now)
        self.opened_for_one += 1

    def _open(self, circuit: Circuit, now: float) -> None:
        circuit.open(now, self._settings, self._random(), self._not_before)
        if circuit is self.everybody:
            self._first_prober = None

    def _forget_calls(self, now: float) -> None:
        """Count anew; callers for whom alone it is open stay locked out."""
        window_s = self._settings.window_s
        self._records = {caller: record for caller, record in self._records.items() if not record.circuit.is_closed}
        for record in (self._rest, *self._records.values()):
            record.forget_calls(window_s, now)
        self._end_row()
        self._first_prober = None


def _needed(fault: Fault, settings: BreakerSettings) -> int:
    return min(AUTH_FAILURES, settings.failures) if fault == "auth" else settings.failures
