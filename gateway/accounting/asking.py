"""Questions about usage, as people write them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Final

from policies.stores.ledgers.base import GROUPS, MAX_ROWS, Group, Selection, UsageQuery

SELECTING: Final = ("since", "until", "team", "key", "model")
"""The names by which records are chosen."""

_LATEST_S: Final = 1e11
"""Seconds since the epoch above which a number is taken for milliseconds by mistake: the year 5138."""

_EPOCH_DIGITS: Final = 9
"""From so many digits on a number is seconds since the epoch; eight may be a date: 20261120."""


class BadQuestionError(ValueError):
    """A question cannot be understood.

    Args:
        message: a sentence for whoever asked.
        name: of the part that is wrong.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def read_selection(asked: Mapping[str, str]) -> Selection:
    """Read which records are meant from texts by name; see `SELECTING`. Empty ones are as if absent.

    Raises:
        BadQuestionError: one of them is wrong.
    """
    since, until = (_moment(name, asked[name]) if asked.get(name) else None for name in ("since", "until"))
    if since is not None and until is not None and since >= until:
        raise BadQuestionError("'since' must be before 'until'.", "since")
    return Selection(
        since=since,
        until=until,
        team=asked.get("team") or None,
        key=asked.get("key") or None,
        model=asked.get("model") or None,
    )


def read_query(asked: Mapping[str, str], *, max_rows: int = MAX_ROWS) -> UsageQuery:
    """Read what is to be summed up: a selection, and `group_by` with commas.

    Raises:
        BadQuestionError: a part of it is wrong.
    """
    selection = read_selection(asked)
    groups = tuple(_group(name.strip()) for name in asked.get("group_by", "").split(",") if name.strip())
    if len(set(groups)) != len(groups):
        raise BadQuestionError("'group_by' names something twice.", "group_by")
    return UsageQuery(
        since=selection.since,
        until=selection.until,
        team=selection.team,
        key=selection.key,
        model=selection.model,
        group_by=groups,
        max_rows=max_rows,
    )


def _group(name: str) -> Group:
    for group in GROUPS:
        if name == group:
            return group
    raise BadQuestionError(f"'group_by' may name {', '.join(GROUPS)}.", "group_by")


def _moment(name: str, text: str) -> float:
    """Read a day or moment of ISO 8601, UTC where no zone is given, or seconds since the epoch."""
    digits = text.partition(".")[0]
    try:
        if digits.isascii() and digits.isdigit() and len(digits) >= _EPOCH_DIGITS:
            at = float(text)
        else:
            moment = dt.datetime.fromisoformat(text)
            at = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        at = math.nan
    if not 0 <= at < _LATEST_S:
        forms = "a day (2026-11-20), a moment (2026-11-20T08:00:00Z) or seconds since the epoch"
        raise BadQuestionError(f"'{name}' must be {forms}.", name)
    return at
