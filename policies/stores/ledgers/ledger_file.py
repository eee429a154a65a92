"""The SQLite file in which an embedded ledger is kept: rows are added, summed up, read in order and dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain.usage import Usage
from gateway.sqlite.file import DURABLE, SqliteFile, SqliteView
from policies.stores.ledgers.base import (
    TOKEN_CLASSES,
    BadCursorError,
    Group,
    Page,
    Selection,
    TooManyRowsError,
    UsageQuery,
    UsageRecord,
    UsageRow,
)
from policies.stores.ledgers.summing import day_of, hour_of

_MIGRATIONS: Final = (
    """
    CREATE TABLE usage (
        id TEXT PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL,
        organisation TEXT NOT NULL, team TEXT NOT NULL, key TEXT NOT NULL, user TEXT NOT NULL, route TEXT NOT NULL,
        requested_model TEXT NOT NULL, routed_model TEXT NOT NULL, answered_model TEXT NOT NULL,
        upstream TEXT NOT NULL, tier TEXT NOT NULL, cache TEXT NOT NULL, status INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
        input_audio_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        output_audio_tokens INTEGER NOT NULL, provenance TEXT NOT NULL,
        cost_microusd INTEGER NOT NULL, is_priced INTEGER NOT NULL, held_microusd INTEGER NOT NULL,
        under_reserved_microusd INTEGER NOT NULL, kind TEXT NOT NULL
    ) STRICT;
    CREATE INDEX usage_by_time ON usage (at, id);
    """,
)
"""The statements that lead from each version of the schema to the next; the file's `user_version` counts them."""

_BEFORE: Final = UsageRecord.__struct_fields__[:15]
_AFTER: Final = UsageRecord.__struct_fields__[16:]
_COLUMNS: Final = (*_BEFORE, *TOKEN_CLASSES, "provenance", *_AFTER)
"""The fields of a record, with those of its usage in the place of `usage`."""

_INSERT: Final = f"INSERT OR IGNORE INTO usage ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  names of our own

_EXPRESSIONS: Final[dict[Group, str]] = {
    "key": "team || '/' || key",
    "model": "routed_model",
    "day": "CAST(at / 86400 AS INTEGER)",
    "hour": "CAST(at / 3600 AS INTEGER)",
}
"""What a group is in SQL, where it is not the column of its name."""

_NAMES: Final = {"day": day_of, "hour": hour_of}

_SUMS: Final = ", ".join(
    (
        "sum(kind = 'answer')",
        "sum(kind = 'expired')",
        "sum(NOT is_priced)",
        *(f"sum({name})" for name in (*TOKEN_CLASSES, "cost_microusd")),
        "sum(CASE kind WHEN 'expired' THEN cost_microusd ELSE 0 END)",
        "sum(held_microusd)",
        "sum(under_reserved_microusd)",
    )
)

_DROPPED_AT_ONCE: Final = 1000
"""Rows of one step of pruning, so that records which come in meanwhile wait for milliseconds only."""

_ASKED_AT_ONCE: Final = 500
"""Ids in one question; SQLite takes 999 values in its oldest builds (sqlite.org/limits.html)."""


class LedgerFile:
    """One connection to the file that only reads; every method belongs to one thread, and fails as `SqliteView` does.

    Args:
        path: where.
    """

    def __init__(self, path: Path) -> None:
        self._view = SqliteView(path, len(_MIGRATIONS))

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up; see `LedgerView.usage`."""
        groups = [_EXPRESSIONS.get(group, group) for group in query.group_by]
        where, values = _where(query)
        by = f" GROUP BY {', '.join(groups)}" if groups else ""
        statement = f"SELECT {', '.join([*groups, _SUMS])} FROM usage{where}{by} LIMIT ?"  # noqa: S608  names of our own
        found = self._view.rows(statement, (*values, query.max_rows + 1))
        if len(found) > query.max_rows:
            raise TooManyRowsError(query.max_rows)
        return sorted((_summed(query.group_by, row) for row in found), key=lambda row: row.group) or _nothing(query)

    def page(self, selection: Selection, limit: int, after: str) -> Page:
        """Return some records; see `LedgerView.page`."""
        where, values = _where(selection)
        if after:
            where = f"{where} AND (at, id) > (?, ?)" if where else " WHERE (at, id) > (?, ?)"
            values += _place(after)
        statement = f"SELECT {', '.join(_COLUMNS)} FROM usage{where} ORDER BY at, id LIMIT ?"  # noqa: S608  names of our own
        records = [_from_row(row) for row in self._view.rows(statement, (*values, limit + 1))]
        is_last = len(records) <= limit
        records = records[:limit]
        return Page(records, "" if is_last else f"{records[-1].at!r} {records[-1].id}")

    def of_ids(self, ids: Sequence[str]) -> list[UsageRecord]:
        """Return the records that have these ids, in no order."""
        found: list[UsageRecord] = []
        for at in range(0, len(ids), _ASKED_AT_ONCE):
            some = tuple(ids[at : at + _ASKED_AT_ONCE])
            marks = ", ".join("?" * len(some))
            statement = f"SELECT {', '.join(_COLUMNS)} FROM usage WHERE id IN ({marks})"  # noqa: S608  names of our own
            found += map(_from_row, self._view.rows(statement, some))
        return found

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._view.close()


class LedgerWriter(LedgerFile):
    """The connection that makes the file, adds rows and drops them.

    Args:
        path: where; its folder must exist. The file is readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # What is moved here is dropped where it was.
        self._view = self._file = SqliteFile(path, _MIGRATIONS, pragmas=DURABLE)

    def add(self, records: Iterable[UsageRecord]) -> int:
        """Write records in one commit that outlives a power cut; those known by their ids change nothing.

        Returns:
            How many were new.
        """
        # One row a step: the interpreter is free for the event loop during each of them.
        return self._file.transact(lambda connection: connection.executemany(_INSERT, map(_to_row, records)).rowcount)

    def drop_some(self, before: float) -> int:
        """Drop some of the records from before a moment; returns how many that were."""
        some = "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE at < ? ORDER BY at LIMIT ?)"
        return self._file.transact(lambda connection: connection.execute(some, (before, _DROPPED_AT_ONCE)).rowcount)


def _where(selection: Selection) -> tuple[str, tuple[float | str, ...]]:
    team, _, key = (selection.key or "").rpartition("/")
    wanted: list[tuple[str, float | str | None]] = [
        ("at >= ?", selection.since),
        ("at < ?", selection.until),
        ("team = ?", selection.team),
        ("team = ?", team or None),
        ("key = ?", key if selection.key is not None else None),
        ("routed_model = ?", selection.model),
    ]
    conditions = [(condition, value) for condition, value in wanted if value is not None]
    if not conditions:
        return "", ()
    return " WHERE " + " AND ".join(one for one, _ in conditions), tuple(value for _, value in conditions)


def _place(after: str) -> tuple[float, str]:
    at, _, record_id = after.partition(" ")
    try:
        return float(at), record_id
    except ValueError as error:
        raise BadCursorError("no page was named so") from error


def _summed(groups: tuple[Group, ...], row: tuple[Any, ...]) -> UsageRow:
    names = (_NAMES[group](name) if group in _NAMES else name for group, name in zip(groups, row, strict=False))
    return UsageRow(tuple(names), *(amount or 0 for amount in row[len(groups) :]))


def _nothing(query: UsageQuery) -> list[UsageRow]:
    return [] if query.group_by else [UsageRow(())]


def _to_row(record: UsageRecord) -> tuple[float | str, ...]:
    usage = record.usage
    return (
        record.id, record.request_id, record.at, record.organisation, record.team, record.key, record.user,
        record.route, record.requested_model, record.routed_model, record.answered_model, record.upstream,
        record.tier, record.cache, record.status, usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens,
        usage.input_audio_tokens, usage.output_tokens, usage.reasoning_tokens, usage.output_audio_tokens,
        usage.provenance, record.cost_microusd, record.is_priced, record.held_microusd,
        record.under_reserved_microusd, record.kind,
    )  # fmt: skip


def _from_row(row: tuple[Any, ...]) -> UsageRecord:
    fields: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    fields["usage"] = msgspec.convert({name: fields[name] for name in (*TOKEN_CLASSES, "provenance")}, Usage)
    fields["is_priced"] = bool(fields["is_priced"])
    return UsageRecord(**{name: fields[name] for name in UsageRecord.__struct_fields__})
