"""The seam of what is kept of responses and conversations: one record type, and where records are kept."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

MAX_TEXT: Final = 512
"""Characters of an id, an owner, an upstream or a model; OpenAI's own ids have about 55."""

_AROUND: Final = 512
"""Bytes allowed for what stands around a record's sealed content: its fields, its row or its place in a dict."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Where a response or conversation lives, and its content when the gateway itself is that place.

    Attributes:
        owner: `organisation/team`.
        upstream: who made it and answers for it; empty when the gateway keeps the content.
        model: the routed model's name; empty for a conversation, which models share.
        created_at, expires_at: seconds since the epoch.
        sealed: the encrypted content; empty when an upstream keeps it.
    """

    id: str
    owner: str
    upstream: str
    model: str
    created_at: float
    expires_at: float
    sealed: bytes = b""

    @property
    def size(self) -> int:
        """Bytes it takes, with an allowance for the record around the content."""
        return len(self.sealed) + _AROUND

    @property
    def is_sound(self) -> bool:
        """Whether every text may be kept, see the function; all but the id may be empty."""
        return is_sound(self.id) and all(is_sound(text) for text in (self.owner, self.upstream, self.model) if text)


class ResponseStore(Protocol):
    """Keeps records by id, within its bound and until they expire. No call blocks the event loop.

    Attributes:
        failed: how many records were put and could not be kept.
    """

    failed: int

    async def put(self, record: Record) -> None:
        """Keep a record in place of any of its id; `get` sees it at once.

        Never raises: the answer was made and is on its way. A record that is unsound or too large, or meets a broken
        disk, is counted in `failed`, and what was kept under its id stays.
        """

    async def get(self, record_id: str) -> Record | None:
        """Return a record that has not expired.

        Raises:
            StageUnavailableError: the disk cannot be read, so that nobody knows.
        """

    async def delete(self, record_id: str) -> bool:
        """Forget a record; False when there is none of that id that has not expired.

        Raises:
            StageUnavailableError: the disk cannot be written, and the record may be there still.
        """

    async def sweep(self) -> int:
        """Drop what has expired and return how many that were; never raises."""

    async def close(self) -> None:
        """Write what waits to be written and let go of files; a second time changes nothing."""


def is_sound(text: str) -> bool:
    """Tell whether a text may be a key or a field: 1 to `MAX_TEXT` characters, all of which UTF-8 can write."""
    if not 0 < len(text) <= MAX_TEXT:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
