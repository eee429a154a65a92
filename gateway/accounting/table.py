"""Usage as a table: for programs, for spreadsheets and for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.money import PER_MILLION, format_usd
from policies.stores.ledgers.base import Group, UsageRow

COUNTS: Final = UsageRow.__struct_fields__[1:]
"""The fields of a row that are numbers."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet would run as a formula (OWASP, "CSV Injection", read 2026-11)."""

_HEADINGS: Final = ("REQUESTS", "INPUT", "CACHED", "OUTPUT", "USD", "UNDER-RESERVED USD")


def as_objects(group_by: Sequence[Group], rows: Sequence[UsageRow]) -> list[dict[str, Any]]:
    """Return one object a row: its groups by name, its numbers, and its cost in US dollars too."""
    return [
        dict(zip(group_by, row.group, strict=True))
        | {name: getattr(row, name) for name in COUNTS}
        | {"cost_usd": row.cost_microusd / PER_MILLION}
        for row in rows
    ]


def as_csv(group_by: Sequence[Group], rows: Sequence[UsageRow]) -> str:
    """Return a CSV document with a header; amounts of money are in US dollars, to the sixth place."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*group_by, *(name.replace("_microusd", "_usd") for name in COUNTS)])
    for row in rows:
        writer.writerow([*map(harmless, row.group), *(_number(name, getattr(row, name)) for name in COUNTS)])
    return out.getvalue()


def as_text(group_by: Sequence[Group], rows: Sequence[UsageRow]) -> str:
    """Return lines for a terminal: the columns that matter most, and the sum below them where there is more than one.

    Prompt tokens other than cached ones stand in one column, generated tokens in another.
    """
    lines = [[*(name.upper() for name in group_by), *_HEADINGS]]
    numbers = [_shown(row) for row in rows]
    lines += [[*map(printable, row.group), *_written(shown)] for row, shown in zip(rows, numbers, strict=True)]
    if group_by and len(rows) > 1:
        total = [sum(column) for column in zip(*numbers, strict=True)]
        lines.append(["total", *[""] * (len(group_by) - 1), *_written(total)])
    return aligned(lines, texts=len(group_by))


def aligned(lines: Sequence[Sequence[str]], *, texts: int) -> str:
    """Return lines whose cells stand below each other, the first `texts` of them to the left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: names of users and models are a caller's."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def printable(cell: str) -> str:
    """Return a text that moves no cursor and changes no colour; `-` for an empty one."""
    return "".join(one if one.isprintable() else "?" for one in cell) or "-"


def _shown(row: UsageRow) -> list[int]:
    return [
        row.requests + row.expired,
        row.input_tokens + row.cache_write_tokens + row.input_audio_tokens,
        row.cached_tokens,
        row.output_tokens + row.reasoning_tokens + row.output_audio_tokens,
        row.cost_microusd,
        row.under_reserved_microusd,
    ]


def _written(numbers: Sequence[int]) -> list[str]:
    return [*map(str, numbers[:4]), *(format_usd(amount).decode() for amount in numbers[4:])]


def _number(name: str, amount: int) -> str:
    return format_usd(amount).decode() if name.endswith("_microusd") else str(amount)
