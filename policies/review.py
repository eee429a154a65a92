"""What is wrong with an organisation's settings beyond their types, and what in them can never take effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from gateway.domain.tier import TIERS
from policies.effective import NO_TEAM, guard_of, resolve
from policies.sanitise import describing
from policies.sanitise.plan import GuardPlan
from policies.settings import (
    Budget,
    KeySettings,
    LevelSettings,
    Limits,
    OrganisationSettings,
    TeamSettings,
)
from policies.windows import parse_window

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


_window = lru_cache(1024)(parse_window)


class Place(msgspec.Struct, frozen=True):
    """A level of the organisation, and where it stands in the file.

    Attributes:
        path: `organisation`, `organisation.teams.search`, `organisation.teams.search.keys[0]`.
        label: for people: `the organisation`, `team 'search'`, `key 'search/ci'`.
    """

    path: str
    label: str
    settings: LevelSettings


def places(organisation: OrganisationSettings) -> Iterator[tuple[Place, ...]]:
    """Yield every level with those above it, the highest first."""
    top = Place("organisation", "the organisation", organisation)
    yield (top,)
    for team, settings in organisation.teams.items():
        group = Place(f"organisation.teams.{team}", f"team '{team}'", settings)
        yield top, group
        for index, key in enumerate(settings.keys):
            yield top, group, Place(f"{group.path}.keys[{index}]", f"key '{team}/{key.name}'", key)


def faults(organisation: OrganisationSettings) -> Iterator[str]:
    """Yield what must not be served, each with the path of its field."""
    if not _HEADER_NAME.fullmatch(organisation.user_header):
        yield f"organisation.user_header: '{organisation.user_header}' is not the name of a header"
    for chain in places(organisation):
        place = chain[-1]
        if not place.settings.tiers:
            yield f"{place.path}.tiers: at least one tier is needed"
        yield from _budget_faults(f"{place.path}.budgets", place.settings.budgets)
        yield from _budget_faults(f"{place.path}.users.budgets", place.settings.users.budgets)
        if place.settings.guard is not None:
            yield from describing.faults(_guard_path(place), place.settings.guard)
    for index, example in enumerate(organisation.examples):
        team, slash, key = example.key.partition("/")
        where = f"organisation.examples[{index}].key"
        if not slash or not key:
            yield f"{where}: '{example.key}' is not of the form team/key"
        elif team not in organisation.teams:
            yield f"{where}: no team is called '{team}'"


def cautions(organisation: OrganisationSettings) -> Iterator[str]:
    """Yield what is served but can never take effect, as a higher level holds too, each with the path of its field."""
    for chain in places(organisation):
        above, place = chain[:-1], chain[-1]
        yield from _wider_counts(place, above, place.settings.limits, place.settings.budgets, "")
        users = place.settings.users
        yield from _wider_counts(place, chain, users.limits, users.budgets, "users.")
        yield from _wider_words(place, above)
        if place.settings.guard is not None:
            yield from describing.cautions(_guard_path(place), place.settings.guard, _guard_at(organisation, chain))
        if isinstance(place.settings, KeySettings):
            team = above[-1].path.removeprefix("organisation.teams.")
            stated = any(set(one.settings.tiers) != set(TIERS) for one in chain)
            if stated and not resolve(organisation, team, place.settings.name, place.settings).tiers:
                yield f"{place.path}.tiers: no tier is left that the levels above allow too"


def _guard_path(place: Place) -> str:
    """Return where a level's guard stands; the organisation's, at the top of the file."""
    return "guard" if place.path == "organisation" else f"{place.path}.guard"


def _guard_at(organisation: OrganisationSettings, chain: Sequence[Place]) -> GuardPlan:
    """Return what the guard does for the keys below a level that say nothing of their own."""
    team = organisation.teams[chain[1].path.removeprefix("organisation.teams.")] if len(chain) > 1 else NO_TEAM
    return guard_of(organisation, team, chain[2].settings if len(chain) > 2 else _SILENT)


def _budget_faults(where: str, budgets: Sequence[Budget]) -> Iterator[str]:
    seen: dict[object, int] = {}
    for index, budget in enumerate(budgets):
        try:
            _window(budget.window)
        except ValueError as error:
            yield f"{where}[{index}].window: {error}"
            continue
        try:
            window = _window(budget.window, budget.zone)
        except ValueError as error:
            yield f"{where}[{index}].zone: {error}"
            continue
        first = seen.setdefault(window, index)
        if first != index:
            yield f"{where}[{index}].window: '{budget.window}' is the window of {where}[{first}] already"


def _wider_counts(
    place: Place, above: Sequence[Place], limits: Limits, budgets: Sequence[Budget], prefix: str
) -> Iterator[str]:
    for name in Limits.__struct_fields__:
        cap = getattr(limits, name)
        for higher in above if cap is not None else ():
            held = getattr(higher.settings.limits, name)
            if held is not None and held < cap:
                yield _unreachable(f"{place.path}.{prefix}limits.{name}", cap, held, higher)
                break
    for index, budget in enumerate(budgets):
        window = _window(budget.window, budget.zone)
        for higher in above:
            same = (b.usd for b in higher.settings.budgets if _window(b.window, b.zone) == window)
            usd = next(same, None)
            if usd is not None and usd < budget.usd:
                yield _unreachable(f"{place.path}.{prefix}budgets[{index}].usd", budget.usd, usd, higher)
                break


def _wider_words(place: Place, above: Sequence[Place]) -> Iterator[str]:
    own = place.settings
    for higher in _holding(above, own, "max_output_tokens"):
        held = higher.settings.max_output_tokens
        if own.max_output_tokens is not None and held is not None and held < own.max_output_tokens:
            yield _unreachable(f"{place.path}.max_output_tokens", own.max_output_tokens, held, higher)
            break
    if set(own.tiers) == set(TIERS):  # as good as silent
        return
    for higher in _holding(above, own, "tiers"):
        beyond = [tier for tier in own.tiers if tier not in higher.settings.tiers]
        if beyond:
            yield f"{place.path}.tiers: '{beyond[0]}' is no tier of {higher.label}, which holds too"
            break


def _holding(above: Sequence[Place], own: LevelSettings, field: str) -> Iterator[Place]:
    """Yield the levels above whose word on a field holds, which a grant to the next level may end."""
    for depth, higher in enumerate(above, start=1):
        lower = above[depth].settings if depth < len(above) else own
        grants = higher.settings.grants if isinstance(higher.settings, OrganisationSettings | TeamSettings) else ()
        if field not in grants or getattr(lower, field) == getattr(_SILENT, field):
            yield higher


def _unreachable(path: str, wide: float, narrow: float, higher: Place) -> str:
    return f"{path}: {wide:,.12g} can never be reached, as {narrow:,.12g} of {higher.label} holds too"


_SILENT: Final = LevelSettings()
