from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.domain.errors import UpstreamError, UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.secret import Secret
from gateway.upstreams.errors import in_band, refusal

SECRET = Secret("the-key-of-the-gateway")


def refused(status: int, document: Any, headers: tuple[tuple[bytes, bytes], ...] = ()) -> UpstreamRefusedError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    error = refusal(status, headers, body, SECRET)
    assert isinstance(error, UpstreamRefusedError)
    return error


def test_openais_fields_are_kept() -> None:
    error = refused(
        400, {"error": {"message": "Too long.", "type": "t", "param": "messages", "code": "context_length_exceeded"}}
    )

    assert (error.status, error.message, error.type) == (400, "Too long.", "t")
    assert (error.param, error.code, error.source) == ("messages", "context_length_exceeded", "provider")


@pytest.mark.parametrize(
    "document",
    [
        {"error": "Too long."},
        {"error": {"message": "Too long."}},
        {"object": "error", "message": "Too long.", "type": "x", "code": 400},
        {"detail": "Too long."},
        {"detail": {"message": "Too long."}},
        [{"error": {"message": "Too long.", "code": 400, "status": "INVALID_ARGUMENT"}}],
        {"message": "Too long."},
    ],
)
def test_the_message_is_found_in_every_shape(document: Any) -> None:
    assert refused(422, document).message == "Too long."


@pytest.mark.parametrize(
    "document",
    [{}, {"error": None}, {"error": []}, {"error": 5}, {"error": {"message": ""}}, {"error": {"message": 5}}, {"x": 1},
     {"detail": [{"loc": ["body"], "msg": "x"}]}],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_without_words_gets_some(status: int, document: Any) -> None:
    error = refused(status, document)

    assert error.status == status
    assert str(status) in error.message
    assert error.code is None
    assert error.type == ("invalid_request_error" if status == 400 else "api_error")


def test_a_code_that_is_a_number_becomes_text() -> None:
    assert refused(400, {"error": {"message": "x", "code": 1234}}).code == "1234"


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_a_code_that_is_no_word_is_dropped(value: Any) -> None:
    assert refused(400, {"error": {"message": "x", "code": value}}).code is None


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 502, 504])
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"{", b"\xff", b'"text"', b"5", b"[]", b"[" * 100_000])
def test_an_unreadable_error_is_a_garbled_answer(status: int, body: bytes) -> None:
    error = refusal(status, (), body, SECRET)

    assert isinstance(error, UpstreamGarbledError)
    assert error.status == 502
    assert str(status) in error.message


@pytest.mark.parametrize("status", [413, 429, 503])
def test_a_status_that_says_enough_survives_an_unreadable_body(status: int) -> None:
    assert refused(status, b"<html>oops</html>").status == status


@pytest.mark.parametrize("status", [300, 301, 307, 304])
def test_a_redirect_is_not_followed_and_not_an_answer(status: int) -> None:
    error = refusal(status, ((b"location", b"http://elsewhere"),), b'{"error":{"message":"x"}}', SECRET)

    assert isinstance(error, UpstreamGarbledError)
    assert "elsewhere" not in error.message


def test_only_retry_headers_travel_on() -> None:
    headers = (
        (b"retry-after", b"3"), (b"retry-after-ms", b"3000"), (b"x-should-retry", b"true"), (b"set-cookie", b"a=b"),
        (b"x-ratelimit-remaining-requests", b"1"),
    )  # fmt: skip

    assert refused(429, {"error": {"message": "x"}}, headers).headers == headers[:3]


@pytest.mark.parametrize(
    "message",
    [
        "Incorrect API key provided: the-key-of-the-gateway.",
        "Incorrect API key provided: sk-proj-********************abcd.",
        "Incorrect API key provided: sk-svcacct-abcdefgh1234.",
    ],
)
def test_keys_are_taken_out_of_messages(message: str) -> None:
    error = refused(401, {"error": {"message": message}})

    assert error.message == "Incorrect API key provided: ***" + ("." if error.message.endswith(".") else "")


@pytest.mark.parametrize("field", ["code", "type", "param"])
def test_the_gateways_key_is_taken_out_of_every_field(field: str) -> None:
    error = refused(401, {"error": {"message": "x", field: "about the-key-of-the-gateway"}})

    assert SECRET.reveal() not in f"{error.code} {error.type} {error.param}"


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported api-version '2020'.",
        "Unknown parameter: 'api_version'.",
        "key-value pairs are expected",
        "key_name",
    ],
)
def test_words_that_are_no_keys_are_kept(message: str) -> None:
    assert refused(400, {"error": {"message": message}}).message == message


def test_an_empty_credential_hides_nothing() -> None:
    error = refusal(400, (), b'{"error":{"message":"Too long."}}', Secret(""))

    assert error.message == "Too long."


def test_a_long_message_is_cut() -> None:
    assert len(refused(400, {"error": {"message": "x" * 100_000}}).message) <= 2000


def in_stream(document: Any) -> UpstreamError:
    return in_band(msgspec.Raw(json.dumps(document).encode()), SECRET)


def test_an_error_inside_a_stream_is_the_providers() -> None:
    error = in_stream({"message": "Overloaded.", "type": "server_error", "code": "overloaded", "param": "p"})

    assert (error.status, error.message, error.code) == (502, "Overloaded.", "overloaded")
    assert (error.type, error.param, error.source) == ("server_error", "p", "provider")


@pytest.mark.parametrize(
    ("code", "status"), [(429, 429), (503, 503), (200, 502), (999, 502), ("429", 502), (None, 502)]
)
def test_an_error_inside_a_stream_may_name_its_status(code: Any, status: int) -> None:
    assert in_stream({"message": "x", "code": code}).status == status


@pytest.mark.parametrize("document", [True, "x", 5, [], {}, {"message": None}])
def test_an_error_of_any_shape_is_an_error(document: Any) -> None:
    error = in_stream(document)

    assert error.status == 502
    assert error.message
    assert error.code == "upstream_error"


def test_a_text_is_the_message_of_an_error_inside_a_stream() -> None:
    assert in_stream("Out of memory.").message == "Out of memory."


def test_keys_are_taken_out_of_errors_inside_streams() -> None:
    assert "the-key" not in in_stream({"message": "key the-key-of-the-gateway"}).message
