"""A short run of the fuzzer, so that it and the gateway are tried on every change; `make fuzz` is the long one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.chat_bytes import Answer, fault_of, fuzz
from tests.fuzz.mutations import Case


def test_no_mutated_request_makes_the_gateway_fail(tmp_path: Path) -> None:
    report = fuzz(tmp_path, seed=20, cases=300, connections=8)

    # Three hundred cases do not warm a process up; memory is compared by `make fuzz`.
    assert [violation for violation in report.violations if not violation.startswith("RSS")] == []
    assert report.cases == 300
    assert report.statuses[200] > 0
    assert report.statuses[400] > 0


_ERROR = {"message": "No.", "type": "invalid_request_error", "param": None, "code": None, "source": "gateway"}
_JSON = {b"content-type": b"application/json", b"x-request-id": b"req-1"}


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
            Answer(200, {**_JSON, b"content-type": b"text/event-stream"}, b"data: {}\n\n", complete=True),
            id="stream without its end",
        ),
    ],
)
def test_the_fuzzer_objects_to_a_wrong_answer(answer: Answer) -> None:
    assert fault_of(answer, Case("any", b"")) is not None


def test_the_fuzzer_accepts_an_error_in_openais_shape() -> None:
    assert fault_of(_refused(400, {"error": _ERROR}), Case("any", b"")) is None
