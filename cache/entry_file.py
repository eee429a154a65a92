"""The SQLite file of cached answers, as one thread sees it."""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from cache.base import Entry, Selection, id_text
from cache.sealed import open_entry, seal_entry
from gateway.sealing import Sealer

log = logging.getLogger("tierway")

_T = TypeVar("_T")

_SCHEMA: Final = """
    BEGIN IMMEDIATE;
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY,
        size INTEGER NOT NULL,
        used INTEGER NOT NULL,
        expires_at REAL NOT NULL,
        tenant TEXT NOT NULL,
        scope BLOB NOT NULL,
        model TEXT NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entry_by_end ON entry (expires_at);
    CREATE INDEX entry_by_use ON entry (used, id, size);
    PRAGMA user_version = 2;
    COMMIT;
"""
_VERSION: Final = 2
"""Of the schema; a file of another version is emptied: a cache has nothing that cannot be made again."""

_EXPIRED_AT_ONCE: Final = 64
"""Expired rows that a commit takes along."""

_MAX_WAL_BYTES: Final = 16 << 20


class EntryFile:
    """A connection to the file that only reads; every method belongs to one thread.

    Methods raise `sqlite3.Error` or `OSError`, after which the file is opened afresh by the next one.

    Args:
        path: where; its folder must exist.
        sealer: what entries are sealed with. Who may have them, until when, and their sizes stand beside them as they
            are.
    """

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._path, self._sealer = path, sealer
        self._connection: sqlite3.Connection | None = None

    def get(self, entry_id: int) -> Entry | None:
        """Read one entry.

        Raises:
            UnreadableEntryError: there is something else in its place.
        """
        rows = self._rows("SELECT sealed FROM entry WHERE id = ?", entry_id)
        return open_entry(self._sealer, rows[0][0], place=_place(entry_id)) if rows else None

    def close(self) -> None:
        """Close the file; the next call would open it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Return what a query finds; nothing while the file is not there, or not yet ours."""
        if self._connection is None and not self._path.exists():
            return []
        rows: list[Any] = self._in(
            lambda connection: connection.execute(query, values).fetchall() if connection else []
        )
        return rows

    def _in(self, verb: Callable[[sqlite3.Connection | None], _T]) -> _T:
        try:
            connection = self._connection or self._open()
            if connection is None:
                return verb(None)
            with connection:
                return verb(connection)
        except (sqlite3.Error, OSError):
            self.close()
            raise

    def _open(self) -> sqlite3.Connection | None:
        connection = sqlite3.connect(self._path, timeout=5.0)
        if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            connection.close()
            return None
        self._connection = connection
        return connection


class EntryWriter(EntryFile):
    """The connection that makes the file and writes it."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        super().__init__(path, sealer)
        self._used = 0

    def write(self, batch: Mapping[int, Entry | None], touched: Iterable[int], now: float) -> list[int]:
        """Carry out changes in one commit and drop some of what has expired; returns the numbers of that."""

        def change(connection: sqlite3.Connection | None) -> list[int]:
            assert connection is not None  # noqa: S101  a writer's `_open` returns one
            used = [(self._next(), number) for number in touched]
            connection.executemany("UPDATE entry SET used = ? WHERE id = ?", used)
            _delete(connection, [number for number, entry in batch.items() if entry is None])
            rows = [self._to_row(number, entry) for number, entry in batch.items() if entry is not None]
            connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            ended = "SELECT id FROM entry WHERE expires_at <= ? LIMIT ?"
            expired = [number for (number,) in connection.execute(ended, (now, _EXPIRED_AT_ONCE))]
            _delete(connection, expired)
            return expired

        return self._in(change)

    def sizes(self) -> tuple[OrderedDict[int, int], int]:
        """Return the size of every entry by its number, the least recently used first, and the sum.

        A file that is none of SQLite's, or damaged, is removed: a cache has nothing that cannot be made again.
        """
        try:
            sizes = OrderedDict(self._rows("SELECT id, size FROM entry ORDER BY used"))
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            log.warning("the cache's file is damaged and begun anew: %s", type(error).__name__)
            for end in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            sizes = OrderedDict()
        return sizes, sum(sizes.values())

    def select(self, selection: Selection) -> list[int]:
        """Return the numbers of some entries."""
        wanted = {"tenant": selection.tenant, "scope": selection.scope, "model": selection.answered_model}
        named = {name: value for name, value in wanted.items() if value is not None}
        query = "SELECT id FROM entry WHERE 1" + "".join(f" AND {name} = ?" for name in named)  # noqa: S608  our names
        return [number for (number,) in self._rows(query, *named.values())]

    def _to_row(self, number: int, entry: Entry) -> tuple[object, ...]:
        labels = entry.expires_at, entry.tenant, entry.scope, entry.answered_model
        sealed = seal_entry(self._sealer, entry, place=_place(number))
        return (number, entry.size, self._next(), *labels, sealed)

    def _next(self) -> int:
        self._used += 1
        return self._used

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = self._connection = sqlite3.connect(self._path, timeout=5.0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
        if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            connection.execute("DROP TABLE IF EXISTS entry")
            connection.executescript(_SCHEMA)
        (self._used,) = connection.execute("SELECT ifnull(max(used), 0) FROM entry").fetchone()
        return connection


def _place(number: int) -> bytes:
    return id_text(number).encode()


def _delete(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    connection.executemany("DELETE FROM entry WHERE id = ?", [(number,) for number in numbers])
