"""Which address is answered by what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from litestar import Litestar, Request, Response, asgi
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from gateway.domain.errors import InvalidRequestError
from gateway.edge.admin.router import admin_router
from gateway.edge.answer import EXCHANGE
from gateway.edge.answering import OPERATIONS, AnswerRoute
from gateway.edge.current import Current
from gateway.edge.errors import as_gateway_error, error_body, error_headers, status_of
from gateway.edge.feedback import FeedbackRoute
from gateway.edge.health import LiveRoute, ReadyRoute
from gateway.edge.lifetime import Lifetime, log
from gateway.edge.metrics import MetricsRoute
from gateway.edge.models import ModelsRoute
from gateway.edge.moderations import ModerationsRoute
from gateway.edge.relay import ENDPOINTS, Relaying, RelayRoute
from gateway.edge.responses import ResponsesRoute
from gateway.edge.schema import SchemaRoute


def public_app(current: Current, *, with_operations: bool) -> ASGIApp:
    """Return the application callers talk to.

    Args:
        current: what is served.
        with_operations: whether `/admin` and `/metrics` are here too, or on an address of their own.
    """
    origins = current.version.settings.server.cors_origins
    # Answers to browsers need the framework's CORS layer, so then nothing goes around it.
    hot: dict[str, AnswerRoute] = {}
    handlers = [_plain(SchemaRoute(), "/schema"), *_health(current)]
    for operation in OPERATIONS:
        route = AnswerRoute(current, operation, around_asgi=not origins)
        hot |= dict.fromkeys(operation.paths, route)
        if not operation.path.startswith("/responses"):
            handlers.append(_plain(route, *operation.paths[:2]))
    handlers += _below_v1(lambda root: ModelsRoute(current, root), "/models")
    handlers.append(_plain(FeedbackRoute(current, current.state.memory), "/v1/feedback", "/feedback"))
    relaying = Relaying(current)
    handlers += _below_v1(lambda root: ResponsesRoute(current, relaying, hot, root), "/responses")
    handlers += _below_v1(lambda root: ModerationsRoute(current, relaying, root), "/moderations")
    for endpoint in ENDPOINTS:
        if endpoint == "moderations":  # which may be answered here
            continue
        handlers += _below_v1(partial(RelayRoute, current, relaying, endpoint), "/" + endpoint)
    if with_operations:
        handlers += _operations(current)
    return Lifetime(_litestar(handlers, current, origins), current, {} if origins else hot)


def _below_v1(make: Callable[[str], Any], path: str) -> list[ControllerRouterHandler]:
    """Return the handlers of a route that is mounted with `/v1` before its path and without."""
    return [_mounted(make(root), root) for root in ("/v1" + path, path)]


def operations_app(current: Current) -> ASGIApp:
    """Return the application on `server.admin_listen`."""
    handlers = [*_health(current), *_operations(current)]
    return Lifetime(_litestar(handlers, current, ()), current, {})


def _health(current: Current) -> list[ControllerRouterHandler]:
    return [_plain(LiveRoute(), "/livez"), _plain(ReadyRoute(current), "/readyz")]


def _operations(current: Current) -> list[ControllerRouterHandler]:
    return [_plain(MetricsRoute(current.telemetry), "/metrics"), admin_router()]


def _plain(route: Any, *paths: str) -> ControllerRouterHandler:
    return asgi(list(paths), copy_scope=False, name=paths[0])(route.__call__)


def _mounted(route: Any, path: str) -> ControllerRouterHandler:
    return asgi(path, is_mount=True, copy_scope=False, name=path)(route.__call__)


def _litestar(handlers: list[ControllerRouterHandler], current: Current, origins: tuple[str, ...]) -> ASGIApp:
    cors = None
    if origins:
        cors = CORSConfig(
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=[
                "x-request-id",
                "x-tierway-model",
                "x-tierway-tier",
                "x-tierway-cache",
                "x-tierway-guard",
                "x-tierway-cost",
            ],
        )
    return Litestar(
        handlers,
        cors_config=cors,
        openapi_config=None,
        logging_config=None,
        state=State({"current": current}),
        exception_handlers={Exception: _answer_exception},
    )


def _answer_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer what the framework or one of its routes raised, in OpenAI's shape."""
    exchange = request.scope[EXCHANGE]  # type: ignore[literal-required]  # put there by `Lifetime`
    if isinstance(error, UnicodeDecodeError | RecursionError):  # the framework reads bodies of the admin API only
        error = InvalidRequestError("The request body is not valid JSON.", code="invalid_json")
    known = exchange.error = as_gateway_error(error)
    if known is not error and known.status >= 500:
        log.error("request failed", exc_info=error, extra={"request_id": exchange.request_id})
    headers = {name.decode(): value.decode("latin-1") for name, value in error_headers(known)}
    body = error_body(known, exchange.request_id, exchange.shape)
    status = status_of(known, exchange.shape)
    return Response(body, status_code=status, headers=headers, media_type="application/json")
