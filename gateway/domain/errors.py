"""The error tree: what happened, whose fault it is, and whether another candidate may be tried.

GatewayError
├── CallerError                    the caller must change something
│   ├── InvalidRequestError        400
│   ├── NotAuthenticatedError      401
│   ├── NotPermittedError          403
│   ├── NotFoundError              404
│   │   └── UnknownModelError      404 model_not_found
│   ├── MethodNotAllowedError      405
│   ├── RequestTimeoutError        408  the head or the body did not arrive in time
│   ├── RequestTooLargeError       413
│   ├── UnsupportedMediaError      415
│   ├── IdempotencyKeyReusedError  422  idempotency_key_reused
│   ├── PromptRejectedError        400  a policy refused the content
│   ├── AnswerRejectedError        400  content_policy: a policy refused what the model answered
│   ├── RateLimitedError           429  waiting helps: carries retry_after_s
│   │   └── LoginThrottledError    429  too many failed logins from one address
│   └── BudgetExhaustedError       429  insufficient_quota; the status can be set to 402 or 403
├── UpstreamError                  someone we called failed
│   ├── UpstreamUnreachableError   502  retryable
│   │   └── UpstreamClosedError    502  it had the request, and closed the connection
│   ├── UpstreamTimeoutError       504  retryable
│   ├── UpstreamOverloadedError    503  retryable
│   │   └── UpstreamsRestingError  503  every model that could answer has been failing: carries retry_after_s
│   ├── UpstreamRefusedError       the upstream's own status
│   └── UpstreamGarbledError       502  retryable
├── SharedAnswerLostError          503  shared_answer_lost
├── NotCachedError                 504  only-if-cached, and nothing is there
├── DeadlineExceededError          504  the caller's own deadline passed
├── ShuttingDownError              503  the process stops and the time to finish is over
└── InternalError                  our fault: 500
    └── StageUnavailableError      503  a stage that must not fail open is broken
        └── StateLostError         503  limits_unavailable: what replicas share cannot be reached

`status`, `code` and `type` follow OpenAI's error guide (platform.openai.com/docs/guides/error-codes, 2026-11).
"""

from __future__ import annotations


class GatewayError(Exception):
    """Anything the gateway answers a request with instead of a reply.

    Args:
        message: one sentence for the caller; never a secret, a prompt or an upstream's body.
        code: overrides the class's OpenAI error code.
        param: the request field at fault, as OpenAI names it.
    """

    status = 500
    code: str | None = "internal_error"
    type = "server_error"
    retryable = False
    source = "gateway"
    should_retry: bool | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class CallerError(GatewayError):
    """The caller must change something before asking again."""

    status = 400
    code: str | None = "invalid_request"
    type = "invalid_request_error"


class InvalidRequestError(CallerError):
    """The request cannot be understood."""


class NotAuthenticatedError(CallerError):
    """No key, or one that is unknown, revoked or expired."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class NotPermittedError(CallerError):
    """The key is known and may not do this; asking again cannot help."""

    status = 403
    code = "not_permitted"
    type = "permission_error"
    should_retry = False


class NotFoundError(CallerError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class UnknownModelError(NotFoundError):
    """The model is not configured, or the key may not know of it."""

    code = "model_not_found"


class MethodNotAllowedError(CallerError):
    """The address exists and answers other methods, listed in `allow`."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeoutError(CallerError):
    """The head or the body of the request did not arrive in time."""

    status = 408
    code = "request_timeout"


class RequestTooLargeError(CallerError):
    """The body is larger than `server.body_limit_mb`, as sent or after inflation."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaError(CallerError):
    """The body's content type or content encoding is not one the gateway reads."""

    status = 415
    code = "unsupported_media_type"


class IdempotencyKeyReusedError(CallerError):
    """An idempotency key was sent before, with another request.

    Not 409, which OpenAI's clients ask again: the same would be refused again.
    """

    status = 422
    code = "idempotency_key_reused"
    should_retry = False


class PromptRejectedError(CallerError):
    """A policy refused the content of the request."""

    code = "content_policy_violation"
    should_retry = False


class AnswerRejectedError(CallerError):
    """A policy refused what the model answered. It was paid for, and asking the same again would cost the same again.

    Not 5xx, which clients and proxies ask again by themselves.
    """

    code = "content_policy"
    should_retry = False


class RateLimitedError(CallerError):
    """A limit is reached and waiting helps.

    Args:
        retry_after_s: seconds until the request may succeed, > 0.
        standing: how the limit stands (`policies.meters.Standing`), where it is one of the organisation's.
    """

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"

    def __init__(self, message: str, *, retry_after_s: float, standing: object = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.standing = standing
        self.waited: object = None
        """How it waited for the limit (`policies.fair_queue.Waited`)."""


class LoginThrottledError(RateLimitedError):
    """Too many failed logins from one client address."""

    code = "too_many_failed_logins"


class BudgetExhaustedError(CallerError):
    """A budget has less left than the request may cost.

    Args:
        status: 402, 403 or 429, as the organisation wants it.
        retry_after_s: seconds after which asking again may help, as it does where only calls in flight stand in the
            way; None where it does not.
        standing: how the budget stands (`policies.meters.Standing`).
    """

    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"

    def __init__(self, message: str, *, status: int, retry_after_s: float | None, standing: object) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.should_retry = retry_after_s is not None
        self.standing = standing
        self.waited: object = None


class UpstreamError(GatewayError):
    """Someone we called failed."""

    status = 502
    code: str | None = "upstream_error"
    type = "api_error"
    source = "provider"


class UpstreamUnreachableError(UpstreamError):
    """No connection, or it broke before the first byte of an answer."""

    code = "upstream_unreachable"
    retryable = True


class UpstreamClosedError(UpstreamUnreachableError):
    """The connection was there and the request sent; it broke before the answer was complete."""


class UpstreamTimeoutError(UpstreamError):
    """The upstream was silent for longer than its timeouts allow."""

    status = 504
    code = "upstream_timeout"
    retryable = True


class UpstreamGarbledError(UpstreamError):
    """The upstream sent something that is not an answer: HTML, broken JSON, a cut stream.

    Attributes:
        answered_status: the status of an answer that could not be read, 0 where there is none.
    """

    answered_status = 0
    code = "upstream_garbled"
    retryable = True


class UpstreamRefusedError(UpstreamError):
    """The upstream answered with an error of its own; status, code, param and message are kept.

    Args:
        status: the upstream's status, 400 to 599.
        type_: the upstream's error type.
        headers: the retry headers it sent, to be passed on.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        type_: str = "api_error",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, param=param)
        self.status = status
        self.code = code
        self.type = type_
        self.headers = headers
        self.retryable = status >= 500 or status in (408, 409, 429)


class UpstreamOverloadedError(UpstreamError):
    """The upstream cannot take more: its pool here is exhausted or it said 503."""

    status = 503
    code = "upstream_overloaded"
    retryable = True


class UpstreamsRestingError(UpstreamOverloadedError):
    """Every model that could answer has been failing, and is left alone until it may be tried again.

    Args:
        retry_after_s: seconds until the first of them may be tried, > 0.
    """

    code = "upstreams_resting"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SharedAnswerLostError(GatewayError):
    """An answer that was shared with another caller was lost to this one after it had begun; asking again helps."""

    status = 503
    code = "shared_answer_lost"


class NotCachedError(GatewayError):
    """The caller wants an answer from the cache only, and none is there (RFC 9111 section 5.2.1.7)."""

    status = 504
    code = "not_cached"
    type = "invalid_request_error"
    should_retry = False


class DeadlineExceededError(GatewayError):
    """The request's own deadline passed before an answer was there."""

    status = 504
    code = "deadline_exceeded"
    type = "timeout_error"


class ShuttingDownError(GatewayError):
    """The process was told to stop, and the request was not finished within `server.drain_s`."""

    status = 503
    code = "shutting_down"


class InternalError(GatewayError):
    """Our fault. The message of this class never reaches the caller."""


class StageUnavailableError(InternalError):
    """A stage that must not fail open cannot decide."""

    status = 503
    code = "stage_unavailable"


class StateLostError(StageUnavailableError):
    """The state that replicas share cannot be reached, and a limit or budget of this call may not go on without it.

    The message names no internals; callers may see it.
    """

    code = "limits_unavailable"
    retry_after_s = 1.0
