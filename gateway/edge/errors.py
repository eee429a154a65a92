"""The one table from exception to status and OpenAI error body."""

from __future__ import annotations

import http
import math
from typing import Any, Final

import msgspec
from litestar.exceptions import HTTPException, MethodNotAllowedException

from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    RateLimitedError,
    RequestTooLargeError,
    StateLostError,
    UpstreamRefusedError,
    UpstreamsRestingError,
)
from gateway.domain.request import Shape

Headers = list[tuple[bytes, bytes]]

ANTHROPIC: Final = frozenset({"messages", "count_tokens"})
"""Shapes whose callers are Anthropic's clients."""

_OVERLOADED: Final = 529
"""Anthropic's status for an overloaded service, which OpenAI's clients know as 503."""

_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    _OVERLOADED: "overloaded_error",
}
"""Status to Anthropic's type of error (docs.claude.com, "Errors", 2026-11); other 4xx are the caller's fault."""

_FRAMEWORK: Final[dict[int, tuple[type[GatewayError], str]]] = {
    400: (InvalidRequestError, "The request cannot be understood."),
    401: (NotAuthenticatedError, "No valid key was sent."),
    403: (NotPermittedError, "This key may not do that."),
    404: (NotFoundError, "There is nothing at this address."),
    413: (RequestTooLargeError, "The request body is too large."),
}
"""What the framework's own exceptions become."""


def as_gateway_error(error: BaseException) -> GatewayError:
    """Return the error to answer with, whatever was raised."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, MethodNotAllowedException):
        allow = (error.headers or {}).get("allow", "")
        return MethodNotAllowedError("This address does not answer that method.", allow=allow)
    if isinstance(error, HTTPException) and error.status_code in _FRAMEWORK:
        kind, message = _FRAMEWORK[error.status_code]
        detail = error.detail if error.status_code == http.HTTPStatus.BAD_REQUEST and error.detail else message
        return kind(_with_reasons(detail, error.extra))
    return InternalError(type(error).__name__)


def _with_reasons(detail: str, extra: Any) -> str:
    """Add which fields of an admin request were wrong."""
    reasons = [f"{item.get('key', 'body')}: {item.get('message')}" for item in extra or () if isinstance(item, dict)]
    return f"{detail} ({'; '.join(reasons)})" if reasons else detail


def status_of(error: GatewayError, shape: Shape = "chat") -> int:
    """Return the status to answer with: the two families of clients know an overloaded service by different ones."""
    if error.status == 503 and shape in ANTHROPIC and not isinstance(error, InternalError):
        return _OVERLOADED
    return 503 if error.status == _OVERLOADED and shape not in ANTHROPIC else error.status


def error_object(error: GatewayError, request_id: str, shape: Shape = "chat") -> dict[str, Any]:
    """Return the error as the caller's clients read it. What is our own fault says no more than the request's id."""
    message = error.message
    if isinstance(error, InternalError) and not isinstance(error, StateLostError):
        message = f"The gateway failed to handle this request. Quote the request id {request_id} to its operators."
    if shape in ANTHROPIC:
        status = status_of(error, shape)
        kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return {
        "error": {
            "message": message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
            "source": error.source,
        }
    }


def error_body(error: GatewayError, request_id: str, shape: Shape = "chat") -> bytes:
    """Return the error as a JSON document."""
    return msgspec.json.encode(error_object(error, request_id, shape))


def error_headers(error: GatewayError) -> Headers:
    """Return the headers by which clients decide whether and when to try again."""
    headers: Headers = []
    if isinstance(error, UpstreamRefusedError):
        headers.extend(error.headers)
    elif isinstance(error, RateLimitedError | UpstreamsRestingError):
        headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after_s)))
        headers.append((b"retry-after-ms", b"%d" % math.ceil(error.retry_after_s * 1000)))
    elif isinstance(error, BudgetExhaustedError | StateLostError) and error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after_s)))
    elif isinstance(error, NotAuthenticatedError):
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", error.allow.encode("latin-1")))
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    return headers
