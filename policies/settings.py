"""What the settings file says about callers and what they may do."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from gateway.domain.secret import Secret
from gateway.domain.tier import TierName
from policies.sanitise.settings import GuardSettings

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A team's or key's name: letters, digits, dot, dash, underscore; at most 64."""

Patterns = tuple[str, ...]
"""Shell patterns over requested model names, such as `gpt-5-nano` or `auto/*`."""

OnLost = Literal["deny", "share"]
"""What a limit does while the shared state is lost: refuse, or hold with its share (cap divided by replicas)."""

_Sharing = Annotated[str, msgspec.Meta(pattern=r"^(user|key|team|org|shared:[A-Za-z0-9_.-]{1,64})(?!\n)$")]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Cap = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_Dollars = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be asked for. Rates count in sliding windows: no minute, wherever it begins, holds more."""

    requests_per_second: _Cap | None = None
    """Requests in any second."""
    requests_per_minute: _Cap | None = None
    """Requests in any minute."""
    requests_per_day: _Cap | None = None
    """Requests in any 24 hours."""
    input_tokens_per_minute: _Cap | None = None
    """Prompt tokens in any minute. A request holds an upper bound of its own until its answer says how many it was."""
    input_tokens_per_day: _Cap | None = None
    """Prompt tokens in any 24 hours."""
    output_tokens_per_minute: _Cap | None = None
    """Generated tokens in any minute. A request holds the longest answer it may get until it is there."""
    output_tokens_per_day: _Cap | None = None
    """Generated tokens in any 24 hours."""
    concurrency: _Cap | None = None
    """Requests in flight; one more is refused with 429, or waits where `queue` allows it."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be spent in a window. Requests hold the most they can cost before they are sent anywhere."""

    usd: _Dollars
    """US dollars."""
    window: str = "month"
    """`hour`, `day`, `week`, `month` of the calendar, `rolling 30m`, `rolling 1d`, ... or `total`."""
    zone: str = "UTC"
    """The time zone of a calendar window, such as `Europe/Berlin`."""
    soft: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """The share of it from which on callers are told, and `on_soft` holds."""
    on_soft: Literal["warn", "degrade"] = "warn"
    """`warn`: alerts and metrics only; `degrade`: tiers are capped, to `medium` and, past the middle between the soft
    threshold and the end, to `simple`."""
    on_hard: Literal["deny"] = "deny"
    """What a request gets whose upper bound no longer fits: 429 `insufficient_quota`."""


class CacheRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the cache may do for the callers of a level."""

    control: str = ""
    """What their requests say of the cache besides their own word, as in `x-tierway-cache-control`: `no-store`,
    `no-cache`, `max-age=60`, `only-if-cached`. Of several ages the least holds."""
    scope: Annotated[str, msgspec.Meta(pattern=r"^(user|key|team|org|shared:[A-Za-z0-9_.-]{1,64})(?!\n)$")] | None = (
        None
    )
    """Who may share their answers at most; the narrower of this, the levels above and `cache.scope` holds."""


class UserSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for each end user by itself, as named by the member `user` of a request or by `header`."""

    limits: Limits = Limits()
    """How much each may ask for."""
    budgets: tuple[Budget, ...] = ()
    """How much each may spend."""
    required: bool = False
    """Refuse requests that name no user."""


class LostState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What limits do while the shared state (Redis) is lost."""

    budgets: OnLost = "deny"
    """Budgets: `deny` refuses with 503; `share` goes on with the budget divided by the known replicas."""
    rates: OnLost = "share"
    """Rates, tokens and concurrency."""


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Waiting instead of refusing: requests that a limit would refuse wait their turn, teams in fair shares."""

    max_wait_s: _Seconds = 10.0
    """Seconds a request waits at most, and never beyond its own deadline."""
    max_length: _Count = 1000
    """Requests that may wait for one limit; one more is refused."""


class HoldSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of requests whose process was killed before it could settle them."""

    lease_s: _Seconds = 60.0
    """Seconds for which what a request holds stays held by itself; running requests renew it."""
    on_expiry: Literal["charge", "release"] = "charge"
    """`charge`: they count at their upper bound; `release`: not at all. Either way they are listed apart."""


class StagingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an edit of the organisation comes into force."""

    shadow_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds for which the new rules are only tried beside the old ones, counting whom they would deny. 0: at once."""
    watch_s: _Seconds = 300.0
    """Seconds after an edit for which denials are watched."""
    max_denial_rise: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Go back to the old rules when the share of denied requests rises by more than this; null: never."""
    min_count: _Count = 50
    """Requests there must have been for that to be judged."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must come of an example. What is absent is not looked at."""

    allow: bool | None = None
    """Whether the request may go on."""
    code: str | None = None
    """The error code of a request that may not."""
    tier: TierName | None = None
    """The tier it is assigned to."""
    ceiling_usd: _Dollars | None = None
    """The most that may be held for it: its upper bound is not above this."""


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request and what must come of it under this file; tried on counters that count nothing yet."""

    key: str
    """`team/key` of the caller; the key need not exist."""
    model: str = "auto"
    """The model it asks for."""
    text: str = ""
    """The user's message."""
    user: str | None = None
    """The end user."""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The longest answer it asks for."""
    expect: Expectation
    """What must come of it."""


class LevelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the organisation, a team and a key may each say. Every level holds: a lower one can only tighten."""

    models: Patterns = ("*",)
    """Shell patterns over the names that may be asked for."""
    endpoints: Patterns = ("*",)
    """Families of other OpenAI paths that may be relayed: `files`, `images`, ...; `*` for all."""
    tiers: tuple[TierName, ...] = ("simple", "medium", "complex")
    """The tiers that may answer."""
    limits: Limits = Limits()
    """How much may be asked for."""
    budgets: tuple[Budget, ...] = ()
    """How much may be spent, one budget a window."""
    users: UserSettings = UserSettings()
    """What holds for each end user below this level."""
    max_output_tokens: _Cap | None = None
    """The longest answer. A request that asks for more, or names no limit, is sent with this one."""
    lost_state: LostState | None = None
    """What the limits of this level do while the shared state is lost; as the level above where absent."""
    guard: GuardSettings | None = None
    """What is checked in requests and answers. The organisation's usually stands at the top of the file."""
    cache: CacheRules | None = None
    """What the cache may do; absent: what the levels above and the section `cache` say."""


class KeySettings(LevelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that stands in the settings file."""

    name: Name
    """The key's name within its team."""
    secret: Secret
    """What the caller sends: at least 16 characters, usually `${NAME}`."""
    expires: dt.date | None = None
    """The first day (UTC) on which the key is no longer valid."""
    metadata: dict[str, str] = {}
    """Labels of your own, shown wherever the key is."""


class TeamSettings(LevelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team: keys with something in common."""

    grants: tuple[Literal["models", "tiers", "max_output_tokens", "guard"], ...] = ()
    """What its keys may widen beyond the team: their own word then replaces the team's, within the organisation's."""
    route: Literal["pinned", "by_complexity"] = "pinned"
    """What the team's requests for a model by its own name get: that model, or the treatment of `auto`."""
    weight: Annotated[float, msgspec.Meta(ge=0.001, le=1000)] = 1.0
    """Its share among the teams that wait in a queue."""
    keys: tuple[KeySettings, ...] = ()
    """Keys that stand in the file; more come from `tierway keys create` and `/admin/keys`."""


class OrganisationSettings(LevelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The organisation: what holds for every caller."""

    name: Name = "default"
    """Its name in records and metrics."""
    endpoints: Patterns = ()
    """The families of other OpenAI paths that may be relayed to `relay.upstream`: `images`, `audio`, `files`, ...;
    `*` for all. None where absent."""
    grants: tuple[Literal["models", "tiers", "max_output_tokens", "guard"], ...] = ()
    """What teams may widen beyond the organisation: their own word then replaces the organisation's."""
    user_header: str = "x-tierway-user"
    """The header that names the end user; it wins over the member `user`."""
    unbounded_output: Literal["clamp", "refuse"] = "clamp"
    """What a request gets that names no longest answer, for a model without a known one, where tokens or money are
    counted, and one that asks for more than `max_output_tokens`: `clamp` sends it with a limit and says so in
    `x-tierway-clamped`, `refuse` answers 400."""
    unpriced: Literal["refuse", "worst_case"] = "refuse"
    """What a request gets for a model without a price where money is counted: 403 `model_unpriced`, or the dearest
    price of all configured models."""
    budget_status: Literal[402, 403, 429] = 429
    """The status of a request that a budget refuses; its code is `insufficient_quota` whatever the status."""
    cached_answers: bool = False
    """Whether answers from the cache are given to callers whose budget is used up."""
    queue: QueueSettings | None = None
    """Waiting instead of refusing; null: no."""
    holds: HoldSettings = HoldSettings()
    """What becomes of requests whose process was killed."""
    staging: StagingSettings = StagingSettings()
    """How an edit of this section comes into force."""
    teams: dict[Name, TeamSettings] = {}
    """The teams by name. Keys made later may name a team that is not here: the organisation's rules hold."""
    examples: tuple[Example, ...] = ()
    """Requests and what must come of them: a file whose examples do not hold is not served."""
