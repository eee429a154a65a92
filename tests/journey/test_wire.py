"""Requests no HTTP library would send: always an error in OpenAI's shape, never a hang, and the connection lives on."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import zstandard

from tests.support.live import LiveGateway
from tests.support.wire import Answer, WireClient, chat, request_bytes

KEY = "sk-a-key-for-everything-0001"
NARROW_KEY = "sk-a-key-for-one-model-00001"
LIMIT = 256 * 1024

SETTINGS = {
    "server": {"body_limit_mb": 0.25, "body_timeout_s": 0.3},
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"small": {"upstream": "offline"}, "big": {"upstream": "offline"}},
    "organisation": {
        "teams": {
            "t": {
                "keys": [
                    {"name": "all", "secret": KEY},
                    {"name": "narrow", "secret": NARROW_KEY, "models": ["small"]},
                ]
            }
        }
    },
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("wire"), SETTINGS) as started:
        yield started


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[WireClient]:
    with WireClient(gateway.address) as connected:
        yield connected


def authorised(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {KEY}"), ("content-type", "application/json"), *headers]


def post(client: WireClient, body: bytes | dict[str, Any], *headers: tuple[str, str]) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request("POST", "/v1/chat/completions", authorised(*headers), content)


def assert_openai_error(answer: Answer, status: int, code: str | None = None, source: str = "gateway") -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.ended_well
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "source"}
    assert error["message"]
    assert error["type"]
    assert error["source"] == source
    if code is not None:
        assert error["code"] == code


def assert_still_answers(client: WireClient) -> None:
    assert post(client, chat("small")).status == 200


def messages(value: Any) -> bytes:
    return json.dumps({"model": "small", "messages": value}).encode()


def with_field(name: str, value: Any) -> bytes:
    return json.dumps({**chat("small"), name: value}).encode()


DEEP = 10_000
GOOD = json.dumps(chat("small")).encode()

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


# ---------------------------------------------------------------- methods and addresses


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "/chat/completions/"]
)
def test_chat_is_answered_at(client: WireClient, path: str) -> None:
    assert client.request("POST", path, authorised(), GOOD).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions?api-version=1", "/v1/chat%2Fcompletions", "/v1/%63hat/completions"]
)
def test_chat_is_answered_with_a_query_and_with_escapes(client: WireClient, path: str) -> None:
    assert client.request("POST", path, authorised(), GOOD).status == 200


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "/models/"])
def test_models_are_listed_at(client: WireClient, path: str) -> None:
    answer = client.request("GET", path, authorised())

    assert [model["id"] for model in answer.json()["data"]] == ["small", "big"]


@pytest.mark.parametrize("path", ["/v1/models/small", "/models/small", "/v1/models/small/"])
def test_model_is_shown_at(client: WireClient, path: str) -> None:
    assert client.request("GET", path, authorised()).json()["id"] == "small"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/v2/chat/completions", "/v1/modelsX", "/v1/chat", "/v1/chat/completions/x",
        "/v1/models/none", "/v1/models/small/x", "/v1/models/%00", "/v1/models/..%2fsmall", "/%ff", "//",
        "/v1/complete", "/favicon.ico", "/docs", "/schema/swagger",
    ],
)  # fmt: skip
def test_other_address_is_a_404(client: WireClient, path: str) -> None:
    answer = client.request("GET", path, authorised())

    assert_openai_error(answer, 404)
    assert_still_answers(client)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions/"])
def test_chat_answers_no_other_method(client: WireClient, method: str, path: str) -> None:
    answer = client.request(method, path, authorised())

    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        assert_openai_error(answer, 405, "method_not_allowed")
    assert_still_answers(client)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/small", "/livez", "/readyz", "/metrics", "/schema"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_reading_address_answers_no_writing_method(client: WireClient, path: str, method: str) -> None:
    answer = client.request(method, path, authorised(), b"{}")

    assert_openai_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert_still_answers(client)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/small", "/livez", "/readyz", "/metrics", "/schema"])
def test_head_is_get_without_the_body(client: WireClient, path: str) -> None:
    full = client.request("GET", path, authorised())

    bare = client.request("HEAD", path, authorised())

    assert bare.status == full.status == 200
    assert bare.headers["content-type"] == full.headers["content-type"]
    assert_still_answers(client)


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/v1/chat/completions", "POST, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS"), ("/livez", "GET, HEAD, OPTIONS")],
)
def test_options_names_the_methods(client: WireClient, path: str, allow: str) -> None:
    answer = client.request("OPTIONS", path)

    assert answer.status == 204
    assert answer.headers["allow"] == allow
    assert_still_answers(client)


# ---------------------------------------------------------------- HTTP itself


GET: Final = b"GET /livez HTTP/1.1\r\nhost: x\r\n"
POST: Final = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"

NOT_HTTP: Final = {
    "no request line": b"nonsense\r\n\r\n",
    "a method alone": b"GET\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nhost: x\r\n\r\n",
    "a version to come": b"GET /livez HTTP/9.9\r\n\r\n",
    "a version in lower case": b"GET /livez http/1.1\r\nhost: x\r\n\r\n",
    "a method in lower case": b"get /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method nobody knows": b"FROB /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method without an end": b"A" * 5000,
    "a handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "no slash": b"GET livez HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path that is no ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
    "an address without a host": b"GET http:// HTTP/1.1\r\nhost: x\r\n\r\n",
    "an address with an odd port": b"GET http://x:99999999/livez HTTP/1.1\r\nhost: x\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"host: y\r\n\r\n",
    "no colon": GET + b"bad header\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "a space after a name": GET + b"x : a\r\n\r\n",
    "a space before a name": GET + b" x: a\r\n\r\n",
    "a bracket in a name": GET + b"x(: a\r\n\r\n",
    "a folded line": GET + b"x: a\r\n b\r\n\r\n",
    "a bare line feed": GET + b"x: a\ny: b\r\n\r\n",
    "bare line feeds": GET.replace(b"\r\n", b"\n") + b"\n",
    "a bare carriage return": GET + b"x: a\rb\r\n\r\n",
    "NUL": GET + b"x: a\x00b\r\n\r\n",
    "a control character": GET + b"x: a\x01b\r\n\r\n",
    "a length in letters": POST + b"content-length: x\r\n\r\n",
    "a length with a plus": POST + b"content-length: +5\r\n\r\n",
    "a length below nothing": POST + b"content-length: -5\r\n\r\n",
    "a length in hex": POST + b"content-length: 0x5\r\n\r\n",
    "a length beyond 64 bits": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "no length": POST + b"content-length:\r\n\r\n",
    "a list of lengths": POST + b"content-length: 5, 5\r\n\r\nhello",
    "a length twice": POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "a length and chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "chunked inside": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_not_http_is_a_400_and_the_end(client: WireClient, data: bytes) -> None:
    client.send(data)

    answer = client.answer()

    assert_openai_error(answer, 400, "invalid_http")
    assert answer.headers["connection"] == "close"
    assert client.is_closed_by_peer()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % (b"a" * 9000), 414, "target_too_long"),
        (GET + b"x: a\r\n" * 100 + b"\r\n", 431, "head_too_large"),
        (GET + b"x: " + b"a" * 70_000 + b"\r\n\r\n", 431, "head_too_large"),
        (GET + b"x: " + b"a" * 70_000, 431, "head_too_large"),
        (POST + b"expect: a miracle\r\n\r\n", 417, "expectation_failed"),
        (POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "invalid_http"),
        (POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "invalid_http"),
        (b"GET /livez HTTP/2.0\r\nhost: x\r\n\r\n", 400, "invalid_http"),
        (b"GET /livez\r\n\r\n", 400, "invalid_http"),
        (b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method_not_allowed"),
    ],
)
def test_head_the_server_will_not_answer_has_its_own_status(
    client: WireClient, data: bytes, status: int, code: str
) -> None:
    client.send(data)

    answer = client.answer()

    assert_openai_error(answer, status, code)
    assert client.is_closed_by_peer()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://elsewhere.test/v1/chat/completions", 200),
        ("https://elsewhere.test:8443/v1/chat/completions?a=b", 200),
        ("/v1/chat/completions#part", 200),
        ("http://elsewhere.test", 404),
        ("/v1/../admin/keys", 404),
        ("/v1/%2e%2e/admin/keys", 404),
        ("/v1/..%2fadmin/keys", 404),
        ("/v1/%00", 404),
        ("/v1/%c0%af", 404),
        ("/v1/%zz", 404),
        ("/v1/chat/completions%0d%0ax:y", 404),
    ],
)
def test_odd_target_is_served_or_a_404(client: WireClient, target: str, status: int) -> None:
    answer = client.request("POST", target, authorised(), GOOD)

    assert answer.status == status
    if status != 200:
        assert_openai_error(answer, status, "not_found")
    assert_still_answers(client)


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 404), ("GET", 404)])
def test_asterisk_is_no_address(client: WireClient, method: str, status: int) -> None:
    assert_openai_error(client.request(method, "*"), status)
    assert_still_answers(client)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_wish_for_another_protocol_is_ignored(client: WireClient, framing: str) -> None:
    wish = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAoAAA")]
    if framing == "length":
        client.send(request_bytes("POST", "/v1/chat/completions", authorised(*wish), GOOD))
    else:
        lines = authorised(*wish, ("transfer-encoding", "chunked"))
        client.send(request_bytes("POST", "/v1/chat/completions", lines) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD))

    assert client.answer().status == 200
    assert_still_answers(client)


def test_body_that_comes_after_a_wish_for_another_protocol_is_read(client: WireClient) -> None:
    wish = [("connection", "upgrade"), ("upgrade", "h2c"), ("content-length", str(len(GOOD)))]
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(*wish)))

    client.send(GOOD[:9])
    client.send(GOOD[9:])

    assert client.answer().status == 200


@pytest.mark.parametrize("body", [b"x", b"{}"])
def test_body_of_a_get_is_no_matter(client: WireClient, body: bytes) -> None:
    assert client.request("GET", "/v1/models", authorised(), body).status == 200
    assert_still_answers(client)


@pytest.mark.parametrize("piece", [b"a", b"a: b\r\n"], ids=["one line", "many lines"])
def test_head_without_an_end_is_refused(client: WireClient, gateway: LiveGateway, piece: bytes) -> None:
    client.send(b"GET /livez HTTP/1.1\r\nhost: x\r\nx: ")
    try:
        for _ in range(64):
            client.send(piece * (2**20 // len(piece)))
    except ConnectionError:
        pass
    else:
        pytest.fail("64 MB of head were taken")

    assert gateway.metrics()["process_resident_memory_bytes"] < 120 * 2**20


def test_head_that_is_too_long_is_a_431(client: WireClient) -> None:
    begun = request_bytes("GET", "/livez")[:-2]
    client.send(request_bytes("GET", "/livez") + begun)
    assert client.answer().status == 200  # so the head was begun in a piece of its own

    client.send(b"x: " + b"a" * (64 * 1024))

    answer = client.answer()

    assert_openai_error(answer, 431, "head_too_large")
    assert client.is_closed_by_peer()


def test_long_body_in_the_packet_of_a_heads_end_is_read(client: WireClient) -> None:
    data = request_bytes("POST", "/v1/chat/completions", authorised(), with_field("x", "y" * 200_000))
    client.send(request_bytes("GET", "/livez") + data[:40])
    assert client.answer().status == 200  # so the head was begun in a piece of its own

    client.send(data[40:])

    assert client.answer().status == 200


def test_line_of_a_trailer_is_no_header(client: WireClient) -> None:
    lines = authorised(("transfer-encoding", "chunked"), ("x-request-id", "mine"))
    end = b"0\r\nx-request-id: evil\r\nauthorization: Bearer none\r\n\r\n"
    before = request_bytes("GET", "/livez")  # has the request wait until its trailer is there
    client.send(
        before + request_bytes("POST", "/v1/chat/completions", lines) + b"%x\r\n%b\r\n%b" % (len(GOOD), GOOD, end)
    )

    _, answer = client.answer(), client.answer()

    assert answer.status == 200
    assert answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("framing", [b"0\r\nx: %b", b"0\r\n%b", b"1;%b"], ids=["one line", "many lines", "extension"])
def test_framing_of_a_body_without_an_end_is_refused(client: WireClient, gateway: LiveGateway, framing: bytes) -> None:
    filler = b"a: b\r\n" * 16_384 if framing == b"0\r\n%b" else b"a" * 65_536
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(("transfer-encoding", "chunked"))))
    client.send(framing % filler)
    for _ in range(20):
        client.send(filler)

    answer = client.answer()

    assert_openai_error(answer, 431, "head_too_large")
    assert client.is_closed_by_peer()
    assert gateway.metrics()["process_resident_memory_bytes"] < 150 * 2**20


def test_extensions_of_chunks_are_skipped(client: WireClient) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(("transfer-encoding", "chunked"))))

    client.send(b'%x;name="value";other\r\n%b\r\n0;last\r\n\r\n' % (len(GOOD), GOOD))

    assert client.answer().status == 200


def test_long_head_is_read(client: WireClient) -> None:
    answer = post(client, GOOD, *((f"x-{number}", "a" * 1000) for number in range(40)))

    assert answer.status == 200


def test_broken_chunked_framing_is_a_400_and_the_end(client: WireClient) -> None:
    lines = authorised(("transfer-encoding", "chunked"))
    client.send(request_bytes("POST", "/v1/chat/completions", lines) + b"zz\r\n{}\r\n")

    answer = client.answer()

    assert_openai_error(answer, 400, "invalid_http")
    assert client.is_closed_by_peer()


def test_requests_sent_ahead_are_answered_each_with_its_own(client: WireClient) -> None:
    bodies = [json.dumps(chat("small", f"number {number}", user=f"u{number}")).encode() for number in range(5)]
    client.send(
        b"".join(
            request_bytes("POST", "/v1/chat/completions", authorised(("x-request-id", f"ahead-{number}")), body)
            for number, body in enumerate(bodies)
        )
    )

    answers = [client.answer() for _ in bodies]

    assert [answer.headers["x-request-id"] for answer in answers] == [f"ahead-{number}" for number in range(5)]
    texts = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert [re.findall(r"number \d", text)[:1] for text in texts] == [[f"number {number}"] for number in range(5)]


def test_errors_and_answers_sent_ahead_keep_their_order(client: WireClient) -> None:
    bad = request_bytes("POST", "/v1/chat/completions", authorised(), b"[")
    good = request_bytes("POST", "/v1/chat/completions", authorised(), GOOD)
    stream = request_bytes("POST", "/v1/chat/completions", authorised(), with_field("stream", value=True))
    client.send(bad + good + stream + bad + good)

    statuses = [client.answer().status for _ in range(5)]

    assert statuses == [400, 200, 200, 400, 200]


def test_rubbish_sent_ahead_is_refused_after_the_answers(client: WireClient) -> None:
    stream = request_bytes("POST", "/v1/chat/completions", authorised(), with_field("stream", value=True))
    client.send(request_bytes("POST", "/v1/chat/completions", authorised(), GOOD) + stream + b"rubbish\r\n\r\n")

    answers = [client.answer() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert all(answer.ended_well for answer in answers)
    assert client.is_closed_by_peer()


def test_some_of_too_many_requests_sent_ahead_are_answered(client: WireClient) -> None:
    client.send(request_bytes("GET", "/livez") * 2000)

    answers: list[Answer] = []
    while not answers or answers[-1].headers.get("connection") != "close":
        answers.append(client.answer())

    assert 10 < len(answers) < 200
    assert {answer.status for answer in answers} == {200}
    assert client.is_closed_by_peer()


def test_many_requests_sent_ahead_are_all_answered(client: WireClient) -> None:
    request = request_bytes("POST", "/v1/chat/completions", authorised(), GOOD)
    for _ in range(60):
        client.send(request)

    assert {client.answer().status for _ in range(60)} == {200}
    assert_still_answers(client)


def test_body_sent_byte_by_byte_is_read(client: WireClient) -> None:
    data = request_bytes("POST", "/v1/chat/completions", authorised(), GOOD)

    for at in range(len(data)):
        client.send(data[at : at + 1])

    assert client.answer().status == 200


def test_old_http_gets_its_answer_and_the_end(client: WireClient) -> None:
    client.send(b"GET /livez HTTP/1.0\r\n\r\n")

    assert client.answer().status == 200
    assert client.is_closed_by_peer()


def test_old_http_gets_a_stream_without_chunks(client: WireClient) -> None:
    request = request_bytes("POST", "/v1/chat/completions", authorised(), with_field("stream", value=True))
    client.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))

    answer = client.head()
    stream = client.rest()

    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert "transfer-encoding" not in answer.headers
    assert stream.startswith(b"data: {")
    assert stream.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("header", ["connection: keep-alive", "expect: 100-continue", "x: y"])
def test_old_http_is_answered_and_ends_whatever_it_asks(client: WireClient, header: str) -> None:
    name, _, value = header.partition(": ")
    request = request_bytes("POST", "/v1/chat/completions", authorised((name, value)), GOOD)
    client.send(request.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"host: gateway.test\r\n", b""))

    answer = client.answer()

    assert answer.status == 200
    assert answer.ended_well
    assert client.is_closed_by_peer()


def test_caller_that_asks_for_the_end_gets_it(client: WireClient) -> None:
    answer = post(client, GOOD, ("connection", "close"))

    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert client.is_closed_by_peer()


def test_many_errors_leave_the_connection_usable(client: WireClient) -> None:
    statuses = [post(client, body).status for body in (b"[", b"", b'"x"', b"{}") * 10]

    assert set(statuses) == {400}
    assert_still_answers(client)


# ---------------------------------------------------------------- request ids and deadlines


@pytest.mark.parametrize("sent", ["mine", "A-1_b.c:9", "x" * 128, "0b1f6c5e-4d6a-4b8e-9d0e-1f2a3b4c5d6e"])
@pytest.mark.parametrize("body", [GOOD, b"["], ids=["answer", "error"])
def test_sane_request_id_is_echoed(client: WireClient, gateway: LiveGateway, sent: str, body: bytes) -> None:
    answer = post(client, body, ("x-request-id", sent))

    assert answer.headers["x-request-id"] == sent
    assert gateway.wait_for_log(request_id=sent)


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", '{"a":1}', "<script>", "é", "a,b", "../x"])
def test_other_request_id_is_replaced(client: WireClient, sent: str) -> None:
    answer = post(client, GOOD, ("x-request-id", sent))

    assert answer.headers["x-request-id"] != sent
    assert re.fullmatch(r"req-[0-9a-f-]{12,}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/schema"),
        ("GET", "/v1/models"),
        ("GET", "/none"),
        ("OPTIONS", "/v1/models"),
        ("DELETE", "/v1/models"),
        ("GET", "/admin/keys"),
    ],
)
def test_every_answer_carries_a_request_id_once(client: WireClient, method: str, path: str) -> None:
    answer = client.request(method, path, [*authorised(), ("x-request-id", "everywhere")])

    assert [value for name, value in answer.header_lines if name == "x-request-id"] == ["everywhere"]


def test_made_request_ids_differ(client: WireClient) -> None:
    ids = {post(client, GOOD).headers["x-request-id"] for _ in range(20)}

    assert len(ids) == 20


@pytest.mark.parametrize("value", ["soon", "0", "-1", "", "inf", "nan", "1e999"])
def test_deadline_that_is_no_duration_is_a_400(client: WireClient, value: str) -> None:
    answer = post(client, GOOD, ("x-tierway-timeout-ms", value))

    assert_openai_error(answer, 400)
    assert_still_answers(client)


@pytest.mark.parametrize("value", ["5", "600.5", "rubbish"])
def test_read_timeout_of_an_sdk_never_refuses_a_request(client: WireClient, value: str) -> None:
    assert post(client, GOOD, ("x-stainless-read-timeout", value)).status == 200
