"""The files that `tierway eval` reads, and how far it is."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.cli.base import fail

_TELL_S: Final = 2.0
"""Seconds between two lines of progress."""

_NAMES: Final = {str: "a text", int: "a number", list: "a list"}


def read_rows(path: Path, columns: Mapping[str, type], optional: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines, plain or gzip; exit with a message where one is not as expected.

    Args:
        path: of the file.
        columns: the ones that are kept of each row, with their types, and
        optional: those that may be absent, which are texts; no other is read.
    """
    return list(_rows(path, columns, optional))


def write_rows(rows: Iterator[dict[str, Any]]) -> None:
    """Write rows to standard output, a line each."""
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    for row in rows:
        out.write(encode(row) + b"\n")
    out.flush()


class Progress:
    """Says on standard error how far it is, every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._told_at = self._began = time.monotonic()

    def tell(self, done: int) -> None:
        """Say how many are done."""
        now = time.monotonic()
        if done == self._total:
            print(f"tierway: {done} rows in {now - self._began:.1f} s", file=sys.stderr)
        elif now - self._told_at >= _TELL_S:
            self._told_at = now
            print(f"tierway: {done} of {self._total}", file=sys.stderr)


def _rows(path: Path, columns: Mapping[str, type], optional: Sequence[str]) -> Iterator[dict[str, Any]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, columns, optional, f"{path}:{number}")
    except OSError as error:
        fail(f"eval: {path}: cannot be read ({error.strerror or error})", status=2)
    except EOFError:
        fail(f"eval: {path}: the gzip file ends too early", status=2)


def _row(line: str, columns: Mapping[str, type], optional: Sequence[str], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        fail(f"eval: {where}: no JSON", status=2)
    if not isinstance(row, dict):
        fail(f"eval: {where}: an object is expected", status=2)
    for column, kind in columns.items():
        value = row.get(column)
        if not isinstance(value, kind) or isinstance(value, bool):
            fail(f"eval: {where}: '{column}' must be {_NAMES[kind]}", status=2)
    others = (column for column in optional if isinstance(row.get(column), str))
    return {column: row[column] for column in (*columns, *others)}
