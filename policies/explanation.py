"""Why a key may do what it may: every rule and limit that holds for it, with the level it comes from."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.domain.tier import TIERS
from policies.effective import NO_TEAM, Level, level_meters, resolve, window_name
from policies.meters import Meter, Standing
from policies.refusals import limit_name
from policies.sanitise.describing import rules_of
from policies.settings import LevelSettings, OrganisationSettings

DEFAULT = "default"
"""The level of what nobody says anything about."""


class Rule(msgspec.Struct, frozen=True):
    """A rule that holds for a key.

    Attributes:
        name: of the settings' field.
        value: as people write it.
        level: who says so: `organisation 'acme'`, `team 'search'`, `key 'search/ci'`, `default`.
    """

    name: str
    value: str
    level: str


class LimitView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A limit or budget as it is shown.

    Attributes:
        limit: as people say it: `100 requests a minute`.
        level: whose it is.
        unit: what is counted; money in micro-dollars.
        window: as settings name it, empty for concurrency.
        soft: from how much on callers are told.
        lost: what happens while shared state is lost.
        used, remaining: how it stands now, where that is known.
        resets_at: the moment by which all that is counted has left the window, seconds since the epoch.
    """

    limit: str
    level: str
    unit: str
    window: str
    cap: int
    soft: int | None = None
    lost: str
    used: int | None = None
    remaining: int | None = None
    resets_at: float | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a key.

    Attributes:
        key: `team/key`.
        has_own_word: whether the key's own rules are known; otherwise those of its team and organisation are shown.
        rules: everything but limits.
        limits: of the organisation, the team and the key.
        user_limits: of each end user by itself.
    """

    key: str
    has_own_word: bool
    rules: list[Rule]
    limits: list[LimitView]
    user_limits: list[LimitView]


def explain(organisation: OrganisationSettings, team: str, key: str, own: LevelSettings | None = None) -> Explanation:
    """Say what holds for a key.

    Args:
        organisation: the settings.
        team: the key's team, which need not stand there.
        key: its name.
        own: its rules, where they do not stand in the settings.
    """
    own = own_rules(organisation, team, key) or own
    policy = resolve(organisation, team, key, own)
    of_users = (
        meter
        for level, settings, lost in policy.users
        for meter in level_meters(
            Level("", f"each end user of {level.label}"), settings.users.limits, settings.users.budgets, lost
        )
    )
    return Explanation(
        key=policy.path,
        has_own_word=own is not None,
        rules=list(_rules(organisation, team, key, own)),
        limits=[view_of(meter) for meter in policy.meters],
        user_limits=[view_of(meter) for meter in of_users],
    )


def own_rules(organisation: OrganisationSettings, team: str, key: str) -> LevelSettings | None:
    """Return what the settings say of a key itself, None where it does not stand there."""
    return next((one for one in organisation.teams.get(team, NO_TEAM).keys if one.name == key), None)


def view_of(meter: Meter, standing: Standing | None = None) -> LimitView:
    """Return a limit as it is shown, with how it stands where that is known."""
    return LimitView(
        limit=limit_name(meter),
        level=meter.level,
        unit=meter.unit,
        window=window_name(meter.window),
        cap=meter.cap,
        soft=meter.soft,
        lost=meter.lost,
        used=standing.used if standing else None,
        remaining=standing.remaining if standing else None,
        resets_at=standing.resets_at if standing else None,
    )


def _rules(organisation: OrganisationSettings, team: str, key: str, own: LevelSettings | None) -> Iterator[Rule]:
    policy = resolve(organisation, team, key, own)
    top = f"organisation '{organisation.name}'"
    levels: list[tuple[str, LevelSettings]] = [
        (top, organisation),
        (f"team '{team}'", organisation.teams.get(team, NO_TEAM)),
        (f"key '{team}/{key}'", own or LevelSettings()),
    ]
    narrowing = [(label, word.models) for label, word in levels if word.models in policy.models]
    for label, patterns in narrowing or [(DEFAULT, ("*",))]:
        yield Rule("models", _listed(patterns), label)
    missing = set(TIERS) - set(policy.tiers)
    speakers = [label for label, word in levels if missing - set(word.tiers)]
    yield Rule("tiers", _listed(policy.tiers), " and ".join(speakers) or DEFAULT)
    if policy.routes_all:
        yield Rule("route", "by_complexity", f"team '{team}'")
    longest = policy.max_output_tokens
    speaker = next((label for label, word in levels if word.max_output_tokens == longest is not None), DEFAULT)
    yield Rule("max_output_tokens", "the model's own" if longest is None else f"{longest}", speaker)
    relayed = [(label, word.endpoints) for label, word in levels if "*" not in word.endpoints]
    for label, patterns in relayed or [(top, ("*",))]:
        yield Rule("endpoints", _listed(patterns), label)
    required = [label for label, word in levels if word.users.required]
    yield Rule("users.required", "yes" if required else "no", " and ".join(required) or DEFAULT)
    yield Rule("unbounded_output", policy.unbounded_output, top)
    yield Rule("unpriced", policy.unpriced, top)
    yield Rule("budget_status", str(policy.budget_status), top)
    yield Rule("cached_answers", "yes" if policy.cached_answers else "no", top)
    for label, word in levels:
        if word.cache is not None:
            yield Rule("cache.control", word.cache.control or "as sent", label)
            yield Rule("cache.scope", word.cache.scope or "as above", label)
    said = [(label, word.guard) for label, word in levels if word.guard is not None]
    for name, value, speaker in rules_of(policy.guard, said, DEFAULT):
        yield Rule(f"guard.{name}", value, speaker)


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "none"
