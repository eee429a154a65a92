"""The seam of the cache: what is kept, under which number, and where."""

from __future__ import annotations

import math
from typing import Final, Protocol

import msgspec

from gateway.domain.usage import Usage

OVERHEAD_BYTES: Final = 512
"""What an entry is taken to need around its body: the object, its strings, its place in an index."""

_HEX_DIGITS: Final = 16


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer worth giving again.

    Attributes:
        body: the answer, in whatever form the caller of the cache gave it.
        usage: what it consumed when it was made.
        stored_at: seconds of the cache's clock.
        expires_at: seconds of the cache's clock from which on it is not given any more.
        key: the whole key, of which the entry's number is a part.
        tenant: who shares it; see `cache.scope.tenant_of`.
        scope: within which it may be found by likeness; empty where it may not.
        routed_model: the model that was asked, by its name in the settings.
        cost_microusd: what it cost when it was made, and so what giving it again saves.
    """

    body: bytes
    usage: Usage
    answered_model: str
    stored_at: float
    expires_at: float = math.inf
    key: bytes = b""
    tenant: str = ""
    scope: bytes = b""
    routed_model: str = ""
    cost_microusd: int = 0

    @property
    def size(self) -> int:
        """Bytes it takes, with an allowance for the record around the body."""
        return len(self.body) + OVERHEAD_BYTES


class Hit(msgspec.Struct, frozen=True):
    """An answer found.

    Attributes:
        kind: `exact`, or `semantic` for one that was found by likeness.
        age_s: seconds since it was made, 0 or more.
        entry_id: the entry's number, as callers and operators see it.
        similarity: how alike the two requests are, 1 for equal ones.
    """

    entry: Entry
    kind: str
    age_s: float
    entry_id: str = ""
    similarity: float = 1.0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the entries: those for which everything that is named here holds; all where nothing is named."""

    tenant: str | None = None
    scope: bytes | None = None
    answered_model: str | None = None

    def has(self, entry: Entry) -> bool:
        """Tell whether an entry is among them."""
        return (
            self.tenant in (None, entry.tenant)
            and self.scope in (None, entry.scope)
            and self.answered_model in (None, entry.answered_model)
        )


class Backend(Protocol):
    """Keeps entries by number, 0 to 2**63 - 1, within a bound of bytes, dropping what was not used for longest.

    It does not look at when an entry expires but to drop it sooner or later. Methods raise `StageUnavailableError`
    where the store behind them is out of reach; a put that cannot be carried out is counted in `failed` instead.

    Attributes:
        failed: entries that were put and could not be kept.
        unreadable: those that were kept and could not be opened, as the key is another or they were damaged. Each was
            a miss, and is forgotten.
    """

    failed: int
    unreadable: int

    @property
    def bytes(self) -> int:
        """Return about how much is kept, by `Entry.size`."""

    async def get(self, entry_id: int) -> Entry | None:
        """Return an entry, which counts as a use of it."""

    async def put(self, entry_id: int, entry: Entry) -> None:
        """Keep an entry in place of any of its number. It can be got at once.

        One that is larger than a tenth of the bound is not kept: it is not worth the place of what would have to go.
        """

    async def delete(self, entry_id: int) -> bool:
        """Forget an entry; False where there was none."""

    async def clear(self, selection: Selection) -> int:
        """Forget some entries and return how many; what is put meanwhile may stay."""

    async def close(self) -> None:
        """Keep safe what waits to be kept, and let go of the store; twice is harmless."""


def number_of(key: bytes) -> int:
    """Return the number of the entry of a key: its first 63 bits, which the digest of a request fills evenly."""
    return int.from_bytes(key[:8], "big") >> 1


def id_text(entry_id: int) -> str:
    """Return a number as callers and operators see it: 16 hexadecimal digits."""
    return f"{entry_id:016x}"


def read_id(text: str) -> int | None:
    """Return the number that a text of `id_text` stands for, None for any other text."""
    if len(text) != _HEX_DIGITS or not text.isascii() or not text.isalnum():
        return None
    try:
        number = int(text, 16)
    except ValueError:
        return None
    return number if number < 1 << 63 else None
