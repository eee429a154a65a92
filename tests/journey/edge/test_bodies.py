"""Odd bodies, keys, sizes and compressions: always an error in OpenAI's shape, and the connection lives on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
import zstandard

from tests.support.edge import (
    GOOD,
    KEY,
    LIMIT,
    NARROW_KEY,
    assert_openai_error,
    assert_still_answers,
    authorised,
    messages,
    post,
    with_field,
)
from tests.support.live import LiveGateway
from tests.support.wire import WireClient, chat, request_bytes

DEEP = 10_000

BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n ",
    "open object": b"{",
    "open string": b'{"model":"small',
    "single quotes": b"{'model':'small'}",
    "trailing comma": GOOD[:-1] + b",}",
    "two documents": GOOD + GOOD,
    "trailing text": GOOD + b" x",
    "comment": b"/* x */" + GOOD,
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "NUL bytes": b"\x00" * 64,
    "array": b"[]",
    "string": b'"x"',
    "number": b"5",
    "null": b"null",
    "true": b"true",
    "NaN": GOOD[:-1] + b',"temperature":NaN}',
    "NaN in an unknown field": GOOD[:-1] + b',"x":NaN}',
    "Infinity": GOOD[:-1] + b',"temperature":Infinity}',
    "minus Infinity": GOOD[:-1] + b',"x":-Infinity}',
    "leading zero": GOOD[:-1] + b',"x":01}',
    "control character": GOOD[:-1] + b',"x":"a\nb"}',
    "bad escape": GOOD[:-1] + b',"x":"\\q"}',
    "cut escape": GOOD[:-1] + b',"x":"\\u12"}',
    "invalid UTF-8 in a text": GOOD.replace(b"Hi", b"\xff\xfe"),
    "invalid UTF-8 in an unknown field": GOOD[:-1] + b',"x":"\xc3\x28"}',
    "invalid UTF-8 in a name": GOOD[:-1] + b',"\xc3\x28":1}',
    "overlong UTF-8": GOOD.replace(b"Hi", b"\xc0\xaf"),
    "surrogate in UTF-8": GOOD.replace(b"Hi", b"\xed\xa0\x80"),
    "cut UTF-8": GOOD.replace(b"Hi", b"\xe2\x82"),
    "deep array": b"[" * DEEP + b"]" * DEEP,
    "deep array left open": b"[" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep unknown field": GOOD[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep message": b'{"model":"small","messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep content": b'{"model":"small","messages":[{"role":"user","content":'
    + b'[{"x":' * DEEP
    + b"1"
    + b"}]" * DEEP
    + b"}]}",
    "deep tools": GOOD[:-1] + b',"tools":' + b'[{"x":' * DEEP + b"1" + b"}]" * DEEP + b"}",
    "no model": b'{"messages":[{"role":"user","content":"Hi"}]}',
    "no messages": b'{"model":"small"}',
    "empty object": b"{}",
    "model null": with_field("model", None),
    "model empty": with_field("model", ""),
    "model a number": with_field("model", 5),
    "model an array": with_field("model", ["small"]),
    "messages null": messages(None),
    "messages empty": messages([]),
    "messages a string": messages("Hi"),
    "messages an object": messages({"role": "user"}),
    "messages of strings": messages(["Hi"]),
    "messages of null": messages([None]),
    "message without role": messages([{"content": "Hi"}]),
    "role a number": messages([{"role": 5, "content": "Hi"}]),
    "role null": messages([{"role": None, "content": "Hi"}]),
    "content a number": messages([{"role": "user", "content": 5}]),
    "content an object": messages([{"role": "user", "content": {"type": "text"}}]),
    "content of strings": messages([{"role": "user", "content": ["Hi"]}]),
    "stream a string": with_field("stream", "true"),
    "stream a number": with_field("stream", 1),
    "stream_options an array": with_field("stream_options", []),
    "max_tokens a string": with_field("max_tokens", "5"),
    "max_tokens negative": with_field("max_tokens", -1),
    "max_tokens a fraction": with_field("max_tokens", 1.5),
    "max_completion_tokens an object": with_field("max_completion_tokens", {}),
    "temperature a string": with_field("temperature", "hot"),
    "n a string": with_field("n", "1"),
    "user a number": with_field("user", 5),
    "tools an object": with_field("tools", {}),
    "tool_choice a number": with_field("tool_choice", 5),
    "response_format a string": with_field("response_format", "json"),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body_is_a_400_and_the_connection_lives_on(client: WireClient, body: bytes) -> None:
    answer = post(client, body)

    assert_openai_error(answer, 400)
    assert_still_answers(client)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (BAD_BODIES["no model"], "model"),
        (BAD_BODIES["no messages"], "messages"),
        (BAD_BODIES["model a number"], "model"),
        (BAD_BODIES["content a number"], "messages[0].content"),
        (BAD_BODIES["message without role"], "messages[0].role"),
        (BAD_BODIES["temperature a string"], "temperature"),
    ],
)
def test_error_names_the_field_at_fault(client: WireClient, body: bytes, param: str) -> None:
    answer = post(client, body)

    assert answer.json()["error"]["param"] == param


def test_unknown_model_is_a_404(client: WireClient) -> None:
    answer = post(client, chat("gpt-unheard-of"))

    assert_openai_error(answer, 404, "model_not_found")
    assert "gpt-unheard-of" in answer.json()["error"]["message"]
    assert_still_answers(client)


@pytest.mark.parametrize("model", ["x" * 10_000, "é" * 200, "a\r\nx-injected: 1", "auto/none", "team/x", "../small"])
def test_odd_model_name_is_a_404(client: WireClient, model: str) -> None:
    answer = post(client, chat(model))

    assert_openai_error(answer, 404, "model_not_found")
    assert len(answer.body) < 2000
    assert_still_answers(client)


@pytest.mark.parametrize(
    "header",
    [
        None,
        ("authorization", "Bearer sk-wrong"),
        ("authorization", "Bearer"),
        ("authorization", f"Basic {KEY}"),
        ("authorization", ""),
        ("authorization", f"Bearer {KEY}x"),
        ("api-key", "wrong"),
        ("authorization", "Bearer \xff\xfe"),
    ],
)
def test_no_key_and_wrong_key_are_a_401(client: WireClient, header: tuple[str, str] | None) -> None:
    lines = [("content-type", "application/json"), *([header] if header else [])]

    answer = client.request("POST", "/v1/chat/completions", lines, GOOD)

    assert_openai_error(answer, 401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY.encode() not in answer.body
    assert_still_answers(client)


@pytest.mark.parametrize("header", [("authorization", f"bearer {KEY}"), ("api-key", KEY)])
def test_key_is_understood_in_both_spellings(client: WireClient, header: tuple[str, str]) -> None:
    answer = client.request("POST", "/v1/chat/completions", [("content-type", "application/json"), header], GOOD)

    assert answer.status == 200


def test_key_without_permission_for_the_model_is_a_403(client: WireClient) -> None:
    lines = [("authorization", f"Bearer {NARROW_KEY}"), ("content-type", "application/json")]

    answer = client.request("POST", "/v1/chat/completions", lines, json.dumps(chat("big")).encode())

    assert_openai_error(answer, 403, "model_not_allowed")
    assert answer.headers["x-should-retry"] == "false"
    assert_still_answers(client)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_other_content_type_is_a_415(client: WireClient, kind: str) -> None:
    lines = [("authorization", f"Bearer {KEY}"), ("content-type", kind)]

    answer = client.request("POST", "/v1/chat/completions", lines, GOOD)

    assert_openai_error(answer, 415, "unsupported_media_type")
    assert_still_answers(client)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", None]
)
def test_json_content_types_are_read(client: WireClient, kind: str | None) -> None:
    lines = [("authorization", f"Bearer {KEY}"), *([("content-type", kind)] if kind else [])]

    answer = client.request("POST", "/v1/chat/completions", lines, GOOD)

    assert answer.status == 200


# ---------------------------------------------------------------- size and compression


def test_announced_length_over_the_limit_is_refused_before_the_body_is_sent(client: WireClient) -> None:
    head = request_bytes("POST", "/v1/chat/completions", authorised(("content-length", str(10 * 2**30))))
    client.send(head + b'{"model":')

    answer = client.answer()

    assert_openai_error(answer, 413, "request_too_large")


def test_expecting_client_is_refused_before_it_sends_the_body(client: WireClient) -> None:
    lines = authorised(("content-length", str(LIMIT + 1)), ("expect", "100-continue"))
    client.send(request_bytes("POST", "/v1/chat/completions", lines))

    answer = client.answer()

    assert_openai_error(answer, 413, "request_too_large")


def test_expecting_client_is_told_to_go_on(client: WireClient) -> None:
    lines = authorised(("content-length", str(len(GOOD))), ("expect", "100-continue"))
    client.send(request_bytes("POST", "/v1/chat/completions", lines))

    interim = client.head()
    client.send(GOOD)

    assert interim.status == 100
    assert client.answer().status == 200
    assert_still_answers(client)


def test_expecting_client_that_does_not_wait_is_answered(client: WireClient) -> None:
    answer = post(client, GOOD, ("expect", "100-Continue"))

    assert answer.status == 200
    assert_still_answers(client)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/none"])
def test_expecting_client_that_is_refused_is_not_told_to_go_on(client: WireClient, path: str) -> None:
    client.send(request_bytes("POST", path, [("content-length", "100"), ("expect", "100-continue")]))

    answer = client.answer()

    assert answer.status in (401, 404)
    assert answer.headers["connection"] == "close"
    assert client.is_closed_by_peer()


def test_stranger_is_refused_before_the_body_is_read(client: WireClient) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", [("content-length", "1000")]))

    answer = client.answer()

    assert_openai_error(answer, 401)


def test_chunked_body_over_the_limit_is_refused_before_it_ends(client: WireClient) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(("transfer-encoding", "chunked"))))
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    for _ in range(LIMIT // 0x8000 + 1):
        client.send(piece)

    answer = client.answer()

    assert_openai_error(answer, 413, "request_too_large")


def test_body_over_the_limit_that_was_sent_whole_leaves_the_connection_usable(client: WireClient) -> None:
    answer = post(client, with_field("x", "y" * LIMIT))

    assert_openai_error(answer, 413, "request_too_large")
    assert_still_answers(client)


def test_body_just_below_the_limit_is_read(client: WireClient) -> None:
    body = with_field("x", "y" * (LIMIT - 200))

    assert post(client, body).status == 200


@pytest.mark.parametrize("pieces", [1, 7, 500])
def test_chunked_body_is_read(client: WireClient, pieces: int) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(("transfer-encoding", "chunked"))))
    for at in range(0, len(GOOD), pieces):
        piece = GOOD[at : at + pieces]
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    client.send(b"0\r\n\r\n")

    assert client.answer().status == 200


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}


@pytest.mark.parametrize(("name", "compress"), COMPRESSIONS.items(), ids=COMPRESSIONS)
@pytest.mark.parametrize("filler", [10, 200_000])
def test_compressed_body_is_read(
    client: WireClient, name: str, compress: Callable[[bytes], bytes], filler: int
) -> None:
    body = json.dumps(chat("small", "Hello " + "x" * filler)).encode()

    answer = post(client, compress(body), ("content-encoding", name))

    assert answer.status == 200
    assert "Hello" in answer.json()["choices"][0]["message"]["content"]


def test_gzip_members_that_follow_one_another_are_one_body(client: WireClient) -> None:
    body = gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:])

    assert post(client, body, ("content-encoding", "gzip")).status == 200


def test_zstd_frames_that_follow_one_another_are_one_body(client: WireClient) -> None:
    body = zstandard.compress(GOOD[:20]) + zstandard.compress(GOOD[20:])

    assert post(client, body, ("content-encoding", "zstd")).status == 200


BOMB = b'{"model":"small","messages":[{"role":"user","content":"' + b" " * (200 * 2**20)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_bomb_is_a_413(client: WireClient, gateway: LiveGateway, name: str) -> None:
    packed = COMPRESSIONS[name](BOMB)
    assert len(packed) < LIMIT

    answer = post(client, packed, ("content-encoding", name))

    assert_openai_error(answer, 413, "request_too_large")
    assert gateway.metrics()["process_resident_memory_bytes"] < 150 * 2**20
    assert_still_answers(client)


BROKEN: dict[str, tuple[str, bytes]] = {
    "gzip cut": ("gzip", gzip.compress(GOOD)[:-9]),
    "gzip without its end": ("gzip", gzip.compress(GOOD)[:-4]),
    "gzip damaged": ("gzip", gzip.compress(GOOD)[:-8] + b"\x00" * 8),
    "gzip no gzip": ("gzip", GOOD),
    "gzip empty": ("gzip", b""),
    "gzip and rubbish": ("gzip", gzip.compress(GOOD) + b"rubbish"),
    "zstd cut": ("zstd", zstandard.compress(GOOD)[:-3]),
    "zstd no zstd": ("zstd", GOOD),
    "zstd empty": ("zstd", b""),
    "zstd and rubbish": ("zstd", zstandard.compress(GOOD) + b"rubbish"),
}


@pytest.mark.parametrize(("name", "body"), BROKEN.values(), ids=BROKEN)
def test_broken_compression_is_a_400(client: WireClient, name: str, body: bytes) -> None:
    answer = post(client, body, ("content-encoding", name))

    assert_openai_error(answer, 400)
    assert_still_answers(client)


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "nonsense"])
def test_other_compression_is_a_415(client: WireClient, name: str) -> None:
    answer = post(client, GOOD, ("content-encoding", name))

    assert_openai_error(answer, 415, "unsupported_media_type")
    assert_still_answers(client)


def test_body_that_stops_arriving_is_a_408(client: WireClient) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(("content-length", "100"))) + b"{")

    answer = client.answer()

    assert_openai_error(answer, 408, "request_timeout")
