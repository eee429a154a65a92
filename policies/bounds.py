"""By how much a budget may be overspent at worst, and why it is no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from policies.effective import NO_TEAM, resolve
from policies.meters import Meter
from policies.settings import LevelSettings, OrganisationSettings

ASSUMED: Final = (
    "Upstreams end an answer at the longest length they are sent, and bill what they report as usage.",
    "A tool that runs at the provider reads its results into one context window, which is what is held for it.",
    "Prices of the settings are those that are billed.",
)
"""What every bound rests on. Where it is untrue, what is beyond a hold is charged all the same and counted as
under-reserved."""

HELD: Final = "each request holds the most it may cost, on every level in one step, before it is sent anywhere"


class Bound(msgspec.Struct, frozen=True):
    """How far a budget may be overspent.

    Attributes:
        overshoot_microusd: at worst, in one window; None where nothing bounds it.
        why: what makes it so, in sentences.
    """

    overshoot_microusd: int | None
    why: tuple[str, ...]


def bound_of(meter: Meter, organisation: OrganisationSettings, *, unpriced: Sequence[str], is_shared: bool) -> Bound:
    """Return how far a budget may be overspent.

    Args:
        meter: the budget.
        organisation: whose rules hold.
        unpriced: models whose price is not known.
        is_shared: whether replicas count together in state that may be lost.
    """
    overshoot, why = 0, []
    if is_shared and meter.lost == "share":
        overshoot += meter.cap
        why.append(
            "while the shared state is lost, each replica goes on with its share: in a window that an outage touches "
            "at most the budget once more"
        )
    if organisation.holds.on_expiry == "release":
        overshoot += meter.cap
        why.append("what a killed process held is given back, though it may have been spent: at most the budget a kill")
    if unpriced and organisation.unpriced == "worst_case":
        shown = ", ".join(unpriced[:5]) + (", ..." if len(unpriced) > 5 else "")
        why.append(f"models without a price are held at the dearest price that is known, which may be too low: {shown}")
        return Bound(None, tuple(why))
    return Bound(overshoot, tuple(why) or (HELD,))


def budgets(
    organisation: OrganisationSettings,
    stored: Mapping[tuple[str, str], LevelSettings],
    *,
    team: str | None = None,
    skip: int = 0,
) -> Iterator[Meter]:
    """Yield the budgets of the organisation, its teams and keys, always in the same order, as they are needed.

    Args:
        organisation: the settings.
        stored: the rules of keys that do not stand there.
        team: only those of this team and its keys.
        skip: so many of them are passed over, in about 0.3 us a key.
    """
    for prefix, of_team, key, own in _levels(organisation, stored, team):
        count = len(own.budgets)
        if count <= skip:
            skip -= count
            continue
        policy = resolve(organisation, of_team, key, own if key else None)
        found = [meter for meter in policy.meters if meter.unit == "microusd" and meter.key.startswith(prefix)]
        yield from found[skip:]
        skip = 0


def _levels(
    organisation: OrganisationSettings, stored: Mapping[tuple[str, str], LevelSettings], team: str | None
) -> Iterator[tuple[str, str, str, LevelSettings]]:
    """Yield each level: how its meters' keys begin, its team, its key, its settings."""
    if team is None:
        yield "org|", "", "", organisation
    wanted = organisation.teams if team is None else {team: organisation.teams.get(team, NO_TEAM)}
    for name, settings in wanted.items():
        yield f"team:{name}|", name, "", settings
        for key in settings.keys:
            yield f"key:{name}/{key.name}|", name, key.name, key
    for (name, stored_key), rules in sorted(stored.items(), key=lambda item: item[0]):
        if team in (None, name):
            yield f"key:{name}/{stored_key}|", name, stored_key, rules
