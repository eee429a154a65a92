"""Requests no HTTP library would send: always an error in OpenAI's shape, never a hang."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.support.edge import (
    GOOD,
    assert_openai_error,
    assert_still_answers,
    authorised,
    post,
    with_field,
)
from tests.support.live import LiveGateway
from tests.support.wire import Answer, WireClient, chat, request_bytes

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
