"""Keys in one SQLite file in WAL mode, shared by the gateway and the command line."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from policies.settings import LevelSettings
from policies.stores.keys.base import KeyExistsError, KeyRecord

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS api_key (
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    models TEXT NOT NULL,
    metadata TEXT NOT NULL,
    rules TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS live_api_key ON api_key (team, name) WHERE revoked_at IS NULL;
"""


class SqliteKeyStore:
    """Keeps keys in a file, which is made with the first key.

    Args:
        path: where; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def load(self) -> Sequence[KeyRecord]:
        """Return every key; see `KeyStore.load`."""
        with self._lock:
            connection = self._open()
            if connection is None:
                return []
            rows = connection.execute("SELECT * FROM api_key ORDER BY created_at, id").fetchall()
        return [_from_row(row) for row in rows]

    def add(self, record: KeyRecord) -> None:
        """Keep a key; see `KeyStore.add`."""
        row = msgspec.structs.asdict(record)
        row["models"] = msgspec.json.encode(record.models).decode()
        row["metadata"] = msgspec.json.encode(record.metadata).decode()
        row["rules"] = msgspec.json.encode(record.rules).decode()
        with self._lock:
            connection = self._open(create=True)
            assert connection is not None  # noqa: S101  create=True always opens
            try:
                with connection:
                    connection.execute(
                        "INSERT INTO api_key VALUES (:id, :team, :name, :digest, :created_at, :expires_at,"
                        " :revoked_at, :models, :metadata, :rules)",
                        row,
                    )
            except sqlite3.IntegrityError as error:
                raise KeyExistsError(f"{record.team}/{record.name}") from error

    def revoke(self, key_id: str, at: float) -> bool:
        """Mark a key as revoked; see `KeyStore.revoke`."""
        with self._lock:
            connection = self._open()
            if connection is None:
                return False
            with connection:
                changed = connection.execute(
                    "UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, key_id)
                )
            return changed.rowcount == 1

    def version(self) -> int:
        """Return the file's change counter, which moves on any process's write."""
        with self._lock:
            connection = self._open()
            if connection is None:
                return -1
            # data_version tells of other connections' writes, total_changes of this one's.
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return int(others) * 1_000_003 + connection.total_changes

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self, *, create: bool = False) -> sqlite3.Connection | None:
        if self._connection is None and (create or self._path.exists()):
            connection = sqlite3.connect(self._path, check_same_thread=False, timeout=5.0)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
            columns = {row["name"] for row in connection.execute("PRAGMA table_info(api_key)")}
            if "rules" not in columns:  # the file is of a version before keys had rules
                connection.execute("ALTER TABLE api_key ADD COLUMN rules TEXT NOT NULL DEFAULT '{}'")
            self._connection = connection
        return self._connection


def _from_row(row: sqlite3.Row) -> KeyRecord:
    fields = dict(row)
    fields["models"] = tuple(msgspec.json.decode(fields["models"], type=list[str]))
    fields["metadata"] = msgspec.json.decode(fields["metadata"], type=dict[str, str])
    fields["rules"] = msgspec.json.decode(fields["rules"], type=LevelSettings)
    return KeyRecord(**fields)
