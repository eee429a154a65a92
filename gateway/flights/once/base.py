"""The seam of what is kept under idempotency keys."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.flights.records import Record


class New(msgspec.Struct, frozen=True):
    """The request is to be answered, and whoever sends it again meanwhile waits.

    Attributes:
        name: what its key is kept under.
        digest: of the request.
        token: this attempt's own.
    """

    name: bytes
    digest: bytes
    token: bytes


class Attached(msgspec.Struct, frozen=True):
    """The same request is being answered by another attempt."""


class Stored(msgspec.Struct, frozen=True):
    """The same request was answered."""

    record: Record


class OnceStore(Protocol):
    """Keeps answers by idempotency key, until they expire. Each verb is atomic between replicas.

    Attributes:
        lost: answers that could not be kept: too large, or the store was out of reach. They are made anew.
    """

    lost: int

    async def begin(self, attempt: New) -> New | Attached | Stored:
        """Begin to answer a request; again by the same attempt, it is the same. Cancelled, nothing is begun.

        Raises:
            IdempotencyKeyReusedError: the key belongs to another request.
            StageUnavailableError: nobody knows.
        """

    async def complete(self, attempt: New, record: Record) -> None:
        """Keep the answer. Never raises; the first whole answer to a request stays, whoever it was that made it."""

    async def fail(self, attempt: New) -> None:
        """Let the key go, so that the request may be made again; never raises."""

    async def renew(self, attempt: New) -> bool:
        """Keep others waiting for another while; False when the attempt is over or its time has passed.

        Raises:
            StageUnavailableError: nobody knows.
        """
