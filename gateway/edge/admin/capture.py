"""/admin/capture: have what one key sends and is answered kept for a while. What is kept is never shown here."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.datastructures import State

from gateway.capture.captures import MOST_MINUTES, Running
from gateway.domain.errors import InvalidRequestError
from gateway.edge.answer import exchange_of
from gateway.edge.current import Current
from policies.authenticate import DEMO, digest_of


class CaptureRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be captured, and why."""

    key: Annotated[str, msgspec.Meta(max_length=129)]
    """`team/name` of the one key."""
    minutes: Annotated[float, msgspec.Meta(ge=1, le=MOST_MINUTES)]
    """For which it runs."""
    reason: Annotated[str, msgspec.Meta(min_length=8, max_length=200)]
    """Why, for whoever reads the audit lines: a ticket, an incident."""


class CaptureView(msgspec.Struct, kw_only=True):
    """A capture as it is shown."""

    id: str
    key: str
    reason: str
    by: str
    """Who began it: a part of the admin key's hash, and an address."""
    started_at: dt.datetime
    ends_at: dt.datetime
    kept: int
    """Exchanges so far."""
    dropped: int
    """Exchanges that were not kept, as there were too many or they were too long."""
    bytes: int
    """Of those that were kept."""


class CaptureList(msgspec.Struct):
    """The captures that run. Those that have ended are listed by `tierway capture list`."""

    data: list[CaptureView]


@post("/", summary="Begin a capture", status_code=201)
async def start_capture(data: CaptureRequest, state: State, request: Request[None, None, State]) -> CaptureView:
    """Begin to keep what one key sends and is answered."""
    current: Current = state.current
    if not data.reason.isprintable():
        raise InvalidRequestError("'reason' must be one line of printable characters.", param="reason")
    if not await _exists(current, data.key):
        raise InvalidRequestError("There is no key of that name: 'team/name' is expected.", param="key")
    return _view(await current.captures.start(data.key, data.minutes, data.reason, _asker(current, request)))


@get("/", summary="List captures")
async def list_captures(state: State) -> CaptureList:
    """List the captures that run, without what they have kept."""
    current: Current = state.current
    return CaptureList([_view(running) for running in current.captures.running])


@delete("/{capture_id:str}", summary="End a capture", status_code=204)
async def end_capture(capture_id: str, state: State, request: Request[None, None, State]) -> None:
    """End a capture before its time; what it has kept stays."""
    current: Current = state.current
    await current.captures.end(capture_id, _asker(current, request))


def capture_router() -> Router:
    """Return the routes of `/capture`."""
    return Router("/capture", route_handlers=[start_capture, list_captures, end_capture], tags=["admin"])


async def _exists(current: Current, path: str) -> bool:
    if path == f"{DEMO}/{DEMO}":
        return True
    teams = current.version.settings.organisation.teams
    if any(path == f"{team}/{key.name}" for team, word in teams.items() for key in word.keys):
        return True
    stored = await asyncio.to_thread(current.keys.load)
    return any(path == f"{record.team}/{record.name}" and record.revoked_at is None for record in stored)


def _asker(current: Current, request: Request[None, None, State]) -> str:
    """Say who asks, so that it can be told apart from others: the key by a part of its hash, and the address."""
    admin_key = current.version.settings.server.admin_key
    digest = digest_of(admin_key.reveal()).hex()[:8] if admin_key else "none"
    return f"admin:{digest}@{exchange_of(request.scope).address or 'unknown'}"


def _view(running: Running) -> CaptureView:
    opening = running.opening
    return CaptureView(
        id=opening.id,
        key=opening.key,
        reason=opening.reason,
        by=opening.by,
        started_at=dt.datetime.fromtimestamp(opening.started_at, dt.UTC),
        ends_at=dt.datetime.fromtimestamp(opening.ends_at, dt.UTC),
        kept=running.kept,
        dropped=running.dropped,
        bytes=running.size,
    )
