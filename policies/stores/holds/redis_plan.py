"""A caller's meters as the scripts on Redis take them: what stays the same is encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.redis.connection import Script
from policies.counters import STEP_BACK_MS
from policies.meters import UNITS, Meter, Standing, Unit
from policies.windows import SlidingWindow, TotalWindow, Window

MOST: Final = (1 << 53) - 1
"""The largest cap the scripts compare with: Lua counts in doubles, which are exact up to here."""

_SLACK_MS: Final = 2 * STEP_BACK_MS
"""How much longer than its window a meter is kept: the longest step back of a clock, and a day of 25 hours."""

_VALUES: Final = 7
_LENGTHS: Final = tuple(b"$%d\r\n" % length for length in range(512))
_encode: Final = msgspec.msgpack.encode
_window_of: Final = msgspec.json.Decoder(Window | None)


class Moment:
    """What a window looks like at a moment, and from when until when that holds.

    Attributes:
        current: the bucket under way.
        ahead: the latest bucket that may be under way elsewhere while this clock is taken to be late, not to have
            jumped back.
        since_ms, until_ms: the stretch in which both stay the same.
    """

    __slots__ = ("ahead", "current", "since_ms", "until_ms")

    def __init__(self, window: Window | None, at_ms: int) -> None:
        if window is None or isinstance(window, TotalWindow):
            self.current = self.ahead = 0
            self.since_ms, self.until_ms = -(1 << 62), 1 << 62
            return
        late_ms = min(window.span_ms, STEP_BACK_MS)
        self.current, self.ahead = window.bucket(at_ms), window.bucket(at_ms + late_ms)
        self.since_ms = max(window.starts_ms(self.current), window.starts_ms(self.ahead) - late_ms)
        self.until_ms = min(window.ends_ms(self.current), window.ends_ms(self.ahead) - late_ms)


class Row:
    """One meter of a plan, with the expiry of the bucket last asked for."""

    __slots__ = ("_bucket", "_expires_s", "meter")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._bucket: int | None = None
        self._expires_s: float | None = None

    def expires_s(self, bucket: int) -> float | None:
        """Return when a bucket leaves the window, seconds since the epoch; None where it never does."""
        if bucket != self._bucket:
            window = self.meter.window
            expires_ms = None if window is None else window.expires_ms(bucket)
            self._bucket, self._expires_s = bucket, None if expires_ms is None else expires_ms / 1000.0
        return self._expires_s

    def standing(self, used: int, newest: int, now: float) -> Standing:
        """Return how the meter stands, `newest` being its newest bucket."""
        return Standing(self.meter, used, self.meter.cap, self.resets_at(used, newest, now))

    def resets_at(self, used: int, newest: int, now: float) -> float | None:
        """Return when all that counts now has left; see `Standing`."""
        if not used and not _is_still(self.meter.window):
            return now
        return self.expires_s(newest)


class Plan:
    """A caller's meters, encoded.

    Attributes:
        keys: their keys on Redis, as bulk strings.
        blob: seven values a meter, as `lua/counter.lua` describes them.
        digest: of the keys on Redis.
        reserve_head, settle_head: the beginnings of these commands, up to the hold's key.
        reserve_body: what stands between the hold's key and the moment.
    """

    __slots__ = (
        "_moment",
        "_since_ms",
        "_until_ms",
        "blob",
        "digest",
        "keys",
        "meters",
        "reserve_body",
        "reserve_head",
        "rows",
        "settle_head",
    )

    def __init__(self, meters: tuple[Meter, ...], prefix: bytes, reserve: Script, settle: Script) -> None:
        if len({meter.key for meter in meters}) != len(meters):
            raise ValueError("a key stands twice among the meters")
        self.meters, self.rows = meters, [Row(meter) for meter in meters]
        names = [prefix + b"meter:" + meter.key.encode() for meter in meters]
        self.keys = b"".join(bulk(name) for name in names)
        self.blob = _encode([value for meter in meters for value in _values(meter)])
        self.digest = hashlib.blake2b(b"\n".join(names), digest_size=8).hexdigest().encode()
        leases = bulk(prefix + b"leases")
        self.reserve_head = head(reserve, 2 + len(meters), 4) + leases
        self.settle_head = head(settle, 2 + len(meters), 3) + leases
        self.reserve_body = self.keys + bulk(self.blob)
        self._moment, self._since_ms, self._until_ms = b"", 0, 0

    def moment(self, at_ms: int, find: Callable[[Window | None, int], Moment]) -> bytes:
        """Return two values a meter, as a bulk string: the bucket under way and the latest of a late clock.

        Args:
            at_ms: milliseconds since the epoch.
            find: returns what a window looks like then.
        """
        if not self._since_ms <= at_ms < self._until_ms:
            moments = [find(meter.window, at_ms) for meter in self.meters]
            self._since_ms = max((moment.since_ms for moment in moments), default=at_ms)
            self._until_ms = min((moment.until_ms for moment in moments), default=at_ms)
            self._moment = bulk(_encode([one for moment in moments for one in (moment.current, moment.ahead)]))
        return self._moment


def read_plan(blob: bytes, prefix: bytes, reserve: Script, settle: Script) -> Plan:
    """Make a plan of what a hold of another replica keeps; it knows the meters but not whose they are."""
    values = msgspec.msgpack.decode(blob)
    rows = [values[at : at + _VALUES] for at in range(0, len(values), _VALUES)]
    return Plan(tuple(_meter(row) for row in rows), prefix, reserve, settle)


def bulk(value: bytes) -> bytes:
    """Return an argument of a command as it is sent."""
    length = len(value)
    before = _LENGTHS[length] if length < len(_LENGTHS) else b"$%d\r\n" % length
    return before + value + b"\r\n"


def head(script: Script, keys: int, arguments: int) -> bytes:
    """Return the beginning of a command that runs a script, up to its first key."""
    return b"*%d\r\n$7\r\nEVALSHA\r\n%b%b" % (3 + keys + arguments, bulk(script.sha.encode()), bulk(b"%d" % keys))


def _values(meter: Meter) -> tuple[str, int, int, int, str, int, int]:
    window = meter.window
    older = window.buckets if isinstance(window, SlidingWindow) else 0
    ttl_ms = 0 if window is None or isinstance(window, TotalWindow) else _ttl_ms(window.span_ms, older)
    text = f"{meter.unit}|{msgspec.json.encode(window).decode()}"
    soft = -1 if meter.soft is None else min(meter.soft, MOST)
    return meter.key, UNITS.index(meter.unit) + 1, min(meter.cap, MOST), soft, text, older, ttl_ms


def _meter(values: list[int | str]) -> Meter:
    key, unit, cap, soft, text, _, _ = values
    name: Unit = UNITS[int(unit) - 1]
    window = _window_of.decode(str(text).partition("|")[2])
    return Meter(str(key), "", name, int(cap), window, None if int(soft) < 0 else int(soft))


def _ttl_ms(span_ms: int, older: int) -> int:
    return span_ms + (span_ms // older if older else 0) + _SLACK_MS


def _is_still(window: Window | None) -> bool:
    return window is None or isinstance(window, TotalWindow)
