"""Holds in memory with a journal beside them, so that a killed process has lost nothing it said was settled.

A record is written before the call it belongs to returns: what is in the page cache survives the end of the process.
A thread has the disk write it down about once a second, for power cuts. When a journal has grown long, the next one
begins, and the thread writes how everything stood at the long one's end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from policies.meters import MAX_CAP, NOTHING, Demand, Meter, Standing, Unit
from policies.segments import Segments, framed
from policies.stores.holds.base import Expired, Granted, OnExpiry, Refused, Settled
from policies.stores.holds.memory import MemoryHoldStore, Snapshot
from policies.windows import Window

MAX_SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""How long a journal grows before the next begins: 100,000 calls or more, read again in seconds at a start."""

SMALL: Final = 10_000
"""Buckets and holds of which a snapshot is taken at once, in about a millisecond. Where there are more, the thread
finds out how everything stood by reading the journal, which costs as much time again as writing it."""

SYNC_S: Final = 1.0
"""How often what was written is put on the disk, in seconds: what a power cut may cost."""

_RETRY_BYTES: Final = 1024 * 1024
_SLICE: Final = 100
_PAUSE_S: Final = 0.001
"""The thread pauses after every `_SLICE` records, so that it keeps the loop waiting for a millisecond at most."""

_log = logging.getLogger("tierway.holds")


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A meter as the journal keeps it: without what is the policy's."""

    key: str
    unit: Unit
    window: Window | None


class _Defined(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """From here on, a number stands for these meters."""

    number: int
    meters: tuple[_Kept, ...]


class _Reserved(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    at: float
    hold_id: str
    number: int
    demand: Demand
    tier_index: int
    lease_s: float


class _Settled(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A hold was settled, released (nothing was consumed) or ended by its lease."""

    at: float
    hold_id: str
    actual: Demand


class _Extended(msgspec.Struct, frozen=True, array_like=True, tag=3):
    at: float
    hold_id: str
    lease_s: float


class _Exchanged(msgspec.Struct, frozen=True, array_like=True, tag=4):
    at: float
    hold_id: str
    number: int
    demand: Demand


_Record = _Defined | _Reserved | _Settled | _Extended | _Exchanged

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_record: Final = msgspec.msgpack.Decoder(_Record).decode
_decode_snapshot: Final = msgspec.msgpack.Decoder(Snapshot).decode


class JournaledHoldStore:
    """A `MemoryHoldStore` that is as it was after the process was killed. One process at a time, one thread.

    When the journal cannot be written, holds on budgets are refused and others are made all the same; the thread's
    next turn after it can be written again puts down how everything stands.

    Args:
        folder: where the journal is; made if it is not there. Reading it blocks: make the store off the event loop.
        clock: seconds since the epoch.
        on_expiry: what becomes of a hold whose lease ended.
        max_segment_bytes: how long a journal grows before the next one begins.
        sync_s: how often the disk is made to write, in seconds.

    Attributes:
        recovered: the holds that were open when the journal ended. They end by their leases, like any other, unless
            somebody knows what came of them.
        cut_bytes: what stood after the last whole record of the journal.
        failed_writes: records that could not be written.

    Raises:
        JournalInUseError: another store writes to the folder.
        OSError: the folder cannot be read or written.
        ValueError: a file there is of another kind or version.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        on_expiry: OnExpiry = "charge",
        *,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        sync_s: float = SYNC_S,
    ) -> None:
        self._clock, self._now = clock, clock()
        self._memory = MemoryHoldStore(lambda: self._now, on_expiry)
        self._segments = Segments(folder)
        self._numbers: dict[int, tuple[int, tuple[Meter, ...]]] = {}
        self._max_bytes, self._rotate_at, self._sync_s = max_segment_bytes, max_segment_bytes, sync_s
        self._snapshot: Snapshot | None = None
        self._is_behind = False
        self.failed_writes = 0
        self.cut_bytes = self._segments.cut_bytes
        replay = _load(self._segments, self._segments.number + 1, self._now)
        self._memory.restore([replay.store.snapshot()])
        self._next_number = replay.next_number
        self.recovered = self._memory.open_holds()
        self._is_closing, self._is_compacting = threading.Event(), threading.Event()
        self._wake = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="holds-journal", daemon=True)
        self._keeper.start()

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""
        text = "the journal cannot be written: requests with a budget are refused, others pass"
        return text if self._is_behind else ""

    async def reserve(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], *, lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`."""
        return self.reserve_now(hold_id, meters, demands, lease_s)

    async def exchange(
        self, hold_id: str, demand: Demand, *, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`."""
        return self.exchange_now(hold_id, demand, meters)

    async def settle(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`."""
        return self.settle_now(hold_id, actual)

    async def release(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`."""
        return self.release_now(hold_id)

    async def extend(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`."""
        return self.extend_now(hold_id, lease_s)

    async def sweep(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over; see `HoldStore.sweep`."""
        return self.sweep_now(now)

    async def standing(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`."""
        return self.standing_now(meters)

    async def outstanding(self) -> int:
        """Return how many holds are open."""
        return len(self._memory)

    async def close(self) -> None:
        """Write what is not yet on the disk and let go of the folder; see `HoldStore.close`."""
        self.close_now()

    def reserve_now(
        self, hold_id: str, meters: Sequence[Meter], demands: Sequence[Demand], lease_s: float
    ) -> Granted | Refused:
        """Hold the first demand that fits every meter; see `HoldStore.reserve`."""
        now = self._now = self._clock()
        if hold_id in self._memory:
            return self._memory.reserve_now(hold_id, meters, demands, lease_s)
        answer = self._memory.reserve_now(hold_id, meters, demands, lease_s)
        if type(answer) is Granted:
            tier = answer.tier_index
            number, definition = self._number(meters)
            record = _Reserved(now, hold_id, number, demands[tier], tier, lease_s)
            if not self._write(definition + framed(_encode(record))) and _has_budget(meters):
                self._memory.release_now(hold_id)
                raise StageUnavailableError("the journal of budgets cannot be written")
        return answer

    def exchange_now(
        self, hold_id: str, demand: Demand, meters: Sequence[Meter] | None = None
    ) -> Granted | Refused | None:
        """Replace what a hold holds by another ceiling; see `HoldStore.exchange`."""
        now = self._now = self._clock()
        answer = self._memory.exchange_now(hold_id, demand, meters)
        if type(answer) is Granted:
            kept = self._memory.meters_of(hold_id)
            number, definition = self._number(kept)
            # Where this fails the new ceiling stays held, and a restart finds the one whose call was made.
            record = definition + framed(_encode(_Exchanged(now, hold_id, number, demand)))
            if not self._write(record) and _has_budget(kept):
                raise StageUnavailableError("the journal of budgets cannot be written")
        return answer

    def settle_now(self, hold_id: str, actual: Demand) -> Settled:
        """Replace what a hold holds by what was consumed; see `HoldStore.settle`."""
        now = self._now = self._clock()
        settled = self._memory.settle_now(hold_id, actual)
        if settled.was_known:
            self._write(framed(_encode(_Settled(now, hold_id, actual))))
        return settled

    def release_now(self, hold_id: str) -> bool:
        """Close a hold of which nothing was consumed; see `HoldStore.release`."""
        return self.settle_now(hold_id, NOTHING).was_known

    def extend_now(self, hold_id: str, lease_s: float) -> bool:
        """Let a hold end by itself later; see `HoldStore.extend`."""
        now = self._now = self._clock()
        was_known = self._memory.extend_now(hold_id, lease_s)
        if was_known:
            self._write(framed(_encode(_Extended(now, hold_id, lease_s))))
        return was_known

    def sweep_now(self, now: float | None = None) -> list[Expired]:
        """End the holds whose lease is over; see `HoldStore.sweep`. Also catches up with the journal."""
        at = self._now = self._clock() if now is None else now
        expired = self._memory.sweep_now(at)
        for one in expired:
            self._write(framed(_encode(_Settled(at, one.hold_id, one.demand if one.charged else NOTHING))))
        if self._is_behind and not self._is_compacting.is_set():
            self._catch_up()
        return expired

    def standing_now(self, meters: Sequence[Meter]) -> tuple[Standing, ...]:
        """Return how meters stand; see `HoldStore.standing`."""
        self._now = self._clock()
        return self._memory.standing_now(meters)

    def close_now(self) -> None:
        """Write what is not yet on the disk and let go of the folder; twice is harmless."""
        self._is_closing.set()
        self._wake.set()
        self._keeper.join()
        try:
            self._segments.close()
        except OSError:
            _log.exception("the journal of holds could not be put on the disk")

    def _write(self, record: bytes) -> bool:
        if not self._segments.append(record):
            self.failed_writes += 1
            self._is_behind = True
            self._numbers.clear()  # a definition may be among what is missing
            return False
        if self._segments.size >= self._rotate_at and not self._is_compacting.is_set():
            is_small = self._memory.size <= SMALL
            self._begin_segment(self._memory.snapshot() if is_small else None)
        return True

    def _number(self, meters: Sequence[Meter]) -> tuple[int, bytes]:
        """Return what stands for meters in this segment, and the record that says so unless it is there."""
        known = self._numbers.get(id(meters))
        if known is not None:
            return known[0], b""
        number = self._next_number
        kept = tuple(_Kept(meter.key, meter.unit, meter.window) for meter in meters)
        definition = framed(_encode(_Defined(number, kept)))
        self._next_number += 1
        if type(meters) is tuple:  # a list may change later under the same identity
            self._numbers[id(meters)] = number, meters
        return number, definition

    def _begin_segment(self, snapshot: Snapshot | None) -> bool:
        """Go on in a new segment, and let the thread find out how everything stood before it, unless that is known."""
        if not self._segments.begin():
            self._rotate_at = self._segments.size + _RETRY_BYTES
            return False
        self._numbers.clear()
        self._next_number = 0
        self._rotate_at = self._max_bytes
        self._snapshot = snapshot
        self._is_compacting.set()
        self._wake.set()
        return True

    def _catch_up(self) -> None:
        # What could not be written is known here only, so it is this store's own standing that is put down.
        if self._begin_segment(self._memory.snapshot()):
            self._is_behind = False

    def _keep(self) -> None:
        """Put what was written on the disk from time to time, and replace long journals: the thread."""
        while not self._is_closing.is_set():
            self._wake.wait(self._sync_s)
            self._wake.clear()
            try:
                self._segments.sync()
                if self._is_compacting.is_set():
                    self._compact(self._segments.number)
            except OSError:
                self._is_behind = True
                _log.exception("the journal of holds could not be put on the disk")

    def _compact(self, number: int) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            replay = _load(self._segments, number, self._clock(), self._pause)
            if self._is_closing.is_set():
                return
            snapshot = replay.store.snapshot()
        self._segments.replace(number, [_encode(part) for part in _parts(snapshot)])
        self._snapshot = None
        self._is_compacting.clear()

    def _pause(self) -> bool:
        time.sleep(_PAUSE_S)
        return not self._is_closing.is_set()


class _Replay:
    """Does again what a journal says was done, at the times it says.

    Args:
        parts: how everything stood before.
        now: the moment at which it stands so where nothing was done since, seconds since the epoch.

    Attributes:
        store: how everything stands.
        next_number: the first number that stands for no meters yet.
    """

    def __init__(self, parts: Iterable[Snapshot], now: float) -> None:
        self._at = now
        self._meters: dict[int, tuple[Meter, ...]] = {}
        self.store = MemoryHoldStore(lambda: self._at)
        self.store.restore(parts)

    @property
    def next_number(self) -> int:
        return max(self._meters, default=-1) + 1

    def begin_segment(self) -> None:
        self._meters.clear()

    def apply(self, record: _Record) -> None:
        if isinstance(record, _Defined):
            self._meters[record.number] = tuple(
                Meter(one.key, "", one.unit, MAX_CAP, one.window) for one in record.meters
            )
            return
        self._at = record.at
        if isinstance(record, _Settled):
            self.store.settle_now(record.hold_id, record.actual)
        elif isinstance(record, _Extended):
            self.store.extend_now(record.hold_id, record.lease_s)
        else:
            self._hold(record, self._meters[record.number])

    def _hold(self, record: _Reserved | _Exchanged, meters: tuple[Meter, ...]) -> None:
        # A key may mean another window than before only once nothing counted for it: what is left of it here is empty.
        self.store.forget_changed(meters)
        if isinstance(record, _Reserved):
            self.store.readmit(record.hold_id, meters, record.demand, record.tier_index, record.lease_s)
        else:
            self.store.exchange_now(record.hold_id, record.demand, meters)


def _load(segments: Segments, below: int, now: float, pause: Callable[[], bool] = lambda: True) -> _Replay:
    """Find out how everything stood before a segment: the newest snapshot, and the journals since.

    Args:
        segments: where from.
        below: the number of that segment.
        now: seconds since the epoch.
        pause: called now and then; once it returns False the rest is left unread.
    """
    first, parts = segments.snapshot(below - 1)
    replay = _Replay((_decode_snapshot(part) for part in parts), now)
    for number in range(first, below):
        replay.begin_segment()
        for count, record in enumerate(segments.records(number), 1):
            replay.apply(_decode_record(record))
            if count % _SLICE == 0 and not pause():
                return replay
    return replay


def _parts(snapshot: Snapshot) -> Iterable[Snapshot]:
    """Cut a snapshot into pieces that are each written in well under a millisecond; to be restored in this order."""
    for at in range(0, len(snapshot.counters), _SLICE):
        yield Snapshot(snapshot.counters[at : at + _SLICE], [])
    for at in range(0, len(snapshot.holds), _SLICE):
        yield Snapshot([], snapshot.holds[at : at + _SLICE])


def _has_budget(meters: Iterable[Meter]) -> bool:
    return any(meter.unit == "microusd" for meter in meters)
