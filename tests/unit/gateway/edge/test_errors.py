from __future__ import annotations

import json

import pytest
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)

from gateway.domain import errors
from gateway.domain.errors import (
    GatewayError,
    InternalError,
    LoginThrottledError,
    MethodNotAllowedError,
    NotAuthenticatedError,
    NotPermittedError,
    PromptRejectedError,
    RateLimitedError,
    StageUnavailableError,
    UnknownModelError,
    UpstreamRefusedError,
)
from gateway.edge.errors import as_gateway_error, error_body, error_headers


def test_an_error_has_openais_four_keys_and_its_source() -> None:
    error = UnknownModelError("No such model.", param="model")

    assert json.loads(error_body(error, "req-1")) == {
        "error": {
            "message": "No such model.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
            "source": "gateway",
        }
    }


def test_empty_fields_are_null_not_absent() -> None:
    found = json.loads(error_body(UpstreamRefusedError("no", status=400), "req-1"))["error"]

    assert found["param"] is None
    assert found["code"] is None
    assert found["source"] == "provider"


@pytest.mark.parametrize("error", [InternalError("secret detail"), StageUnavailableError("secret detail")])
def test_our_own_fault_says_only_the_requests_id(error: GatewayError) -> None:
    body = error_body(error, "req-77").decode()

    assert "secret detail" not in body
    assert "req-77" in body


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (ValidationException("bad"), 400),
        (NotAuthorizedException(), 401),
        (PermissionDeniedException(), 403),
        (NotFoundException(), 404),
        (MethodNotAllowedException(headers={"allow": "GET"}), 405),
        (HTTPException(status_code=413), 413),
        (InternalServerException("secret"), 500),
        (HTTPException(status_code=418), 500),
        (RuntimeError("secret"), 500),
        (KeyError("secret"), 500),
        (RecursionError(), 500),
    ],
)
def test_whatever_is_raised_has_a_status(raised: Exception, status: int) -> None:
    error = as_gateway_error(raised)

    assert error.status == status
    assert "secret" not in error_body(error, "req-1").decode()


def test_our_errors_stay_what_they_are() -> None:
    error = UnknownModelError("x")

    assert as_gateway_error(error) is error


def test_a_bad_field_of_an_admin_request_is_named() -> None:
    raised = ValidationException(
        "Validation failed", extra=[{"key": "team", "message": "Expected str"}, {"message": "x"}]
    )

    assert as_gateway_error(raised).message == "Validation failed (team: Expected str; body: x)"


def test_the_methods_of_an_address_are_told() -> None:
    error = as_gateway_error(MethodNotAllowedException(headers={"allow": "GET, POST"}))

    assert error_headers(error) == [(b"allow", b"GET, POST")]


def test_an_address_without_a_list_of_methods_is_answered() -> None:
    assert as_gateway_error(MethodNotAllowedException()).status == 405


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (UnknownModelError("x"), []),
        (NotAuthenticatedError("x"), [(b"www-authenticate", b"Bearer")]),
        (NotPermittedError("x"), [(b"x-should-retry", b"false")]),
        (PromptRejectedError("x"), [(b"x-should-retry", b"false")]),
        (RateLimitedError("x", retry_after_s=1.2), [(b"retry-after", b"2"), (b"retry-after-ms", b"1200")]),
        (LoginThrottledError("x", retry_after_s=0.0001), [(b"retry-after", b"1"), (b"retry-after-ms", b"1")]),
        (MethodNotAllowedError("x", allow="GET"), [(b"allow", b"GET")]),
        (UpstreamRefusedError("x", status=429, headers=((b"retry-after", b"9"),)), [(b"retry-after", b"9")]),
        (InternalError("x"), []),
    ],
)
def test_headers_say_whether_and_when_to_try_again(error: GatewayError, headers: list[tuple[bytes, bytes]]) -> None:
    assert error_headers(error) == headers


def test_an_error_may_ask_for_another_try() -> None:
    error = RateLimitedError("x", retry_after_s=1)
    error.should_retry = True

    assert (b"x-should-retry", b"true") in error_headers(error)


def test_every_class_can_be_written() -> None:
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, GatewayError):
            made = kind.__new__(kind)
            GatewayError.__init__(made, "x")
            assert set(json.loads(error_body(made, "r"))["error"]) == {"message", "type", "param", "code", "source"}
