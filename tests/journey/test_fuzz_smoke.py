"""A short run of the fuzzer, so that it and the gateway are tried on every change; `make fuzz` is the long one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.client import Answer
from tests.fuzz.fuzzer import fuzz
from tests.fuzz.mutations import Case
from tests.fuzz.verdict import fault_of


@pytest.mark.parametrize("mode", ["requests", "answers"])
def test_nothing_hostile_makes_the_gateway_fail(mode: str, tmp_path: Path) -> None:
    report = fuzz(tmp_path, mode, seed=20, cases=400, connections=8)

    # A few hundred cases do not warm a process up; memory is compared by `make fuzz`.
    assert [violation for violation in report.violations if not violation.startswith("RSS")] == []
    assert report.cases == 400
    assert report.statuses[200] > 0
    assert report.statuses[400] > 0
    assert report.upstream_calls > 0


_ERROR = {"message": "No.", "type": "invalid_request_error", "param": None, "code": None, "source": "gateway"}
_ANTHROPICS = {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}, "request_id": "req-1"}
_JSON = {b"content-type": b"application/json", b"x-request-id": b"req-1"}
_STREAM = {**_JSON, b"content-type": b"text/event-stream"}
_FAILED = b"data: " + json.dumps({"error": {**_ERROR, "source": "provider"}}).encode() + b"\n\n"


def _refused(status: int, body: object, headers: dict[bytes, bytes] = _JSON) -> Answer:
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode(), complete=True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_refused(500, {"error": _ERROR}), id="server error"),
        pytest.param(_refused(400, {"error": {**_ERROR, "code": 5}}), id="code that is no text"),
        pytest.param(_refused(400, {"error": "No."}), id="error that is no object"),
        pytest.param(_refused(400, {"detail": "No."}), id="no error at all"),
        pytest.param(_refused(400, {"error": {**_ERROR, "code": "invalid_http"}}), id="refused below the app"),
        pytest.param(_refused(400, b"Invalid HTTP request received."), id="plain text"),
        pytest.param(_refused(400, {"error": _ERROR}, {}), id="no request id"),
        pytest.param(Answer(200, _JSON, b"{}", complete=False), id="cut body"),
        pytest.param(
            Answer(200, _STREAM, b"data: {}\n\n", complete=True),
            id="stream without its end",
        ),
        pytest.param(_refused(502, {"error": {**_ERROR, "source": "provider"}}), id="failure nobody caused"),
        pytest.param(_refused(200, {"object": "response"}), id="answer of another kind"),
        pytest.param(_refused(400, _ANTHROPICS), id="words of the other API"),
    ],
)
def test_the_fuzzer_objects_to_a_wrong_answer(answer: Answer) -> None:
    assert fault_of(answer, Case("any", b"", kind="chat")) is not None


def test_the_fuzzer_accepts_an_error_in_openais_shape() -> None:
    assert fault_of(_refused(400, {"error": _ERROR}), Case("any", b"", kind="chat")) is None


def test_the_fuzzer_accepts_an_error_in_anthropics_shape_from_its_routes() -> None:
    assert fault_of(_refused(400, _ANTHROPICS), Case("any", b"", kind="messages")) is None


@pytest.mark.parametrize(("is_answered_badly", "is_right"), [(True, True), (False, False)])
def test_a_stream_may_end_with_an_error_only_where_the_upstream_failed(
    is_answered_badly: bool,  # noqa: FBT001
    is_right: bool,  # noqa: FBT001
) -> None:
    case = Case("any", b"", kind="chat", is_answered_badly=is_answered_badly)

    assert (fault_of(Answer(200, _STREAM, _FAILED, complete=False), case) is None) is is_right


def test_the_gateways_own_failure_is_never_right() -> None:
    failed = {"error": {**_ERROR, "message": "The gateway failed to handle this request. Quote the request id."}}
    case = Case("any", b"", kind="chat", is_answered_badly=True)

    assert fault_of(_refused(503, failed), case) is not None
