"""The seam of the cache: what is kept, and where."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.domain.usage import Usage


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer worth giving again.

    Attributes:
        stored_at: seconds of the cache's clock.
        usage: what it consumed when it was made.
    """

    body: bytes
    usage: Usage
    answered_model: str
    stored_at: float

    @property
    def size(self) -> int:
        """Bytes it takes, with an allowance for the record around the body."""
        return len(self.body) + 512


class Hit(msgspec.Struct, frozen=True):
    """An answer found.

    Attributes:
        kind: `exact`.
        age_s: seconds since it was made.
    """

    entry: Entry
    kind: str
    age_s: float


class Backend(Protocol):
    """Keeps entries by key, within its bound, dropping what was not used for longest."""

    async def get(self, key: bytes) -> Entry | None:
        """Return the entry of a key."""

    async def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry."""

    async def delete(self, key: bytes) -> None:
        """Forget a key."""
