"""Answers by idempotency key in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.domain.errors import IdempotencyKeyReusedError
from gateway.flights.once.base import Attached, New, Stored
from gateway.flights.records import Record
from gateway.flights.settings import IdempotencySettings


class _Kept(msgspec.Struct, frozen=True):
    """What is known of a key.

    Attributes:
        token: of the attempt that answers it, empty once it is answered.
        ends_at: seconds of the store's clock.
    """

    digest: bytes
    token: bytes
    record: Record | None
    ends_at: float

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return 512 if self.record is None else self.record.size


class MemoryOnceStore:
    """Keeps answers for the life of the process, up to a number of bytes; the oldest go first.

    Args:
        settings: how long and how much.
        clock: seconds that never go back.
    """

    def __init__(self, settings: IdempotencySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._most_bytes = int(settings.memory_mb * 2**20)
        self._kept: dict[bytes, _Kept] = {}
        self.bytes = 0
        self.lost = 0

    async def begin(self, attempt: New) -> New | Attached | Stored:
        """Begin to answer a request; see `OnceStore.begin`."""
        kept = self._find(attempt.name)
        if kept is None:
            self._put(attempt, None, self._settings.lease_s)
            return attempt
        if kept.digest != attempt.digest:
            raise reused()
        if kept.record is not None:
            return Stored(kept.record)
        return attempt if kept.token == attempt.token else Attached()

    async def complete(self, attempt: New, record: Record) -> None:
        """Keep the answer; see `OnceStore.complete`."""
        kept = self._find(attempt.name)
        if kept is not None and (kept.digest != attempt.digest or kept.record is not None):
            return
        if record.size > min(self._most_bytes, self._settings.record_mb * 2**20):
            self.lost += 1
            await self.fail(attempt)
            return
        self._put(attempt, record, self._settings.ttl_s)
        self._make_room()

    async def fail(self, attempt: New) -> None:
        """Let the key go; see `OnceStore.fail`."""
        kept = self._kept.get(attempt.name)
        if kept is not None and kept.token == attempt.token:
            self._drop(attempt.name)

    async def renew(self, attempt: New) -> bool:
        """Keep others waiting; see `OnceStore.renew`."""
        kept = self._find(attempt.name)
        if kept is None or kept.token != attempt.token:
            return False
        self._put(attempt, None, self._settings.lease_s)
        return True

    def _find(self, name: bytes) -> _Kept | None:
        kept = self._kept.get(name)
        if kept is not None and kept.ends_at <= self._clock():
            self._drop(name)
            return None
        return kept

    def _put(self, attempt: New, record: Record | None, lasts_s: float) -> None:
        self._drop(attempt.name)
        token = attempt.token if record is None else b""
        kept = self._kept[attempt.name] = _Kept(attempt.digest, token, record, self._clock() + lasts_s)
        self.bytes += kept.size

    def _make_room(self) -> None:
        """Drop the oldest answers; what is being answered stays, as its callers are counted on."""
        excess, doomed = self.bytes - self._most_bytes, []
        for name, kept in self._kept.items():
            if excess <= 0:
                break
            if kept.record is not None:
                doomed.append(name)
                excess -= kept.size
        for name in doomed:
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self.bytes -= kept.size


def reused() -> IdempotencyKeyReusedError:
    """Return the error for a key that belongs to another request."""
    message = "This Idempotency-Key was used for another request. Send this one with a key of its own."
    return IdempotencyKeyReusedError(message, param="Idempotency-Key")
