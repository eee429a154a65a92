from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.errors import UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.messages import read_messages
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.dialects.messages import CountTokensDialect, MessagesDialect, MessagesReader

REQUEST = read_messages(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}')
START = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}},
}


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def reader_after(*events: Any) -> MessagesReader:
    reader = MessagesDialect().reader(REQUEST, None)
    for event in events:
        assert reader.take(encoded(event))
    return reader


def test_a_plain_answer_is_read() -> None:
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 2},
    }

    answer = MessagesDialect().read(encoded({"type": "message", "model": "m", "content": [1], "usage": usage}), None)

    assert answer.model == "m"
    assert answer.generated_bytes == 3
    assert answer.usage == Usage(input_tokens=5, cache_write_tokens=3, output_tokens=5, reasoning_tokens=2)


@pytest.mark.parametrize("body", [b"[]", b"{", b"<html>", b'{"type":1}', b""])
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        MessagesDialect().read(body, None)


def test_an_error_with_status_200_is_an_error() -> None:
    body = encoded({"type": "error", "error": {"type": "overloaded_error", "message": "Busy sk-secret-key."}})

    with pytest.raises(UpstreamRefusedError) as caught:
        MessagesDialect().read(body, Secret("sk-secret-key"))

    assert (caught.value.status, caught.value.message) == (529, "Busy ***.")


def test_a_stream_is_complete_with_its_last_event() -> None:
    delta = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}}
    reader = reader_after(START, {"type": "ping"}, {"type": "unheard_of"}, delta)
    assert not reader.finished

    reader.take(encoded({"type": "message_stop"}))

    assert reader.finished
    assert reader.event == b"message_stop"
    assert reader.usage == Usage(input_tokens=9, cached_tokens=4, output_tokens=7)


def test_a_stream_that_is_cut_is_counted_by_what_passed() -> None:
    deltas = [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 20}}] * 10

    usage = reader_after(START, *deltas).usage

    assert usage is not None
    assert (usage.input_tokens, usage.cached_tokens, usage.provenance) == (9, 4, "counted")
    assert usage.output_tokens > 50


@pytest.mark.parametrize("usage", [None, "odd", {"output_tokens": "odd"}])
def test_an_odd_report_at_the_end_does_not_undo_the_first(usage: Any) -> None:
    found = reader_after(START, {"type": "message_delta", "usage": usage}).usage

    assert found is not None
    assert (found.input_tokens, found.provenance) == (9, "counted")


def test_a_stream_without_any_report_has_no_usage() -> None:
    assert reader_after({"type": "message_start"}, {"type": "message_stop"}).usage is None


@pytest.mark.parametrize(
    "event", [{"type": "error", "error": {"message": "x"}}, {"error": {"message": "x"}}, {"type": "error"}]
)
def test_an_error_event_is_raised(event: Any) -> None:
    with pytest.raises(UpstreamRefusedError):
        MessagesDialect().reader(REQUEST, None).take(encoded(event))


@pytest.mark.parametrize("payload", [b"[]", b"x", b'{"type":[]}', b'{"message":1}'])
def test_an_event_that_is_no_object_is_garbled(payload: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        MessagesDialect().reader(REQUEST, None).take(payload)


def test_half_surrogates_pass() -> None:
    assert MessagesDialect().reader(REQUEST, None).take(b'{"type":"x","y":"\\ud83d"}')


def test_nothing_is_changed_on_the_way() -> None:
    assert MessagesDialect().edits(REQUEST) == CountTokensDialect().edits(REQUEST) == {}


def test_a_count_costs_nothing() -> None:
    answer = CountTokensDialect().read(b'{"input_tokens":5}', None)

    assert answer.usage is NO_USAGE


def test_a_count_is_never_a_stream() -> None:
    with pytest.raises(UpstreamGarbledError):
        CountTokensDialect().reader(REQUEST, None)
    with pytest.raises(UpstreamRefusedError):
        CountTokensDialect().read(b'{"error":{"message":"x"}}', None)
