from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.errors import UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.responses import read_responses
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.dialects.responses import CompactDialect, InputTokensDialect, ResponsesDialect, ResponsesReader

REQUEST = read_responses(b'{"model":"m","input":"x","stream":true}')
REPORT = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}
USAGE = Usage(input_tokens=5, cached_tokens=4, output_tokens=3)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def reader_after(*events: Any) -> ResponsesReader:
    reader = ResponsesDialect().reader(REQUEST, None)
    for event in events:
        assert reader.take(encoded(event))
    return reader


def test_a_plain_answer_is_read() -> None:
    body = encoded({"object": "response", "id": "resp_1", "model": "m", "output": [], "usage": REPORT})

    answer = ResponsesDialect().read(body, None)

    assert (answer.response_id, answer.model, answer.usage) == ("resp_1", "m", USAGE)


def test_a_response_that_failed_is_an_answer() -> None:
    failed = {
        "object": "response",
        "id": "resp_1",
        "status": "failed",
        "error": {"code": "server_error", "message": "x"},
    }

    assert ResponsesDialect().read(encoded(failed), None).response_id == "resp_1"


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamRefusedError):
        ResponsesDialect().read(encoded({"error": {"message": "x"}}), None)


@pytest.mark.parametrize("body", [b"[]", b"{", b"<html>", b'{"id":1}', b""])
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        ResponsesDialect().read(body, None)


def test_the_id_is_known_with_the_first_event() -> None:
    reader = reader_after({"type": "response.created", "response": {"id": "resp_1", "usage": None}})

    assert (reader.response_id, reader.event, reader.finished) == ("resp_1", b"response.created", False)


@pytest.mark.parametrize("end", ["response.completed", "response.incomplete", "response.failed"])
def test_a_stream_is_complete_with_its_last_event(end: str) -> None:
    reader = reader_after(
        {"type": "response.output_text.delta", "delta": "abc"},
        {"type": end, "response": {"id": "resp_1", "usage": REPORT, "error": {"message": "x"}}},
    )

    assert reader.finished
    assert (reader.usage, reader.generated_bytes) == (USAGE, 3)


def test_an_event_without_a_type_has_no_name() -> None:
    assert reader_after({"x": 1}).event == b""


ERRORS = [
    {"type": "error", "code": "429", "message": "Busy.", "param": None},
    {"type": "error", "error": {"message": "Busy."}},
    {"error": {"message": "Busy."}},
]


@pytest.mark.parametrize("event", ERRORS)
def test_an_error_event_is_raised(event: Any) -> None:
    with pytest.raises(UpstreamRefusedError) as caught:
        ResponsesDialect().reader(REQUEST, None).take(encoded(event))

    assert caught.value.message == "Busy."


@pytest.mark.parametrize("payload", [b"[]", b"x", b'{"type":[]}', b'{"type":"x","response":1}'])
def test_an_event_that_is_no_object_is_garbled(payload: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        ResponsesDialect().reader(REQUEST, None).take(payload)


def test_nothing_is_changed_on_the_way() -> None:
    assert ResponsesDialect().edits(REQUEST) == {}


def test_a_count_costs_nothing_and_a_compaction_what_it_says() -> None:
    body = encoded({"object": "response.compaction", "output": [], "usage": REPORT})

    assert InputTokensDialect().read(b'{"input_tokens":5}', None).usage is NO_USAGE
    assert CompactDialect().read(body, None).usage == USAGE
