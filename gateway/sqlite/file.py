"""One SQLite file in WAL mode; its `user_version` counts the migrations that made its tables."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

log = logging.getLogger("tierway")

T = TypeVar("T")

Connection = sqlite3.Connection

FILE_ERRORS: Final = (sqlite3.Error, OSError)
"""What a file fails with."""

FORGETFUL: Final = ("synchronous = NORMAL", "secure_delete = ON")
"""Commits outlive the process, a power cut may take the last ones. What is deleted is overwritten."""

DURABLE: Final = ("synchronous = FULL",)
"""Commits outlive a power cut."""

_MAX_WAL_BYTES: Final = 16 << 20

_PATIENCE_S: Final = 5.0
"""Seconds that another connection's commit is waited for."""


class SqliteView:
    """A connection that only reads, beside the one that writes. It is opened by its first use.

    Methods raise one of `FILE_ERRORS`, after which the file is opened afresh by the next one. Threads take turns.

    Args:
        path: where.
        version: of the tables; a file of another one is not read.
    """

    def __init__(self, path: Path, version: int) -> None:
        self._path, self._version = path, version
        self._connection: Connection | None = None

    @property
    def is_there(self) -> bool:
        """Whether anything has been written."""
        return self._connection is not None or self._path.exists()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return what a query finds; nothing while there is no file, or its tables are not made."""
        if not self.is_there:
            return []
        with self._opened() as connection:
            return [] if connection is None else connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _opened(self) -> Iterator[Connection | None]:
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except FILE_ERRORS:
            self.close()
            raise

    def _open(self) -> Connection | None:
        connection = _connect(self._path)
        try:
            connection.execute("PRAGMA query_only = ON")
            is_ready = _version_of(connection, self._version) == self._version
        except BaseException:
            connection.close()
            raise
        if is_ready:
            return connection
        connection.close()
        return None


class SqliteFile(SqliteView):
    """The connection that makes a file and writes it; what it reads is what it wrote. See `SqliteView`.

    Args:
        path: where; its folder must exist. The file is readable by its owner only.
        migrations: the statements that lead from each version of the tables to the next.
        pragmas: how commits and deletions reach the disk.
        on_open: is given each new connection, and may count what is there: a failure has rolled back what was not
            committed.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        *,
        pragmas: Sequence[str] = FORGETFUL,
        on_open: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        super().__init__(path, len(migrations))
        self._migrations, self._pragmas, self._on_open = migrations, pragmas, on_open

    def transact(self, verb: Callable[[Connection], T]) -> T:
        """Do something in one transaction, whole or not at all; the file is made where there is none."""
        with self._opened() as connection:
            assert connection is not None  # noqa: S101  a writer's `_open` returns one
            with connection:
                return verb(connection)

    def rows_or_anew(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Do as `rows` does, but for a file that is damaged, or of a newer version: it is removed.

        For what can be made again, such as a cache.
        """
        try:
            return self.rows(query, values)
        except sqlite3.OperationalError:  # the disk's fault, or that of another who holds a lock
            raise
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged or of a newer version: begun anew (%s)", self._path.name, type(error).__name__)
            for end in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            return []

    def _open(self) -> Connection:
        self._path.touch(mode=0o600)
        connection = _connect(self._path)
        try:
            for pragma in ("journal_mode = WAL", f"journal_size_limit = {_MAX_WAL_BYTES}", *self._pragmas):
                connection.execute(f"PRAGMA {pragma}")
            version = _version_of(connection, self._version)
            for number, statements in enumerate(self._migrations[version:], start=version + 1):
                connection.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {number}; COMMIT;")
            self._on_open(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _connect(path: Path) -> Connection:
    # The threads take turns through an executor, or close what no thread uses any more.
    return sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False)


def _version_of(connection: Connection, newest: int) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise sqlite3.DatabaseError(f"the file has schema {version}, newer than {newest}")
    return int(version)
