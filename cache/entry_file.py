"""The SQLite file of cached answers, as one thread sees it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cache.base import Entry, Selection, id_text
from cache.sealed import open_entry, seal_entry
from gateway.sealing import Sealer
from gateway.sqlite.file import Connection, SqliteFile, SqliteView

_MIGRATIONS: Final = (
    "",
    "",
    """
    DROP TABLE IF EXISTS entry;
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
    """,
)
"""The statements that lead from each version of the tables to the next. The first two kept answers as they were."""

_EXPIRED_AT_ONCE: Final = 64
"""Expired rows that a commit takes along."""


class EntryFile:
    """A connection to the file that only reads; every method belongs to one thread, and fails as `SqliteView` does.

    Args:
        path: where; its folder must exist.
        sealer: what entries are sealed with. Who may have them, until when, and their sizes stand beside them as they
            are.
    """

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._sealer = sealer
        self._view = SqliteView(path, len(_MIGRATIONS))

    def get(self, entry_id: int) -> Entry | None:
        """Read one entry.

        Raises:
            UnreadableEntryError: there is something else in its place.
        """
        rows = self._view.rows("SELECT sealed FROM entry WHERE id = ?", (entry_id,))
        return open_entry(self._sealer, rows[0][0], place=_place(entry_id)) if rows else None

    def close(self) -> None:
        """Close the file; the next call would open it again."""
        self._view.close()


class EntryWriter(EntryFile):
    """The connection that makes the file and writes it."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        super().__init__(path, sealer)
        self._view = self._file = SqliteFile(path, _MIGRATIONS, on_open=self._count)
        self._used = 0

    def write(self, batch: Mapping[int, Entry | None], touched: Iterable[int], now: float) -> list[int]:
        """Carry out changes in one commit and drop some of what has expired; returns the numbers of that."""

        def change(connection: Connection) -> list[int]:
            used = [(self._next(), number) for number in touched]
            connection.executemany("UPDATE entry SET used = ? WHERE id = ?", used)
            _delete(connection, [number for number, entry in batch.items() if entry is None])
            rows = [self._to_row(number, entry) for number, entry in batch.items() if entry is not None]
            connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            ended = "SELECT id FROM entry WHERE expires_at <= ? LIMIT ?"
            expired = [number for (number,) in connection.execute(ended, (now, _EXPIRED_AT_ONCE))]
            _delete(connection, expired)
            return expired

        return self._file.transact(change)

    def sizes(self) -> tuple[OrderedDict[int, int], int]:
        """Return the size of every entry by its number, the least recently used first, and the sum.

        A file that is damaged is removed: a cache has nothing that cannot be made again.
        """
        sizes = OrderedDict(self._file.rows_or_anew("SELECT id, size FROM entry ORDER BY used"))
        return sizes, sum(sizes.values())

    def select(self, selection: Selection) -> list[int]:
        """Return the numbers of some entries."""
        wanted = {"tenant": selection.tenant, "scope": selection.scope, "model": selection.answered_model}
        named = {name: value for name, value in wanted.items() if value is not None}
        query = "SELECT id FROM entry WHERE 1" + "".join(f" AND {name} = ?" for name in named)  # noqa: S608  our names
        return [number for (number,) in self._file.rows(query, tuple(named.values()))]

    def _to_row(self, number: int, entry: Entry) -> tuple[object, ...]:
        labels = entry.expires_at, entry.tenant, entry.scope, entry.answered_model
        sealed = seal_entry(self._sealer, entry, place=_place(number))
        return (number, entry.size, self._next(), *labels, sealed)

    def _next(self) -> int:
        self._used += 1
        return self._used

    def _count(self, connection: Connection) -> None:
        (self._used,) = connection.execute("SELECT ifnull(max(used), 0) FROM entry").fetchone()


def _place(number: int) -> bytes:
    return id_text(number).encode()


def _delete(connection: Connection, numbers: Iterable[int]) -> None:
    connection.executemany("DELETE FROM entry WHERE id = ?", [(number,) for number in numbers])
