"""What holds for one key: the organisation's, its team's and its own word, resolved into one struct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.money import PER_MILLION
from gateway.domain.tier import TIERS, TierName
from policies.meters import Meter, Unit
from policies.sanitise.plan import IDLE, GuardPlan, plan_for
from policies.sanitise.settings import GuardSettings
from policies.settings import (
    Budget,
    CacheRules,
    HoldSettings,
    LevelSettings,
    Limits,
    LostState,
    OrganisationSettings,
    QueueSettings,
    TeamSettings,
    UserSettings,
)
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow, Window, parse_window

MAX_USERS: Final = 16_384
"""How many end users' meters are remembered; beyond it all are made anew, which costs each one's next request 20 us."""

NO_TEAM: Final = TeamSettings()
"""A team that the settings do not name: it says nothing of its own."""

_USER: Final = "user:"
_DIGEST_BYTES: Final = 12

_SHORT_NAME: Final = 80
"""Characters of an end user's name that is remembered as it is; of a longer one, its digest is."""

_SILENT: Final = LevelSettings()
"""A level that says nothing."""

_NO_GUARD: Final = GuardSettings()

_RATES: Final[tuple[tuple[str, Unit, int], ...]] = (
    ("requests_per_second", "requests", 1),
    ("requests_per_minute", "requests", 60),
    ("requests_per_day", "requests", 86_400),
    ("input_tokens_per_minute", "input_tokens", 60),
    ("input_tokens_per_day", "input_tokens", 86_400),
    ("output_tokens_per_minute", "output_tokens", 60),
    ("output_tokens_per_day", "output_tokens", 86_400),
)


class Level(msgspec.Struct, frozen=True):
    """A subject whose consumption is counted.

    Attributes:
        key: in storage: `org`, `team:search`, `key:search/ci`, `user:search/ci:<digest>`.
        label: in messages: `organisation 'acme'`, `team 'search'`, `key 'search/ci'`.
    """

    key: str
    label: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one key.

    Attributes:
        path: `team/key`.
        models: patterns, of which every tuple must admit a name.
        tiers: that may answer, cheapest first.
        max_output_tokens: the longest answer, None for no bound.
        meters: of the organisation, the team and the key. The same tuple for every request, as stores remember it.
        degrading: keys of the meters whose soft threshold caps the tier, those of end users without the digest; see
            `degrades`.
        users: for each level that has a word on end users: the level and what holds for each of them.
        requires_user: whether a request must name its end user.
        counts_tokens: whether tokens or money are counted, so that a request needs a bound.
        counts_money: whether a budget holds.
        weight: the team's share in a queue.
        routes_all: whether models that are asked for by their own names are treated as `auto`.
        guard: what is looked for in requests and answers, and what is done about it.
        cache: what the levels say of the cache, the organisation's first.
    """

    organisation: str
    team: str
    key: str
    models: tuple[tuple[str, ...], ...]
    tiers: tuple[TierName, ...]
    max_output_tokens: int | None
    meters: tuple[Meter, ...]
    degrading: frozenset[str]
    users: tuple[tuple[Level, LevelSettings, LostState], ...]
    requires_user: bool
    counts_tokens: bool
    counts_money: bool
    weight: float
    unbounded_output: str
    unpriced: str
    budget_status: int
    cached_answers: bool
    queue: QueueSettings | None
    holds: HoldSettings
    routes_all: bool = False
    guard: GuardPlan = IDLE
    cache: tuple[CacheRules, ...] = ()

    @property
    def path(self) -> str:
        """The key's place: `team/key`."""
        return f"{self.team}/{self.key}"


class PolicyBook:
    """The policies of all keys under one version of the organisation's settings; each is resolved when first needed.

    Args:
        organisation: the settings.
        stored: the rules of keys that are kept elsewhere, by team and name; may change at any time.
    """

    def __init__(
        self, organisation: OrganisationSettings, stored: Mapping[tuple[str, str], LevelSettings] = MappingProxyType({})
    ) -> None:
        self.organisation = organisation
        self._stored = stored
        self._keys: Mapping[tuple[str, str], LevelSettings] = {
            (team, key.name): key for team, settings in organisation.teams.items() for key in settings.keys
        }
        self._user_header = organisation.user_header.lower().encode("latin-1", "replace")
        self._policies: dict[tuple[str, str], tuple[Policy, LevelSettings | None]] = {}
        self._users: dict[tuple[str, str, str], tuple[Policy, tuple[Meter, ...]]] = {}

    def of(self, caller: Caller) -> Policy:
        """Return what holds for a caller, whose team and key need not stand in the settings."""
        return self.of_key(caller.team, caller.key)

    def of_key(self, team: str, key: str) -> Policy:
        """Return what holds for a key by its names."""
        name = (team, key)
        own = self._keys.get(name) or self._stored.get(name)
        known = self._policies.get(name)
        if known is None or known[1] is not own:
            known = self._policies[name] = resolve(self.organisation, team, key, own), own
        return known[0]

    def user_of(self, headers: Mapping[bytes, bytes], document: Mapping[str, Any]) -> str | None:
        """Return the end user that a request names, None where it names none.

        Args:
            headers: the request's, names in lower case.
            document: its body; Anthropic's clients name the user in `metadata`.
        """
        sent = headers.get(self._user_header)
        if sent:
            return sent.decode(errors="replace")
        metadata = document.get("metadata")
        of_metadata = metadata.get("user_id") if isinstance(metadata, dict) else None
        named = (document.get("user"), document.get("safety_identifier"), of_metadata)
        return next((name for name in named if isinstance(name, str) and name), None)

    def meters(self, policy: Policy, user: str | None) -> tuple[Meter, ...]:
        """Return the meters of a request, those of its end user among them; the same tuple for the same user."""
        if user is None or not policy.users:
            return policy.meters
        name = (policy.team, policy.key, user if len(user) <= _SHORT_NAME else _digest(user))
        known = self._users.get(name)
        if known is None or known[0] is not policy:
            if len(self._users) >= MAX_USERS:
                self._users.clear()
            known = self._users[name] = policy, (*policy.meters, *_user_meters(policy, user))
        return known[1]


def resolve(organisation: OrganisationSettings, team: str, key: str, own: LevelSettings | None) -> Policy:
    """Resolve what holds for a key.

    Args:
        organisation: the settings.
        team: the key's team, which need not stand there.
        key: its name.
        own: what the file or the key store says of it; None where nobody does.
    """
    group = organisation.teams.get(team, NO_TEAM)
    mine = own or _SILENT
    levels = [
        (Level("org", f"organisation '{organisation.name}'"), organisation),
        (Level(f"team:{team}", f"team '{team}'"), group),
        (Level(f"key:{team}/{key}", f"key '{team}/{key}'"), mine),
    ]
    lost = LostState()
    meters: list[Meter] = []
    degrading: set[str] = set()
    users = []
    for level, settings in levels:
        lost = settings.lost_state or lost
        meters += level_meters(level, settings.limits, settings.budgets, lost)
        degrading |= _degrading(level, settings.budgets)
        degrading |= _degrading(Level(_user_level(level), ""), settings.users.budgets)
        if settings.users.limits != Limits() or settings.users.budgets:
            users.append((level, settings, lost))
    counted = {meter.unit for meter in meters} | {unit for _, word, _ in users for unit in _units(word.users)}
    return Policy(
        organisation=organisation.name,
        team=team,
        key=key,
        models=admitted_models(organisation, group, mine),
        tiers=tuple(tier for tier in TIERS if all(tier in word for word in _words("tiers", organisation, group, mine))),
        max_output_tokens=min(
            (word for word in _words("max_output_tokens", organisation, group, mine) if word is not None), default=None
        ),
        meters=tuple(meters),
        degrading=frozenset(degrading),
        users=tuple(users),
        requires_user=any(settings.users.required for _, settings in levels),
        counts_tokens=not counted.isdisjoint(("input_tokens", "output_tokens", "microusd")),
        counts_money="microusd" in counted,
        weight=group.weight,
        unbounded_output=organisation.unbounded_output,
        unpriced=organisation.unpriced,
        budget_status=organisation.budget_status,
        cached_answers=organisation.cached_answers,
        queue=organisation.queue,
        holds=organisation.holds,
        routes_all=group.route == "by_complexity",
        guard=guard_of(organisation, group, mine),
        cache=tuple(settings.cache for _, settings in levels if settings.cache is not None),
    )


def guard_of(organisation: OrganisationSettings, team: TeamSettings, own: LevelSettings) -> GuardPlan:
    """Return what the guard does for a key; the same object for all keys of which the levels say the same.

    Raises:
        ValueError: a pattern of the guard cannot be used.
    """
    said = [level.guard for level in (organisation, team, own)]
    if said == [None, None, None]:
        return IDLE
    grants = ("guard" in organisation.grants, "guard" in team.grants)
    return plan_for([word or _NO_GUARD for word in said], grants=grants)


def all_plans(organisation: OrganisationSettings) -> Iterator[GuardPlan]:
    """Yield what the guard does for each key of the settings, and for keys that are made later."""
    yield guard_of(organisation, NO_TEAM, _SILENT)
    for team in organisation.teams.values():
        yield guard_of(organisation, team, _SILENT)
        yield from (guard_of(organisation, team, key) for key in team.keys if key.guard is not None)


def admitted_models(
    organisation: OrganisationSettings, team: TeamSettings, own: LevelSettings
) -> tuple[tuple[str, ...], ...]:
    """Return the patterns of models, of which every tuple must admit a name; none where every name is admitted."""
    return tuple(word for word in _words("models", organisation, team, own) if "*" not in word)


def level_meters(level: Level, limits: Limits, budgets: Sequence[Budget], lost: LostState) -> Iterator[Meter]:
    """Make the meters of one level.

    A meter's key names its window, so that another window counts apart; its cap does not stand in the key, so that
    what was counted stays when a cap changes.
    """
    for name, unit, seconds in _RATES:
        cap = getattr(limits, name)
        if cap is not None:
            yield Meter(
                f"{level.key}|{unit}|{seconds}s", level.label, unit, cap, SlidingWindow(seconds), lost=lost.rates
            )
    if limits.concurrency is not None:
        yield Meter(f"{level.key}|concurrency", level.label, "concurrency", limits.concurrency, None, lost=lost.rates)
    for budget in budgets:
        cap = round(budget.usd * PER_MILLION)
        soft = None if budget.soft is None else round(cap * budget.soft)
        window = parse_window(budget.window, budget.zone)
        yield Meter(_budget_key(level, budget), level.label, "microusd", cap, window, soft, lost=lost.budgets)


def degrades(policy: Policy, meter: Meter) -> bool:
    """Tell whether the soft threshold of a meter caps the tier of requests."""
    key = meter.key
    if key.startswith(_USER):
        level, _, window = key.partition("|")
        key = f"{level.rpartition(':')[0]}|{window}"
    return key in policy.degrading


def check_budgets(budgets: Sequence[Budget]) -> None:
    """Refuse budgets that cannot stand beside each other on one level.

    Raises:
        ValueError: a window or zone is none, or two budgets have the same window.
    """
    keys = [_budget_key(Level("", ""), budget) for budget in budgets]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise ValueError(f"budgets[{index}]: the same window as budgets[{keys.index(key)}]")


def window_name(window: Window | None) -> str:
    """Return a window as people write it: `minute`, `day`, `rolling 2h`, `total`; empty for none."""
    if window is None:
        return ""
    if isinstance(window, TotalWindow):
        return "total"
    if isinstance(window, CalendarWindow):
        return window.unit if window.zone == "UTC" else f"{window.unit} ({window.zone})"
    for suffix, seconds in (("d", 86_400), ("h", 3600), ("m", 60)):
        if window.seconds % seconds == 0:
            return f"rolling {window.seconds // seconds}{suffix}"
    return f"rolling {window.seconds}s"


def _degrading(level: Level, budgets: Sequence[Budget]) -> set[str]:
    return {_budget_key(level, one) for one in budgets if one.on_soft == "degrade" and one.soft is not None}


def _user_level(level: Level) -> str:
    return f"{_USER}{level.key}"


def _budget_key(level: Level, budget: Budget) -> str:
    window = parse_window(budget.window, budget.zone)
    if isinstance(window, SlidingWindow):
        return f"{level.key}|microusd|{window.seconds}s"
    if isinstance(window, CalendarWindow):
        return f"{level.key}|microusd|{window.unit}@{window.zone}"
    return f"{level.key}|microusd|total"


def _units(users: UserSettings) -> set[Unit]:
    found = level_meters(Level("", ""), users.limits, users.budgets, LostState())
    return {meter.unit for meter in found}


def _digest(user: str) -> str:
    """Return what is kept of a user's name, which may be an e-mail address, and of any length."""
    return blake2b(user.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()


def _user_meters(policy: Policy, user: str) -> Iterator[Meter]:
    digest = _digest(user)
    for level, settings, lost in policy.users:
        of_user = Level(f"{_user_level(level)}:{digest}", f"one end user of {level.label}")
        yield from level_meters(of_user, settings.users.limits, settings.users.budgets, lost)


def _words(field: str, organisation: OrganisationSettings, team: TeamSettings, own: LevelSettings) -> list[Any]:
    """Return the words on a field that hold, highest level first.

    What a level grants is the freedom to widen: the word of the next one, if it has one, then replaces its own.
    """
    above, of_team, of_key = (getattr(level, field) for level in (organisation, team, own))
    silence = getattr(_SILENT, field)
    held = [] if field in organisation.grants and of_team != silence else [above]
    held += [] if field in team.grants and of_key != silence else [of_team]
    return [*held, of_key]
