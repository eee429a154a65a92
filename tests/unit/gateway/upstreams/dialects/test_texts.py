"""The dialects whose streams end with `[DONE]`, and embeddings, which have none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.errors import UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.request import ModelRequest
from gateway.domain.usage import Usage
from gateway.upstreams.dialects.base import Dialect
from gateway.upstreams.dialects.catalogue import DIALECTS
from gateway.upstreams.dialects.chat import ChatDialect
from gateway.upstreams.dialects.completions import CompletionsDialect
from gateway.upstreams.dialects.embeddings import EmbeddingsDialect
from tests.support.build import chat_request

REPORT = {"prompt_tokens": 9, "completion_tokens": 3}
USAGE = Usage(input_tokens=9, output_tokens=3)


def continuation(**fields: Any) -> ModelRequest:
    return read_completions(json.dumps({"model": "m", "prompt": "x", **fields}).encode())


STREAMED: list[tuple[Dialect, Any]] = [(ChatDialect(), chat_request), (CompletionsDialect(), continuation)]
each = pytest.mark.parametrize(("dialect", "make"), STREAMED, ids=["chat", "completions"])
PIECES: dict[type, dict[str, Any]] = {ChatDialect: {"delta": {"content": "abc"}}, CompletionsDialect: {"text": "abc"}}


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_every_shape_has_its_dialect() -> None:
    paths = [dialect.path for dialect in DIALECTS.values()]

    assert len(set(paths)) == len(paths)
    assert {shape for shape, dialect in DIALECTS.items() if dialect.ends_with_done} == {"chat", "completions"}


@each
def test_a_stream_asks_for_its_usage(dialect: Dialect, make: Any) -> None:
    assert dialect.edits(make(stream=True)) == {"stream_options": b'{"include_usage":true}'}
    assert dialect.edits(make(stream=True, stream_options={"include_usage": True})) == {}
    assert dialect.edits(make()) == {}


@each
def test_a_huge_number_among_the_options_is_sent_on(dialect: Dialect, make: Any) -> None:
    edited = dialect.edits(make(stream=True, stream_options={"x": 10**400}))

    assert json.loads(edited["stream_options"]) == {"x": 10**400, "include_usage": True}


@each
def test_a_plain_answer_is_read(dialect: Dialect, make: Any) -> None:
    answer = dialect.read(encoded({"model": "m", "choices": [1], "usage": REPORT}), None)

    assert (answer.model, answer.usage, answer.generated_bytes, answer.response_id) == ("m", USAGE, 3, "")


@each
@pytest.mark.parametrize("body", [b"[]", b"{", b"<html>", b'{"model":1}', b""])
def test_what_is_no_answer_is_garbled(dialect: Dialect, make: Any, body: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        dialect.read(body, None)


@each
def test_an_error_is_raised_wherever_it_stands(dialect: Dialect, make: Any) -> None:
    body = encoded({"error": {"message": "x"}})

    with pytest.raises(UpstreamRefusedError):
        dialect.read(body, None)
    with pytest.raises(UpstreamRefusedError):
        dialect.reader(make(stream=True), None).take(body)


@each
def test_pieces_are_counted_until_the_last_says_why_it_ended(dialect: Dialect, make: Any) -> None:
    piece = PIECES[type(dialect)]
    reader = dialect.reader(make(stream=True), None)

    assert reader.take(encoded({"choices": [piece]}))
    assert reader.generated_bytes >= 3
    assert not reader.finished
    assert reader.take(encoded({"choices": [{**piece, "finish_reason": "stop"}]}))
    assert reader.finished
    assert (reader.event, reader.response_id) == (b"", "")


@each
def test_the_chunk_of_usage_goes_to_those_who_asked(dialect: Dialect, make: Any) -> None:
    chunk = encoded({"choices": [], "usage": REPORT})
    unasked = dialect.reader(make(stream=True), None)
    asked = dialect.reader(make(stream=True, stream_options={"include_usage": True}), None)

    assert not unasked.take(chunk)
    assert asked.take(chunk)
    assert unasked.usage == asked.usage == USAGE


@each
def test_usage_beside_text_stays(dialect: Dialect, make: Any) -> None:
    piece = PIECES[type(dialect)]

    assert dialect.reader(make(stream=True), None).take(encoded({"choices": [piece], "usage": REPORT}))


@each
@pytest.mark.parametrize("payload", [b"[]", b"x", b'{"choices":1}'])
def test_a_chunk_that_is_no_object_is_garbled(dialect: Dialect, make: Any, payload: bytes) -> None:
    with pytest.raises(UpstreamGarbledError):
        dialect.reader(make(stream=True), None).take(payload)


EMBEDDED = read_embeddings(b'{"model":"m","input":"x"}')


def test_embeddings_are_read() -> None:
    answer = EmbeddingsDialect().read(encoded({"data": [], "model": "m", "usage": {"prompt_tokens": 9}}), None)

    assert (answer.model, answer.usage, answer.generated_bytes) == ("m", Usage(input_tokens=9), None)
    assert EmbeddingsDialect().edits(EMBEDDED) == {}


def test_embeddings_are_never_a_stream() -> None:
    with pytest.raises(UpstreamGarbledError):
        EmbeddingsDialect().reader(EMBEDDED, None)


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamRefusedError):
        EmbeddingsDialect().read(b'{"error":{"message":"x"}}', None)
