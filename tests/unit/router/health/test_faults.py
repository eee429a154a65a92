from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    RateLimitedError,
    StageUnavailableError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from router.health.faults import FAULTS, fault_of, retry_after_s


def refused(status: int, *headers: tuple[bytes, bytes]) -> UpstreamRefusedError:
    return UpstreamRefusedError("No.", status=status, headers=headers)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (UpstreamUnreachableError("x"), "connect"),
        (UpstreamTimeoutError("x"), "timeout"),
        (UpstreamOverloadedError("x"), "overload"),
        (UpstreamGarbledError("x"), "garbled"),
    ],
)
def test_each_error_of_an_upstream_has_a_class(error: BaseException, fault: str) -> None:
    assert fault_of(error) == fault
    assert fault in FAULTS


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, "auth"), (402, "auth"), (403, "server"), (408, "timeout"), (429, "overload"), (500, "server"),
        (502, "server"), (503, "overload"), (504, "timeout"), (520, "server"), (529, "overload"), (599, "server"),
    ],
)  # fmt: skip
def test_a_status_that_is_the_providers_fault_has_a_class(status: int, fault: str) -> None:
    assert fault_of(refused(status)) == fault


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 418, 422, 424, 425, 451, 499])
def test_a_status_that_finds_fault_with_the_request_has_none(status: int) -> None:
    assert fault_of(refused(status)) is None


@pytest.mark.parametrize(
    ("status", "fault"), [(0, "garbled"), (403, "garbled"), (404, "garbled"), (500, "server"), (504, "timeout")]
)
def test_an_answer_nobody_can_read_counts_by_its_status_where_that_is_the_servers(status: int, fault: str) -> None:
    error = UpstreamGarbledError("x")
    error.answered_status = status

    assert fault_of(error) == fault


@pytest.mark.parametrize(
    "error",
    [
        DeadlineExceededError("x"),
        asyncio.CancelledError(),
        TimeoutError(),
        InvalidRequestError("x"),
        RateLimitedError("x", retry_after_s=1.0),
        StageUnavailableError("x"),
        ValueError(),
    ],
)
def test_what_is_not_the_providers_fault_has_no_class(error: BaseException) -> None:
    assert fault_of(error) is None


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        (((b"retry-after", b"7"),), 7.0),
        (((b"retry-after", b"7"), (b"retry-after-ms", b"6500")), 6.5),
        (((b"retry-after", b"Thu, 01 Jan 1970 00:01:10 GMT"),), 10.0),
        (((b"retry-after", b"86400"),), 120.0),
        (((b"retry-after", b"tomorrow"),), None),
        ((), None),
    ],
)
def test_the_wait_an_upstream_asks_for_is_read_and_capped(
    headers: tuple[tuple[bytes, bytes], ...], wait_s: float | None
) -> None:
    assert retry_after_s(refused(429, *headers), lambda: 60.0) == wait_s


def test_other_errors_ask_for_no_wait() -> None:
    assert retry_after_s(UpstreamOverloadedError("x")) is None
