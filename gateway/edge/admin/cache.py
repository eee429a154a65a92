"""/admin/cache: what is kept, how far hits can be trusted, and how to be rid of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from litestar import Router, delete, get
from litestar.datastructures import State
from litestar.params import QueryParameter
from litestar.status_codes import HTTP_200_OK

from cache.base import Selection
from gateway.caching.stage import CacheStage
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.edge.current import Current

if TYPE_CHECKING:
    from gateway.caching.likeness import Likeness


class SemanticView(msgspec.Struct, kw_only=True):
    """Answers by meaning."""

    entries: int
    """Questions that can be found in this process."""
    bytes: int
    """What their vectors and words take in memory."""
    is_warm: bool
    """Whether all that was kept before the start can be found again."""
    complaint: str
    """What is wrong, empty when all is well."""
    embedder: str
    threshold: float
    """Cosine similarity that is asked for where no scope has moved its own."""
    lookups: dict[str, int]
    """Look-ups by what came of them: `hit`, or why there was none."""
    refused: dict[str, int]
    """Near questions by the rule that told them apart."""


class FalseHitsView(msgspec.Struct, kw_only=True):
    """How many requests were answered from a wrong entry, as far as audits and reports tell."""

    budget: float
    """Share of requests that may be."""
    rate: float
    """Share that was, by the audits."""
    bound: float
    """With a confidence of 0.95 it is no more than this, if audited hits are a fair sample; 1 without audits."""
    audits: int
    wrong: int
    hit_rate: float
    """Share of look-ups that were hits."""


class CacheView(msgspec.Struct, kw_only=True):
    """The cache of this process."""

    is_on: bool
    bytes: int
    """What the answers take that are kept."""
    events: dict[str, int]
    unkept: dict[str, int]
    """Answers that were not kept, by reason."""
    saved_usd: float
    """What the answers had cost that were given again."""
    semantic: SemanticView | None = None
    false_hits: FalseHitsView | None = None


class Purged(msgspec.Struct, kw_only=True):
    """What was forgotten."""

    deleted: int


_Tenant = Annotated[
    str | None,
    QueryParameter(description="Who shares the answers: `team:ORG/TEAM`, `key:ORG/ID`, `org:ORG`, `shared:NAME@ORG`"),
]
_Model = Annotated[str | None, QueryParameter(description="The model that made the answers, as its provider names it")]
_All = Annotated[bool, QueryParameter(name="all", description="Forget everything")]


@get("/", summary="Show the cache")
async def show_cache(state: State) -> CacheView:
    """Say what is kept and how far hits can be trusted."""
    stage = _stage(state)
    cache, keeper, likeness = stage.cache, stage.keeper, stage.likeness
    if cache is None or keeper is None:
        return CacheView(is_on=False, bytes=0, events={}, unkept={}, saved_usd=0.0)
    return CacheView(
        is_on=True,
        bytes=cache.kept_bytes,
        events=dict(cache.counters()),
        unkept=dict(keeper.unkept),
        saved_usd=stage.saved_usd,
        semantic=None if likeness is None else _semantic(likeness),
        false_hits=None if likeness is None else _false_hits(likeness),
    )


@delete("/{entry:str}", summary="Forget a wrong answer", status_code=HTTP_200_OK)
async def delete_entry(entry: str, state: State) -> Purged:
    """Forget an answer that was wrong: on every replica, and the questions it answered never match again."""
    if not await _stage(state).report_wrong(entry):
        raise NotFoundError("No entry of the cache has that id.", code="entry_not_found", param="entry")
    return Purged(deleted=1)


@delete("/", summary="Forget answers", status_code=HTTP_200_OK)
async def clear_cache(
    state: State,
    tenant: _Tenant = None,
    model: _Model = None,
    everything: _All = False,  # noqa: FBT002  a flag of the query
) -> Purged:
    """Forget the answers for which everything that is named holds."""
    if tenant is None and model is None and not everything:
        message = "Say which: 'tenant', 'model' or 'all=true'."
        raise InvalidRequestError(message, param="tenant", code="missing_required_parameter")
    cache = _stage(state).cache
    deleted = 0 if cache is None else await cache.clear(Selection(tenant=tenant, answered_model=model))
    return Purged(deleted=deleted)


def cache_router() -> Router:
    """Return the routes of `/cache`."""
    return Router("/cache", route_handlers=[show_cache, delete_entry, clear_cache], tags=["admin"])


def _stage(state: State) -> CacheStage:
    current: Current = state.current
    return current.version.pipeline.cache


def _semantic(likeness: Likeness) -> SemanticView:
    cache, keeper = likeness.cache, likeness.keeper
    return SemanticView(
        entries=len(cache.entries) if cache else 0,
        bytes=cache.entries.size if cache else 0,
        is_warm=cache is not None and cache.is_warm,
        complaint=likeness.complaint,
        embedder=likeness.embedder.identity if likeness.embedder else "",
        threshold=keeper.threshold("") if keeper else 1.0,
        lookups=dict(cache.counts + likeness.unlike) if cache else {},
        refused={rule: count for rule, count in cache.verifier.refusals.items() if count} if cache else {},
    )


def _false_hits(likeness: Likeness) -> FalseHitsView | None:
    if likeness.keeper is None:
        return None
    told = likeness.keeper.measured()
    return FalseHitsView(
        budget=likeness.error_budget,
        rate=told.rate,
        bound=told.bound,
        audits=told.audits,
        wrong=told.wrong,
        hit_rate=told.hit_rate,
    )
