from __future__ import annotations

import pytest

from gateway.domain import errors
from gateway.domain.errors import (
    CallerError,
    GatewayError,
    InternalError,
    MethodNotAllowedError,
    RateLimitedError,
    UpstreamError,
    UpstreamRefusedError,
)


def every(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in every(below))]


@pytest.mark.parametrize("kind", every(GatewayError))
def test_every_error_is_drawn_in_the_tree(kind: type[GatewayError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", every(CallerError))
def test_what_the_caller_must_change_is_a_4xx_and_never_tried_elsewhere(kind: type[GatewayError]) -> None:
    assert 400 <= kind.status < 500
    assert not kind.retryable
    assert kind.source == "gateway"


@pytest.mark.parametrize("kind", every(UpstreamError))
def test_what_an_upstream_did_is_the_providers(kind: type[GatewayError]) -> None:
    assert kind.source == "provider"
    assert kind.status in (502, 503, 504)


@pytest.mark.parametrize("kind", every(InternalError))
def test_our_own_fault_is_a_5xx(kind: type[GatewayError]) -> None:
    assert kind.status in (500, 503)
    assert not kind.retryable


def test_a_code_given_overrides_the_class() -> None:
    assert CallerError("no", code="mine").code == "mine"
    assert CallerError("no").code == "invalid_request"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_an_upstreams_refusal_may_be_tried_elsewhere_by_its_status(status: int, *, retryable: bool) -> None:
    assert UpstreamRefusedError("no", status=status).retryable is retryable


def test_errors_carry_what_clients_need() -> None:
    assert RateLimitedError("slow", retry_after_s=2.5).retry_after_s == 2.5
    assert MethodNotAllowedError("no", allow="GET").allow == "GET"
