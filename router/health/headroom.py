"""What providers leave us: their rate limits, learned from the headers of their answers, to pace before a 429.

Each limit is mirrored as a bucket that fills evenly: a report says how full it is and when it will be full. Calls that
are sent between two reports are taken out of it. Limits are kept by deployment; those that share a provider's account
and model learn each from its own answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from router.health.durations import read_reset_s, read_wait_s
from router.health.faults import MOST_RETRY_AFTER_S

Kind = Literal["requests", "tokens", "input-tokens", "output-tokens"]
"""What a limit counts. Providers count `output-tokens` as they are made, so that a call needs one to begin."""

FORGET_S: Final = 3600.0
"""Seconds after which a report is worth nothing, and is not passed on."""

_USUAL_S: Final = 60.0
"""Seconds in which a limit fills whose report does not say so: most are by the minute."""

_FINEST_S: Final = 0.001
"""What is shorter is rounded off and says nothing of the pace."""

_RETRY_MS: Final = b"retry-after-ms"
_RETRY: Final = b"retry-after"


class _Names(NamedTuple):
    """The headers of one limit."""

    kind: Kind
    remaining: bytes
    limit: bytes
    reset: bytes


def _openai(kind: Kind) -> _Names:
    """Name OpenAI's headers (platform.openai.com/docs/guides/rate-limits, 2026-11), which many others send too."""
    return _Names(kind, *(f"x-ratelimit-{part}-{kind}".encode() for part in ("remaining", "limit", "reset")))


def _anthropic(kind: Kind) -> _Names:
    """Name Anthropic's headers (docs.anthropic.com/en/api/rate-limits, 2026-11)."""
    return _Names(kind, *(f"anthropic-ratelimit-{kind}-{part}".encode() for part in ("remaining", "limit", "reset")))


_LIMITS: Final = (
    _openai("requests"), _openai("tokens"),
    _anthropic("requests"), _anthropic("tokens"), _anthropic("input-tokens"), _anthropic("output-tokens"),
)  # fmt: skip

_TOLD: Final = frozenset({_RETRY_MS, _RETRY, *(name for names in _LIMITS for name in names[1:])})

_Number = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]


class _LimitReport(msgspec.Struct, forbid_unknown_fields=True):
    """One limit as replicas tell each other: numbers a second, and an age instead of a moment."""

    kind: Kind
    limit: Annotated[float, msgspec.Meta(gt=0.0, le=1e15)]
    level: Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
    per_s: Annotated[float, msgspec.Meta(gt=0.0, le=1e15)]
    age_s: _Number


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    limits: list[_LimitReport] = []
    wait_s: Annotated[float, msgspec.Meta(ge=0.0, le=MOST_RETRY_AFTER_S)] = 0.0


_REPORTS: Final = msgspec.json.Decoder(dict[str, _Report])


class _Limit:
    """One bucket.

    Attributes:
        level: how full it was at the moment `at`; below 0 where more was sent than it held.
        per_s: what fills it a second.
        reported_at: moment of the last report.
        sent: taken out since.
    """

    __slots__ = ("at", "level", "limit", "per_s", "reported_at", "sent")

    def __init__(self) -> None:
        self.level = self.limit = self.per_s = self.at = self.sent = 0.0
        self.reported_at = float("-inf")

    def report(self, limit: float, remaining: float, reset_s: float | None, now: float) -> None:
        """Take in what the provider said."""
        if reset_s is not None and reset_s >= _FINEST_S and remaining < limit:
            self.per_s = (limit - remaining) / reset_s
        elif limit != self.limit:
            self.per_s = limit / _USUAL_S
        self.limit, self.level, self.at, self.reported_at, self.sent = limit, min(remaining, limit), now, now, 0.0

    def read(self, now: float) -> float:
        """Return how full it is."""
        return min(self.level + self.per_s * (now - self.at), self.limit)

    def send(self, amount: float, now: float) -> None:
        """Take out what a call that was just sent needs."""
        self.level = self.read(now) - amount
        self.at = now
        self.sent += amount

    def delay_s(self, amount: float, now: float) -> float:
        """Return after how many seconds it holds an amount; what it never holds has to wait until it is full."""
        missing = min(amount, self.limit) - self.read(now)
        return missing / self.per_s if missing > 0.0 else 0.0


class _Limits:
    """The limits of one deployment, and the moment before which it asked not to be called."""

    __slots__ = ("by_kind", "not_before")

    def __init__(self) -> None:
        self.by_kind: dict[Kind, _Limit] = {}
        self.not_before = float("-inf")


class Mirror:
    """Mirrors providers' limits. Nothing it reads makes it raise; what it cannot read it ignores.

    Args:
        clock: seconds, monotonic.
        wall_clock: seconds since the epoch; moments in headers are compared with it.
    """

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float] = time.time) -> None:
        self._clock, self._wall_clock = clock, wall_clock
        self._known: dict[str, _Limits] = {}

    @property
    def is_known(self) -> bool:
        """Tell whether anything is known of any deployment; many providers report nothing."""
        return bool(self._known)

    def learn(self, name: str, headers: Sequence[tuple[bytes, bytes]], now: float) -> None:
        """Read an answer's headers, whatever its status. Names are in lower case.

        Args:
            name: of the deployment.
            headers: as they came.
            now: moment of the clock at which they came.
        """
        told = {field: value for field, value in headers if field in _TOLD}
        if told:
            self._learn(name, told, now)

    def delay_s(self, name: str, tokens: int) -> float:
        """Return after how many seconds a call fits, 0 for at once or where nothing is known.

        Args:
            name: of the deployment.
            tokens: of the prompt and, where the provider counts it, of the longest answer.
        """
        limits = self._known.get(name)
        if limits is None:
            return 0.0
        now = self._clock()
        delay_s = limits.not_before - now
        for kind, limit in limits.by_kind.items():
            delay_s = max(delay_s, limit.delay_s(_amount(kind, tokens) or 1.0, now))
        return max(delay_s, 0.0)

    def note_sent(self, name: str, tokens: int) -> None:
        """Take a call that is sent now out of what is left until the next report."""
        limits = self._known.get(name)
        if limits is not None:
            now = self._clock()
            for kind, limit in limits.by_kind.items():
                limit.send(_amount(kind, tokens), now)

    def headroom(self, name: str) -> float:
        """Return the share, 0 to 1, that is left of the tightest limit; 1 where nothing is known."""
        limits = self._known.get(name)
        if limits is None:
            return 1.0
        now = self._clock()
        if limits.not_before > now:
            return 0.0
        return min((max(0.0, limit.read(now) / limit.limit) for limit in limits.by_kind.values()), default=1.0)

    def snapshot(self) -> bytes:
        """Return what is known as JSON for `merge` of other replicas; it holds ages, so clocks need not agree."""
        now = self._clock()
        reports = {name: _to_report(limits, now) for name, limits in self._known.items()}
        return msgspec.json.encode({name: report for name, report in reports.items() if report.limits or report.wait_s})

    def merge(self, snapshot: bytes) -> None:
        """Take over what another replica heard later than this one; what cannot be read is ignored as a whole.

        What was sent from here since the last report that counted is taken out: the other one does not know of it.
        """
        try:
            reports = _REPORTS.decode(snapshot)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        now = self._clock()
        for name, report in reports.items():
            self._merge(self._limits(name), report, now)

    def keep(self, names: Collection[str]) -> None:
        """Forget every deployment but these."""
        self._known = {name: limits for name, limits in self._known.items() if name in names}

    def _learn(self, name: str, told: dict[bytes, bytes], now: float) -> None:
        limits = self._limits(name)
        left = [self._take_report(limits, names, told, now) for names in _LIMITS if names.remaining in told]
        if _RETRY not in told and _RETRY_MS not in told:
            return
        wait_s = read_wait_s(told.get(_RETRY_MS), told.get(_RETRY), self._wall_clock)
        # Where nothing is used up, the wait is for the size of the call that was refused: smaller ones may go.
        is_for_all = len(left) < 2 or any(remaining is None or remaining < 1 for remaining in left)
        if wait_s is not None and is_for_all:
            limits.not_before = now + min(wait_s, MOST_RETRY_AFTER_S)

    def _take_report(self, limits: _Limits, names: _Names, told: dict[bytes, bytes], now: float) -> int | None:
        """Take in one limit; return what remains, None where it cannot be read."""
        remaining = _read_count(told[names.remaining])
        if remaining is None:
            return None
        known = limits.by_kind.get(names.kind)
        limit = _read_count(told.get(names.limit, b"")) or (known.limit if known else remaining)
        if limit <= 0:
            return remaining
        if known is None:
            known = limits.by_kind[names.kind] = _Limit()
        reset = told.get(names.reset)
        known.report(limit, remaining, None if reset is None else read_reset_s(reset, self._wall_clock), now)
        return remaining

    def _merge(self, limits: _Limits, report: _Report, now: float) -> None:
        for told in report.limits:
            if told.age_s >= FORGET_S:
                continue
            known = limits.by_kind.setdefault(told.kind, _Limit())
            reported_at = now - told.age_s
            if reported_at > known.reported_at:
                known.limit, known.per_s = told.limit, told.per_s
                known.level, known.at, known.reported_at = min(told.level, told.limit) - known.sent, now, reported_at
                known.sent = 0.0
        limits.not_before = max(limits.not_before, now + report.wait_s)

    def _limits(self, name: str) -> _Limits:
        limits = self._known.get(name)
        if limits is None:
            limits = self._known[name] = _Limits()
        return limits


def _amount(kind: Kind, tokens: int) -> float:
    if kind == "requests":
        return 1.0
    return 0.0 if kind == "output-tokens" else float(tokens)


def _to_report(limits: _Limits, now: float) -> _Report:
    fresh = [(kind, limit) for kind, limit in limits.by_kind.items() if now - limit.reported_at < FORGET_S]
    return _Report(
        [_LimitReport(k, m.limit, m.read(now), m.per_s, max(0.0, now - m.reported_at)) for k, m in fresh],
        max(0.0, limits.not_before - now),
    )


def _read_count(value: bytes) -> int | None:
    return int(value) if len(value) <= 15 and value.isdigit() else None
