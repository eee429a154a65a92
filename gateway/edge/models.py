"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from typing import Any

from litestar.types import Receive, Scope, Send

from gateway.domain.errors import NotFoundError
from gateway.edge.answer import allows, exchange_of, send_json
from gateway.edge.current import Current
from router.tiers import unknown_model


class ModelsRoute:
    """Lists the models that the caller's key may use.

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
        version = self._current.version
        caller = version.pipeline.authenticate(exchange)
        names = [name for name in version.pipeline.router.names() if caller.may_use(name)]
        model_id = asked.strip("/")
        if not model_id:
            document: Any = {"object": "list", "data": [self._model(name) for name in names]}
        elif model_id in names:
            document = self._model(model_id)
        else:
            raise unknown_model(model_id)
        await send_json(send, exchange, document)

    def _model(self, name: str) -> dict[str, Any]:
        version = self._current.version
        model = version.settings.models.get(name)
        owner = "tierway" if model is None else model.upstream
        return {"id": name, "object": "model", "created": int(version.loaded_at), "owned_by": owner}
