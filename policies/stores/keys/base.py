"""The seam of the key store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from policies.settings import LevelSettings


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: what the caller sends is not in it.

    Attributes:
        digest: BLAKE2b-256 of what the caller sends. Made keys carry 192 random bits, so a plain hash cannot be
            guessed back.
        created_at, expires_at, revoked_at: seconds since the epoch.
        models: shell patterns over model names.
        rules: what else holds for the key; `models` stands for theirs.
    """

    id: str
    team: str
    name: str
    digest: bytes
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    models: tuple[str, ...] = ("*",)
    metadata: dict[str, str] = {}
    rules: LevelSettings = LevelSettings()


class KeyStore(Protocol):
    """Keeps keys. Calls may block on a disk: never made on the event loop."""

    def load(self) -> Sequence[KeyRecord]:
        """Return every key, revoked ones too."""

    def add(self, record: KeyRecord) -> None:
        """Keep a key.

        Raises:
            KeyExistsError: a key of that team and name is there and not revoked.
        """

    def revoke(self, key_id: str, at: float) -> bool:
        """Mark a key as revoked; False when there is none of that id or it is revoked already."""

    def version(self) -> int:
        """Return a number that changes whenever any process changes the keys."""

    def close(self) -> None:
        """Let go of files."""


class KeyExistsError(Exception):
    """A key of that team and name is there and not revoked."""
