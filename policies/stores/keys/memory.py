"""Keys in memory: for tests, and for gateways whose keys all stand in the settings file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from policies.stores.keys.base import KeyExistsError, KeyRecord


class MemoryKeyStore:
    """Keeps keys for the life of the process."""

    def __init__(self) -> None:
        self._records: dict[str, KeyRecord] = {}
        self._version = 0

    def load(self) -> Sequence[KeyRecord]:
        """Return every key; see `KeyStore.load`."""
        return list(self._records.values())

    def add(self, record: KeyRecord) -> None:
        """Keep a key; see `KeyStore.add`."""
        for known in self._records.values():
            if (known.team, known.name) == (record.team, record.name) and known.revoked_at is None:
                raise KeyExistsError(f"{record.team}/{record.name}")
        self._records[record.id] = record
        self._version += 1

    def revoke(self, key_id: str, at: float) -> bool:
        """Mark a key as revoked; see `KeyStore.revoke`."""
        record = self._records.get(key_id)
        if record is None or record.revoked_at is not None:
            return False
        self._records[key_id] = msgspec.structs.replace(record, revoked_at=at)
        self._version += 1
        return True

    def version(self) -> int:
        """Return how often the keys changed."""
        return self._version

    def close(self) -> None:
        """Nothing to let go of."""
