"""How the budgets of a whole organisation stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from policies.effective import PolicyBook
from policies.meters import Meter, Standing
from policies.stores.holds.base import HoldStore

SLICE: Final = 100
"""Meters asked for at once: about a millisecond of an embedded store's time, between two requests."""


def budget_meters(book: PolicyBook, keys: Iterable[tuple[str, str]]) -> tuple[Meter, ...]:
    """Return the budgets of the organisation, its teams and some keys, each once.

    It resolves the policy of every key, 30 us each: not on the loop where there are thousands.

    Args:
        book: what holds.
        keys: names of teams and keys.
    """
    found: dict[str, Meter] = {}
    for team in book.organisation.teams:
        found |= {meter.key: meter for meter in book.of_key(team, "").meters if not meter.key.startswith("key:")}
    for team, key in keys:
        found |= {meter.key: meter for meter in book.of_key(team, key).meters}
    if not found:
        found = {meter.key: meter for meter in book.of_key("", "").meters}
    return tuple(meter for meter in found.values() if meter.unit == "microusd")


async def standings(store: HoldStore, meters: Sequence[Meter]) -> list[Standing]:
    """Return how meters stand, in their order, giving way to requests in between.

    Raises:
        StageUnavailableError: the store is lost.
    """
    found: list[Standing] = []
    for start in range(0, len(meters), SLICE):
        found += await store.standing(list(meters[start : start + SLICE]))
    return found
