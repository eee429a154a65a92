"""Who may use `/admin`, and what stands there."""

from __future__ import annotations

import hmac

from litestar import Router
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from gateway.domain.errors import LoginThrottledError, NotAuthenticatedError, NotPermittedError
from gateway.edge.admin.alerts import alerts_router
from gateway.edge.admin.cache import cache_router
from gateway.edge.admin.capture import capture_router
from gateway.edge.admin.experiments import experiments_router
from gateway.edge.admin.keys import keys_router
from gateway.edge.admin.policy import policy_router
from gateway.edge.admin.route import route_router
from gateway.edge.admin.usage import usage_router
from gateway.edge.answer import exchange_of
from gateway.edge.current import Current
from gateway.pipeline import token_of
from policies.authenticate import digest_of


def admin_router() -> Router:
    """Return the operators' API."""
    handlers = [
        keys_router(),
        usage_router(),
        policy_router(),
        alerts_router(),
        route_router(),
        experiments_router(),
        cache_router(),
        capture_router(),
    ]
    return Router("/admin", route_handlers=handlers, guards=[require_admin_key])


def require_admin_key(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Let only the admin key pass.

    Raises:
        NotPermittedError: the settings name no admin key.
        NotAuthenticatedError: another key was sent, or none.
        LoginThrottledError: too many wrong ones came from this address.
    """
    exchange = exchange_of(connection.scope)
    exchange.route = "admin"
    current: Current = connection.app.state.current
    admin_key = current.version.settings.server.admin_key
    if admin_key is None:
        raise NotPermittedError("The admin API is off: set 'server.admin_key' in the settings file.", code="admin_off")
    sent = token_of(exchange.headers) or ""
    if hmac.compare_digest(digest_of(sent), digest_of(admin_key.reveal())):
        return
    wait_s = current.throttle(exchange.address) if sent else None
    if wait_s is not None:
        raise LoginThrottledError("Too many wrong keys came from this address.", retry_after_s=wait_s)
    raise NotAuthenticatedError("The admin key is missing or wrong.")
