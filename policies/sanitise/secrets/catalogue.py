"""Reads the formats and the names of providers that stand beside this file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from policies.sanitise.secrets.shape import Shape, read_shape

_HERE: Final = Path(__file__).parent


class _Row(msgspec.Struct, frozen=True, array_like=True):
    name: str
    notation: str
    near: tuple[str, ...] = ()


class Format(msgspec.Struct, frozen=True):
    """A token whose form tells what it is.

    Attributes:
        name: of the rule.
        shape: how it is built.
        matcher: `shape.full`, compiled.
        near: words of which one must stand before it; None where the form suffices.
    """

    name: str
    shape: Shape
    matcher: re.Pattern[str]
    near: re.Pattern[str] | None


class Vendors(msgspec.Struct, frozen=True):
    """Names of services whose tokens have no form of their own.

    Attributes:
        distinct: names that mean nothing else.
        ambiguous: names that are words, or that stand beside other things than tokens often.
    """

    distinct: Sequence[str]
    ambiguous: Sequence[str]


def read_formats() -> list[Format]:
    """Return every format of `formats.json`: name, notation and the words of the gate."""
    return [_format(row) for row in msgspec.json.decode((_HERE / "formats.json").read_bytes(), type=list[_Row])]


def read_vendors() -> Vendors:
    """Return the names of `vendors.json`."""
    return msgspec.json.decode((_HERE / "vendors.json").read_bytes(), type=Vendors)


def _format(row: _Row) -> Format:
    shape = read_shape(row.notation)
    gate = re.compile("|".join(map(re.escape, row.near)), re.IGNORECASE) if row.near else None
    return Format(row.name, shape, re.compile(shape.full), gate)
