"""POST /admin/route: where a request would go, and why, without calling anyone."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Router, post
from litestar.datastructures import State
from litestar.status_codes import HTTP_200_OK

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.errors import InvalidRequestError
from gateway.edge.current import Current
from gateway.edge.wishes import wishes_of
from gateway.pipeline import Pipeline
from gateway.rehearsal.preview import Asked, Preview, preview

_Headers = Annotated[dict[str, str], msgspec.Meta(description="Of the request: `x-tierway-max-tier`, ...")]


class RouteQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request that is tried: a text, or a whole chat request."""

    text: str | None = None
    """The user's message."""
    request: dict[str, Any] | None = None
    """A chat request, as it would be sent."""
    model: str = "auto"
    """The model that is asked for, where only a text is given."""
    key: str | None = None
    """`team/key`, whose policy bounds the request; no policy where absent."""
    headers: _Headers = {}


@post("/", summary="Try where a request would go", status_code=HTTP_200_OK)
async def try_route(data: RouteQuestion, state: State) -> Preview:
    """Say where a request would go with the thresholds and the health of now; nothing is called, held or counted."""
    current: Current = state.current
    version = current.version
    pipeline = version.pipeline
    headers = {name.lower().encode("latin-1", "replace"): _encoded(value) for name, value in data.headers.items()}
    wishes = wishes_of(headers, version.settings.router.roles)
    asked = _bounded(pipeline, data.key, Asked(request=_request(data), wishes=wishes))
    return preview(pipeline.router, pipeline.prices, version.settings.models, asked, pipeline.is_resting)


def route_router() -> Router:
    """Return the routes of `/route`."""
    return Router("/route", route_handlers=[try_route], tags=["admin"])


def _request(question: RouteQuestion) -> ChatRequest:
    if (question.text is None) == (question.request is None):
        raise InvalidRequestError("Give either 'text' or 'request'.", param="text")
    document = question.request
    if document is None:
        document = {"model": question.model, "messages": [{"role": "user", "content": question.text}]}
    return read_chat(msgspec.json.encode(document))


def _bounded(pipeline: Pipeline, key: str | None, asked: Asked) -> Asked:
    """Return what is asked within the policy of a key, and under its name."""
    if key is None:
        return asked
    team, _, name = key.partition("/")
    policy = pipeline.policies.of_key(team, name)
    router = pipeline.router
    target = router.target(asked.request.model, routes_all=policy.routes_all)
    options = router.options(
        asked.request, policy.tiers, may_degrade=bool(policy.degrading), target=target, wishes=asked.wishes
    )
    return msgspec.structs.replace(asked, options=options, target=target, caller_id=key)


def _encoded(value: str) -> bytes:
    return value.encode("latin-1", "replace")
