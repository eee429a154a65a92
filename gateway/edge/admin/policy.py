"""/admin/policy and /admin/budgets: what holds for whom, how it stands, and what an edit would change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.money import PER_MILLION
from gateway.edge.current import Current
from gateway.edge.paging import limit_of
from policies.bounds import ASSUMED, bound_of, budgets
from policies.derivation import Drift, derive_batches, drifts
from policies.effective import PolicyBook
from policies.explanation import Explanation, explain, view_of
from policies.meters import Meter, Standing
from policies.refusals import limit_name
from policies.settings import LevelSettings
from policies.standings import standings
from policies.stores.ledgers.base import UsageRecord

_PAGE: Final = 100
_LONGEST_PAGE: Final = 1000

_Request = Request[Any, Any, State]
_Key = Annotated[str, QueryParameter(description="`team/key`; neither need stand in the settings.")]
_User = Annotated[str, QueryParameter(description="An end user, whose limits are then shown as they stand.")]
_Team = Annotated[str, QueryParameter(description="Of this team and its keys only.")]
_Limit = Annotated[str, QueryParameter(description=f"Budgets of a page, at most {_LONGEST_PAGE}.")]
_After = Annotated[str, QueryParameter(description="Where the page before ended, as its `next` said.")]


class BudgetView(msgspec.Struct, kw_only=True):
    """A budget as it is shown; amounts in US dollars."""

    level: str
    budget: str
    cap_usd: float
    used_usd: float
    """What is counted in the window under way, with what is held."""
    remaining_usd: float
    resets_at: float | None
    """The moment by which all that is counted has left the window, seconds since the epoch."""


class DriftView(msgspec.Struct, kw_only=True):
    """A budget of which the ledger says otherwise than the counters; amounts in US dollars."""

    level: str
    budget: str
    counted_usd: float
    derived_usd: float
    drift_usd: float
    """By how much more is counted: calls in flight, which the ledger does not know yet, count at their ceilings."""


class DriftList(msgspec.Struct):
    """The budgets that ledger and counters disagree about, the largest difference first."""

    data: list[DriftView]


class BoundView(BudgetView, kw_only=True):
    """A budget, and by how much it may be overspent."""

    held_usd: float
    """The part of what is used that requests in flight in this process hold; null where that is not known."""
    worst_overshoot_usd: float | None
    """In one window; null where nothing bounds it."""
    why: tuple[str, ...]


class BudgetList(msgspec.Struct):
    """A page of budgets: the organisation's, then those of teams, each with its keys.

    Attributes:
        next: where the next page goes on, null when this is the last one.
    """

    data: list[BudgetView]
    next: str | None


class BoundList(msgspec.Struct, kw_only=True):
    """A page of budgets with their bounds.

    Attributes:
        assumes: what every bound rests on.
        under_reserved_usd: what answers cost beyond what was held for them, since this process started.
        under_reserved: how many answers that were.
    """

    data: list[BoundView]
    next: str | None
    assumes: tuple[str, ...]
    under_reserved_usd: float
    under_reserved: int


class DenialView(msgspec.Struct):
    """Requests, and the share of them that policy denied, 0 to 1."""

    requests: int
    share: float


class WouldDeny(msgspec.Struct):
    """How often one limit of the rules that are tried would stop one key."""

    key: str
    limit: str
    count: int


class StagingView(msgspec.Struct, kw_only=True):
    """Where the last edit of the organisation stands in this process.

    Attributes:
        phase: `settled`, `shadow`, `watch` or `rolled_back`.
        ends_in_s: seconds until the phase ends by itself.
        tried, would_be_denied: requests that the new rules judged in the last shadow.
        before, after: denials before the rules came into force, and since.
        complaint: why the file's rules are not in force.
        would_deny: the most frequent first, at most 1000.
    """

    phase: str
    ends_in_s: float | None
    tried: int
    would_be_denied: int
    not_judged: int
    before: DenialView
    after: DenialView
    complaint: str
    would_deny: list[WouldDeny]


@get("/policy/effective", summary="Show what holds for a key")
async def show_effective(request: _Request, state: State, *, key: _Key = "", user: _User = "") -> Explanation:
    """Show every rule and limit that holds for a key, the level each comes from, and how the limits stand."""
    _refuse_others(request, ("key", "user"))
    current: Current = state.current
    team, _, name = key.partition("/")
    if not team or not name:
        raise InvalidRequestError("'key' must be of the form team/key.", param="key")
    book = current.version.pipeline.policies
    found = explain(book.organisation, team, name, (await _stored_rules(current)).get((team, name)))
    # The meters of the settings themselves: those of a trial under way would show limits that are not in force.
    policy = book.of_key(team, name)
    shown = PolicyBook.meters(book, policy, user or None)
    stood = await standings(current.governor.store, shown)
    views = [view_of(one.meter, one) for one in stood]
    own = len(policy.meters)
    return msgspec.structs.replace(found, limits=views[:own], user_limits=views[own:] or found.user_limits)


@get("/policy/bounds", summary="Show by how much budgets may be overspent")
async def show_bounds(
    request: _Request, state: State, *, team: _Team = "", limit: _Limit = str(_PAGE), after: _After = ""
) -> BoundList:
    """Show, for each budget, what is used and held, and by how much it may be overspent at worst, and why."""
    _refuse_others(request, ("team", "limit", "after"))
    current: Current = state.current
    stood, following = await _page(current, team, limit, after)
    governor = current.governor
    held = governor.held_microusd()
    organisation = current.version.pipeline.policies.organisation
    unpriced = current.version.pipeline.unpriced
    is_shared = not current.version.settings.state.startswith("sqlite:")
    data = []
    for one in stood:
        bound = bound_of(one.meter, organisation, unpriced=unpriced, is_shared=is_shared)
        overshoot = bound.overshoot_microusd
        data.append(
            BoundView(
                **_budget(one),
                held_usd=held.get(one.meter.key, 0) / PER_MILLION,
                worst_overshoot_usd=None if overshoot is None else overshoot / PER_MILLION,
                why=bound.why,
            )
        )
    return BoundList(
        data=data,
        next=following,
        assumes=ASSUMED,
        under_reserved_usd=governor.under_reserved_microusd / PER_MILLION,
        under_reserved=governor.under_reserved,
    )


@get("/policy/staging", summary="Show where an edit of the organisation stands")
async def show_staging(request: _Request, state: State) -> StagingView:
    """Show whether new rules are tried or watched, and whom they would deny."""
    _refuse_others(request, ())
    current: Current = state.current
    rollout = current.version.pipeline.admission.rollout
    tally = rollout.tally
    frequent = sorted(tally.by_key.items(), key=lambda item: -item[1])[:1000]
    return StagingView(
        phase=rollout.phase,
        ends_in_s=rollout.ends_in_s,
        tried=tally.tried,
        would_be_denied=tally.denied,
        not_judged=tally.failed,
        before=DenialView(rollout.before.requests, rollout.before.share),
        after=DenialView(rollout.after.requests, rollout.after.share),
        complaint=rollout.complaint,
        would_deny=[WouldDeny(key, name, count) for (key, name), count in frequent],
    )


@get("/budgets", summary="List budgets")
async def list_budgets(
    request: _Request, state: State, *, team: _Team = "", limit: _Limit = str(_PAGE), after: _After = ""
) -> BudgetList:
    """List how the budgets of the organisation, its teams and keys stand."""
    _refuse_others(request, ("team", "limit", "after"))
    stood, following = await _page(state.current, team, limit, after)
    return BudgetList([BudgetView(**_budget(one)) for one in stood], following)


@get("/budgets/drift", summary="Derive budgets from the ledger")
async def show_drift(request: _Request, state: State) -> DriftList:
    """Derive every budget from the ledger, and show those that are counted otherwise.

    Budgets of end users are left out: counters know digests of their names only.
    """
    _refuse_others(request, ())
    current: Current = state.current
    if current.ledger is None:
        raise NotFoundError("There is no usage ledger: 'telemetry.ledger' of the settings is null.", code="ledger_off")
    policies = current.version.pipeline.policies

    def budgets_of(record: UsageRecord) -> list[Meter]:
        return [meter for meter in policies.of_key(record.team, record.key).meters if meter.unit == "microusd"]

    derived = await derive_batches(current.ledger.records(), budgets_of, time.time())
    found = await drifts(derived, current.governor.store)
    return DriftList([_drift(one) for one in found])


def policy_router() -> Router:
    """Return the routes of `/policy` and `/budgets`."""
    handlers = [show_effective, show_bounds, show_staging, list_budgets, show_drift]
    return Router("/", route_handlers=handlers, tags=["admin"])


def _drift(drift: Drift) -> DriftView:
    return DriftView(
        level=drift.meter.level,
        budget=limit_name(drift.meter),
        counted_usd=drift.counted / PER_MILLION,
        derived_usd=drift.derived / PER_MILLION,
        drift_usd=drift.difference / PER_MILLION,
    )


async def _page(current: Current, team: str, limit: str, after: str) -> tuple[list[Standing], str | None]:
    """Return how a page of budgets stands, and where the next one begins."""
    most = limit_of({"limit": [limit]}, default=_PAGE, most=_LONGEST_PAGE)
    skip = _place(after)
    organisation = current.version.pipeline.policies.organisation
    stored = await _stored_rules(current)

    def find() -> list[Meter]:
        return list(islice(budgets(organisation, stored, team=team or None, skip=skip), most + 1))

    found = await asyncio.to_thread(find)
    stood = await standings(current.governor.store, found[:most])
    return stood, str(skip + most) if len(found) > most else None


async def _stored_rules(current: Current) -> Mapping[tuple[str, str], LevelSettings]:
    """Return the rules of the keys that are valid and stored, by team and name."""
    records = await asyncio.to_thread(current.keys.load)
    return {
        (one.team, one.name): msgspec.structs.replace(one.rules, models=one.models)
        for one in records
        if one.revoked_at is None
    }


def _budget(one: Standing) -> dict[str, Any]:
    return {
        "level": one.meter.level,
        "budget": limit_name(one.meter),
        "cap_usd": one.cap / PER_MILLION,
        "used_usd": one.used / PER_MILLION,
        "remaining_usd": one.remaining / PER_MILLION,
        "resets_at": one.resets_at,
    }


def _place(after: str) -> int:
    if after and not (after.isascii() and after.isdigit() and len(after) <= 9):
        raise InvalidRequestError("'after' must be as 'next' gave it.", param="after")
    return int(after or 0)


def _refuse_others(request: _Request, names: Sequence[str]) -> None:
    """Let no parameter pass that would not be looked at.

    Raises:
        InvalidRequestError: a name is unknown.
    """
    for name in request.query_params:
        if name not in names:
            known = f"known are {', '.join(names)}" if names else "there are none"
            raise InvalidRequestError(f"An unknown parameter was sent; {known}.")
