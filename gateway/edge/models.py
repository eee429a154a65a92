"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import parse_qs

from litestar.types import Receive, Scope, Send

from gateway.domain.errors import NotFoundError
from gateway.edge.answer import allows, exchange_of, send_json
from gateway.edge.current import Current
from gateway.edge.paging import limit_of
from router.tiers import unknown_model

_DEFAULT_PAGE: Final = 20
_MOST_OF_A_PAGE: Final = 1000
"""Models on one page, as Anthropic's API reference says."""


class ModelsRoute:
    """Lists the models that the caller's key may use, for Anthropic's clients (`anthropic-version`) in their shape.

    Mounted at `/v1/models` and `/models`, because ids may contain `/`. The framework's mounts match by prefix
    (`/v1/modelsX` too), so the boundary is checked here.

    Args:
        current: what is served.
        root: the path it is mounted at.
    """

    def __init__(self, current: Current, root: str) -> None:
        self._current = current
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "models"
        asked = scope["path"].removeprefix(self._root)
        if asked and not asked.startswith("/"):
            raise NotFoundError("There is nothing at this address.")
        if not await allows(scope, send, "GET"):
            return
        is_for_anthropic = b"anthropic-version" in exchange.headers
        version = self._current.version
        caller = version.pipeline.authenticate(exchange)
        names = [name for name in version.pipeline.router.names() if caller.may_use(name)]
        model_id = asked.strip("/")
        show = self._anthropic_model if is_for_anthropic else self._model
        if model_id and model_id not in names:
            raise unknown_model(model_id)
        if model_id:
            document = show(model_id)
        elif is_for_anthropic:
            page, has_more = _page(names, parse_qs(scope["query_string"].decode("latin-1")))
            ends = {"first_id": page[0] if page else None, "last_id": page[-1] if page else None}
            document = {"data": [show(name) for name in page], "has_more": has_more, **ends}
        else:
            document = {"object": "list", "data": [show(name) for name in names]}
        await send_json(send, exchange, document)

    def _anthropic_model(self, name: str) -> dict[str, Any]:
        loaded_at = dt.datetime.fromtimestamp(int(self._current.version.loaded_at), dt.UTC)
        created_at = loaded_at.isoformat().replace("+00:00", "Z")
        return {"type": "model", "id": name, "display_name": name, "created_at": created_at}

    def _model(self, name: str) -> dict[str, Any]:
        version = self._current.version
        model = version.settings.models.get(name)
        owner = "tierway" if model is None else model.upstream
        return {"id": name, "object": "model", "created": int(version.loaded_at), "owned_by": owner}


def _page(names: list[str], query: dict[str, list[str]]) -> tuple[list[str], bool]:
    """Return one page of names as Anthropic's API cuts them, and whether there are more in its direction.

    Raises:
        InvalidRequestError: `limit` is not a number from 1 to 1000.
    """
    limit = limit_of(query, default=_DEFAULT_PAGE, most=_MOST_OF_A_PAGE)
    before = query.get("before_id", [""])[-1]
    if before in names:
        end = names.index(before)
        return names[max(end - limit, 0) : end], end > limit
    after = query.get("after_id", [""])[-1]
    start = names.index(after) + 1 if after in names else 0
    return names[start : start + limit], start + limit < len(names)
