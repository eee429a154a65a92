"""What providers say was used: the CSV files their consoles export, and a plain form for all others.

The providers describe these files nowhere. The columns are those of exports that their users published (looked up
2026-11): OpenAI's "completions usage" and "costs", Anthropic's "usage" and "cost". Columns that are not named here do
not matter. docs/operations.md lists them for readers.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

NO_MODEL: Final = ""
"""The model of an amount that is of none: a fee of a tool, or a sum over all models."""

_MOST: Final = Decimal(10**15)


class ExportError(Exception):
    """A file is no export that is known; the message says what was expected."""


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of one model on one day of UTC. None: this export does not say.

    Attributes:
        day: as in 2026-11-20.
        model: as the provider writes it; see `NO_MODEL`.
        prompt_tokens: all tokens sent, cached ones included.
        cached_tokens: those of them that were read from the provider's cache.
        output_tokens: all tokens generated.
        cost_usd: US dollars, less than 0 for a credit.
    """

    day: str
    model: str
    requests: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


class _Row:
    """One line of a file, by the names of its columns."""

    def __init__(self, cells: Mapping[str, str], line: int) -> None:
        self._cells, self._line = cells, line

    def text(self, column: str) -> str:
        """Return a cell, empty where there is none."""
        return self._cells.get(column, "").strip()

    def number(self, *columns: str) -> int:
        """Return the sum of cells that hold whole numbers, 0 where they are empty."""
        return sum(int(self._decimal(column, at_least=Decimal(0))) for column in columns)

    def optional(self, column: str) -> int | None:
        """Return a whole number, None where there is no such column."""
        return self.number(column) if column in self._cells else None

    def money(self, column: str) -> Decimal:
        """Return an amount, 0 where the cell is empty."""
        return self._decimal(column, at_least=-_MOST)

    def day(self, column: str) -> str:
        """Return the day a cell begins with."""
        text = self.text(column)
        try:
            return dt.date.fromisoformat(text[:10]).isoformat()
        except ValueError as error:
            raise self.wrong(column, "a day such as 2026-11-20") from error

    def wrong(self, column: str, expected: str) -> ExportError:
        """Say that a cell is not as expected."""
        return ExportError(f"line {self._line}: '{column}' must be {expected}")

    def _decimal(self, column: str, *, at_least: Decimal) -> Decimal:
        try:
            number = Decimal(self.text(column) or 0)
        except InvalidOperation as error:
            raise self.wrong(column, "a number") from error
        if not number.is_finite() or not at_least <= number <= _MOST:
            raise self.wrong(column, f"a number from {at_least} to {_MOST}")
        return number


class _Form(msgspec.Struct, frozen=True):
    """One kind of file.

    Attributes:
        columns: what it is known by: all of these must be there.
        read: turns a line into what it says, None where it says nothing.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[_Row], Billed | None]


def _openai_usage(row: _Row) -> Billed | None:
    if not row.text("model"):
        return None  # a day without any use has a line of its own
    return Billed(
        day=_openai_day(row),
        model=row.text("model"),
        requests=row.number("num_model_requests"),
        prompt_tokens=row.number("input_tokens"),
        cached_tokens=row.optional("input_cached_tokens"),
        output_tokens=row.number("output_tokens"),
    )


def _openai_costs(row: _Row) -> Billed | None:
    if not row.text("amount_value"):
        return None
    if row.text("amount_currency").lower() != "usd":
        raise row.wrong("amount_currency", "usd")
    # Such as "gpt-5-2025-08-07, cached input" or "priority | gpt-5, output"; a fee of a tool names no class of tokens.
    model, _, tokens = row.text("line_item").rpartition(" | ")[2].partition(", ")
    return Billed(day=_openai_day(row), model=model if tokens else NO_MODEL, cost_usd=row.money("amount_value"))


def _openai_day(row: _Row) -> str:
    if row.text("start_time_iso"):
        return row.day("start_time_iso")
    at = row.number("start_time")
    if at > 10**11:
        raise row.wrong("start_time", "seconds since the epoch")
    return dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()


_CACHED: Final = "usage_input_tokens_cache_read"
_PROMPT: Final = (
    "usage_input_tokens_no_cache", "usage_input_tokens_cache_write", "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h", _CACHED,
)  # fmt: skip


def _anthropic_usage(row: _Row) -> Billed:
    return Billed(
        day=row.day("usage_date_utc"),
        model=row.text("model_version"),
        prompt_tokens=row.number(*_PROMPT),
        cached_tokens=row.number(_CACHED),
        output_tokens=row.number("usage_output_tokens"),
    )


def _anthropic_cost(row: _Row) -> Billed:
    model = row.text("model") if row.text("token_type") else NO_MODEL
    return Billed(day=row.day("usage_date_utc"), model=model, cost_usd=row.money("cost_usd"))


def _plain(row: _Row) -> Billed:
    return Billed(
        day=row.day("date"),
        model=row.text("model"),
        requests=row.optional("requests"),
        prompt_tokens=row.optional("input_tokens"),
        cached_tokens=row.optional("cached_tokens"),
        output_tokens=row.optional("output_tokens"),
        cost_usd=row.money("cost_usd") if row.text("cost_usd") else None,
    )


_FORMS: Final = (
    _Form(
        "OpenAI, usage",
        ("start_time", "model", "num_model_requests", "input_tokens", "output_tokens"),
        _openai_usage,
    ),
    _Form("OpenAI, costs", ("start_time", "amount_value", "amount_currency", "line_item"), _openai_costs),
    _Form(
        "Anthropic, usage",
        ("usage_date_utc", "model_version", "usage_input_tokens_no_cache", _CACHED, "usage_output_tokens"),
        _anthropic_usage,
    ),
    _Form("Anthropic, cost", ("usage_date_utc", "model", "token_type", "cost_usd"), _anthropic_cost),
    _Form("plain, tokens", ("date", "model", "input_tokens", "output_tokens"), _plain),
    _Form("plain, costs", ("date", "model", "cost_usd"), _plain),
)


def read_export(lines: Iterable[str]) -> Iterator[Billed]:
    """Read an export line by line.

    Args:
        lines: of the file, its header first; commas, semicolons or tabs stand between the cells.

    Raises:
        ExportError: it is none of the known kinds, or a cell is not what it should be.
    """
    rest = iter(lines)
    header = next(rest, "").removeprefix("\ufeff")
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    form = _form_of(names)
    reader = csv.reader(rest, delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                line = form.read(_Row(dict(zip(names, cells, strict=False)), reader.line_num + 1))
                if line is not None:
                    yield line
    except csv.Error as error:
        raise ExportError(f"line {reader.line_num + 1}: not CSV ({error})") from error


def _form_of(names: Sequence[str]) -> _Form:
    for form in _FORMS:
        if set(form.columns) <= set(names):
            return form
    known = "\n".join(f"  {form.name}: {', '.join(form.columns)}" for form in _FORMS)
    shown = ", ".join(name[:40] for name in names[:30])
    raise ExportError(f"not an export that is known. Its columns are: {shown}\nOne of these sets is expected:\n{known}")
