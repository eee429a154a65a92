"""What differs between two settings files, as `tierway plan` shows it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One difference, and whom it concerns.

    Attributes:
        what: in words.
        who: keys as `team/key`, where `team/*` stands for the team's keys that do not stand in the file; levels as
            messages name them; models.
    """

    what: str
    who: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs.

    Attributes:
        denied: what was let pass and would be denied.
        allowed: what was denied and would be let pass.
        retiered: what would be answered by another tier or model.
        tighter, looser: limits, budgets and longest answers.
        prices: of models.
    """

    denied: list[Change]
    allowed: list[Change]
    retiered: list[Change]
    tighter: list[Change]
    looser: list[Change]
    prices: list[Change]


def grouped(found: Iterable[tuple[str, str]]) -> list[Change]:
    """Gather pairs of who and what into changes, in the order in which each was found first."""
    by_text: dict[str, dict[str, None]] = {}
    for who, what in found:
        by_text.setdefault(what, {})[who] = None
    return [Change(what, tuple(who)) for what, who in by_text.items()]
