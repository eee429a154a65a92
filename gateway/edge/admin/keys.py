"""/admin/keys: make, list and revoke keys."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.datastructures import State

from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.tier import TIERS, TierName
from gateway.edge.current import Current
from policies.authenticate import make_key
from policies.effective import check_budgets
from policies.sanitise.describing import faults
from policies.sanitise.settings import GuardSettings
from policies.settings import Budget, LevelSettings, Limits, Name, Patterns
from policies.stores.keys.base import KeyExistsError, KeyRecord


class KeyRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a new key is to be."""

    team: Name
    name: Name
    models: Patterns = ("*",)
    expires: dt.date | None = None
    """The first day (UTC) on which it is no longer valid."""
    metadata: dict[str, str] = {}
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()
    tiers: tuple[TierName, ...] = TIERS
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    guard: GuardSettings | None = None
    """What is checked in its requests and answers: only more strictly than its team's and organisation's."""


class KeyView(msgspec.Struct, kw_only=True):
    """A key as it is shown."""

    id: str
    team: str
    name: str
    models: Patterns
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    metadata: dict[str, str]
    limits: Limits
    budgets: tuple[Budget, ...]
    tiers: tuple[TierName, ...]
    max_output_tokens: int | None
    guard: GuardSettings | None


class NewKey(KeyView, kw_only=True):
    """A key that was just made, with what its caller sends: shown this once."""

    key: str


class KeyList(msgspec.Struct):
    """Every stored key, revoked ones too. Keys of the settings file are not among them."""

    data: list[KeyView]


@post("/", summary="Make a key", status_code=201)
async def create_key(data: KeyRequest, state: State) -> NewKey:
    """Make a key and return it, once."""
    current: Current = state.current
    expires_at = None
    if data.expires is not None:
        expires_at = dt.datetime.combine(data.expires, dt.time(), dt.UTC).timestamp()
    now = time.time()
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError("'expires' must be a day to come.", param="expires")
    rules = LevelSettings(
        models=data.models,
        limits=data.limits,
        budgets=data.budgets,
        tiers=data.tiers,
        max_output_tokens=data.max_output_tokens,
        guard=data.guard,
    )
    try:
        check_budgets(rules.budgets)
    except ValueError as error:
        raise InvalidRequestError(f"{error}.", param="budgets") from error
    fault = next(faults("guard", rules.guard), None) if rules.guard is not None else None
    if fault is not None:
        raise InvalidRequestError(f"{fault}.", param="guard")
    token, record = make_key(data.team, data.name, now=now, expires_at=expires_at, metadata=data.metadata, rules=rules)
    try:
        await asyncio.to_thread(current.keys.add, record)
    except KeyExistsError as error:
        message = f"Team '{data.team}' has a key called '{data.name}' already; revoke it first."
        raise InvalidRequestError(message, param="name", code="key_exists") from error
    await current.refresh_keys()
    return NewKey(key=token, **msgspec.structs.asdict(_view(record)))


@get("/", summary="List keys")
async def list_keys(state: State) -> KeyList:
    """List the stored keys."""
    current: Current = state.current
    return KeyList([_view(record) for record in await asyncio.to_thread(current.keys.load)])


@delete("/{key_id:str}", summary="Revoke a key", status_code=204)
async def revoke_key(key_id: str, state: State) -> None:
    """Revoke a key; requests that use it are refused from now on."""
    current: Current = state.current
    if not await asyncio.to_thread(current.keys.revoke, key_id, time.time()):
        raise NotFoundError("There is no key of that id that is not revoked already.")
    await current.refresh_keys()


def keys_router() -> Router:
    """Return the routes of `/keys`."""
    return Router("/keys", route_handlers=[create_key, list_keys, revoke_key], tags=["admin"])


def _view(record: KeyRecord) -> KeyView:
    return KeyView(
        id=record.id,
        team=record.team,
        name=record.name,
        models=record.models,
        created_at=_moment(record.created_at),
        expires_at=None if record.expires_at is None else _moment(record.expires_at),
        revoked_at=None if record.revoked_at is None else _moment(record.revoked_at),
        metadata=record.metadata,
        limits=record.rules.limits,
        budgets=record.rules.budgets,
        tiers=record.rules.tiers,
        max_output_tokens=record.rules.max_output_tokens,
        guard=record.rules.guard,
    )


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)
