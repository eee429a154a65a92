"""Other paths of OpenAI's API: off until admitted, then passed on in both directions as they come."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.edge.relay import ENDPOINTS
from tests.conftest import StartGateway
from tests.support.live import UPSTREAM_KEY, LiveGateway, relay_settings
from tests.support.mixed import BLUE, RED, RED_2, Mixed, message
from tests.support.moment import PATIENCE_S, Moment
from tests.support.scripted_upstream import (
    ABORT,
    CLOSE,
    ScriptedUpstream,
    error,
    events,
    head,
    plain,
    raw,
    stream,
)
from tests.support.sink import Sink
from tests.support.wire import Answer, WireClient, request_bytes

MB = 2**20
STOPPED_WITHIN_S = 2.0


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


@pytest.fixture
def before_sink(sink: Sink, start_gateway: StartGateway) -> LiveGateway:
    return start_gateway(admitting(sink.url))


def admitting(url: str, **sections: Any) -> dict[str, Any]:
    return relay_settings(url, relay={"upstream": "scripted"}, organisation={"endpoints": ["*"]}, **sections)


def ask(gateway: LiveGateway, method: str, target: str, key: str | None = None, body: bytes | None = None) -> Answer:
    with WireClient(gateway.address) as client:
        client.send(message(method, target, body, key=key))
        return client.answer()


def resident_bytes(gateway: LiveGateway) -> int:
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_nothing_is_relayed_by_default(echo: LiveGateway, endpoint: str, prefix: str) -> None:
    answer = ask(echo, "GET", f"{prefix}/{endpoint}")

    if endpoint == "moderations":  # which the gateway's own detectors answer, by POST
        assert answer.status == 405
    elif endpoint != "conversations":
        assert (answer.status, answer.json()["error"]["code"]) == (403, "endpoint_not_allowed")


def test_conversations_are_not_made_by_default(echo: LiveGateway) -> None:
    answer = ask(echo, "POST", "/v1/conversations", body=b"{}")

    assert (answer.status, answer.json()["error"]["code"]) == (403, "endpoint_not_allowed")


def test_admitted_without_an_upstream_is_not_found(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gateway = start_gateway(relay_settings(upstream.url, organisation={"endpoints": ["*"]}))

    answer = ask(gateway, "GET", "/v1/files")

    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")
    assert upstream.requests == []


def test_each_level_narrows_what_the_one_above_admits(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    narrow = {"name": "narrow", "secret": RED_2, "endpoints": ["im*", "audio"]}
    teams = {
        "red": {"endpoints": ["files", "images"], "keys": [{"name": "wide", "secret": RED}, narrow]},
        "blue": {"keys": [{"name": "ci", "secret": BLUE}]},
    }
    organisation = {"endpoints": ["files", "images", "batches"], "teams": teams}
    gateway = start_gateway(relay_settings(upstream.url, relay={"upstream": "scripted"}, organisation=organisation))
    admitted = {
        key: {
            name
            for name in ("files", "images", "batches", "audio")
            if ask(gateway, "GET", f"/v1/{name}", key).status == 200
        }
        for key in (RED, RED_2, BLUE)
    }

    assert admitted == {RED: {"files", "images"}, RED_2: {"images"}, BLUE: {"files", "images", "batches"}}


def test_stranger_is_refused_before_the_body_is_read(mixed: Mixed) -> None:
    with WireClient(mixed.gateway.address) as client:
        client.send(request_bytes("POST", "/v1/files", [("content-length", "1000000000")]))

        assert client.head().status == 401
    assert mixed["one"].requests == []


# ---------------------------------------------------------------- what goes


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
def test_method_path_and_query_are_kept(mixed: Mixed, method: str) -> None:
    if method == "HEAD":
        mixed["one"].script(raw(head(200, [("content-length", "999"), ("content-type", "application/json")])))
    body = b'{"a":1.0}' if method == "POST" else None

    answer = mixed.ask(method, "/v1/files/f%20%2Fx%C3%A9/content?a=1&a=%20&b[]=x+y", body)

    received = mixed["one"].last
    assert answer.status == 200
    assert (received.method, received.target) == (method, "/v1/files/f%20%2Fx%C3%A9/content?a=1&a=%20&b[]=x+y")
    assert received.body == (body or b"")
    assert received.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert RED not in received.head.decode()


def test_connection_serves_on_after_an_answer_without_a_body(mixed: Mixed) -> None:
    mixed["one"].script(raw(head(200, [("content-length", "999")])), raw(head(204)), plain({"a": 1}))

    with WireClient(mixed.gateway.address) as client:
        client.send(message("HEAD", "/v1/files/f"))
        assert client.answer(has_body=False).status == 200
        client.send(message("DELETE", "/v1/files/f"))
        assert client.answer().status == 204
        client.send(message("GET", "/v1/files/f"))
        assert client.answer().json() == {"a": 1}


def test_prefix_may_be_left_out(mixed: Mixed) -> None:
    mixed.ask("GET", "/files?limit=1")
    mixed.ask("GET", "/v1/vector_stores/vs_1/files/")

    assert [received.target for received in mixed["one"].requests] == [
        "/v1/files?limit=1",
        "/v1/vector_stores/vs_1/files/",
    ]


CLIMBING = [
    "/v1/files/../chat/completions",
    "/v1/files/%2e%2e/admin",
    "/v1/files/..",
    "/v1/files/./x",
    "/v1/files/..%2fadmin",
    "/v1/files/%2E%2E%2Fadmin",
    "/v1/files/..\\admin",
    "/v1/files/%5c..%5cadmin",
    "/v1/files/a%00b/..",
    "/v1/files/x\x7f",
    "/v1/files/<x>",
]


@pytest.mark.parametrize("target", CLIMBING)
def test_path_that_climbs_is_refused(mixed: Mixed, target: str) -> None:
    answer = mixed.ask("GET", target)

    assert answer.status in (400, 404)
    assert mixed["one"].requests == []


@pytest.mark.parametrize("target", ["/v1/filesX", "/v1/file", "/v1/filesX/f", "/v1/realtime", "/v1/organization/users"])
def test_other_paths_are_not_relayed(mixed: Mixed, target: str) -> None:
    assert mixed.ask("GET", target).status == 404
    assert mixed["one"].requests == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE"])
def test_other_methods_are_not_relayed(mixed: Mixed, method: str) -> None:
    answer = mixed.ask(method, "/v1/files")

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, DELETE, HEAD, OPTIONS"
    assert mixed["one"].requests == []


@pytest.mark.parametrize(
    "target", ["/v1/files/%00", "/v1/files/%ff", "/v1/files/" + "x" * 5000, "/v1/files//x", "/v1/files/%"]
)
def test_odd_paths_never_break_the_gateway(mixed: Mixed, target: str) -> None:
    assert mixed.ask("GET", target).status < 500


@pytest.mark.parametrize("query", ["a=\xe9", "a=\xff\xfe"])
def test_query_that_is_no_ascii_is_refused(mixed: Mixed, query: str) -> None:
    assert mixed.ask("GET", f"/v1/files?{query}").status == 400
    assert mixed["one"].requests == []


def test_openai_client_uses_files_and_images(mixed: Mixed) -> None:
    file = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.txt", "purpose": "batch"}
    mixed["one"].script(
        plain({**file, "status": "processed"}),
        plain(b"\x00\xffraw", kind="application/octet-stream"),
        plain({"id": "file-1", "object": "file", "deleted": True}),
        plain({"created": 1, "data": [{"b64_json": "AA=="}]}),
        plain(b"ID3" + bytes(range(256)), kind="audio/mpeg"),
    )
    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client:
        made = client.files.create(file=("a.txt", b"abc"), purpose="batch")
        content = client.files.content("file-1").read()
        deleted = client.files.delete("file-1")
        image = client.images.generate(model="m", prompt="x")
        speech = client.audio.speech.create(model="m", voice="alloy", input="x").read()

    assert (made.id, content, deleted.deleted) == ("file-1", b"\x00\xffraw", True)
    assert image.data
    assert image.data[0].b64_json == "AA=="
    assert speech == b"ID3" + bytes(range(256))
    upload = mixed["one"].requests[0]
    assert upload.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.txt"' in upload.body


# ---------------------------------------------------------------- uploads


def test_upload_arrives_while_it_is_being_sent(before_sink: LiveGateway, sink: Sink) -> None:
    first, rest = b"a" * 100_000, b"b" * 100_000
    with WireClient(before_sink.address) as client:
        lines = [("content-type", "multipart/form-data; boundary=x"), ("content-length", "200000")]
        client.send(request_bytes("POST", "/v1/files", lines) + first)

        with sink.accept() as incoming:
            assert incoming.read(100_000) == first
            client.send(rest)
            assert incoming.read(100_000) == rest
            incoming.send(head(200, [("content-length", "2")]) + b"ok")

            assert client.answer().body == b"ok"
            assert incoming.headers["content-length"] == "200000"
            assert incoming.headers["content-type"] == "multipart/form-data; boundary=x"


def test_upload_without_a_length_arrives_in_chunks(before_sink: LiveGateway, sink: Sink) -> None:
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", [("transfer-encoding", "chunked")]) + b"3\r\nabc\r\n")
        with sink.accept() as incoming:
            assert incoming.chunk() == b"abc"
            client.send(b"2\r\nde\r\n0\r\n\r\n")
            assert incoming.chunk() == b"de"
            assert incoming.chunk() == b""
            incoming.send(head(200, [("content-length", "2")]) + b"ok")

            assert client.answer().body == b"ok"
            assert incoming.headers["transfer-encoding"] == "chunked"
            assert "content-length" not in incoming.headers


def test_large_upload_is_not_held_in_memory(before_sink: LiveGateway, sink: Sink) -> None:
    size = 50 * MB
    lines = [("content-type", "multipart/form-data; boundary=x"), ("content-length", str(size))]
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", [*lines, ("x-request-id", "large-upload")]) + b"x" * MB)
        with sink.accept() as incoming:
            before = resident_bytes(before_sink)
            sender = threading.Thread(target=client.send, args=(b"x" * (49 * MB),))
            sender.start()
            assert incoming.skip(2 * MB) == 2 * MB
            held = resident_bytes(before_sink)  # the sink stands still: whatever is buffered is buffered now
            assert incoming.skip(size - 2 * MB) == size - 2 * MB
            sender.join(PATIENCE_S)
            after = resident_bytes(before_sink)
            incoming.send(head(200, [("content-length", "2")]) + b"ok")

            assert client.answer().body == b"ok"

    assert held - before < 8 * MB
    assert after - before < 8 * MB
    assert before_sink.wait_for_log(request_id="large-upload")["route"] == "files"
    assert before_sink.metrics()['tierway_upstream_sent_bytes_total{upstream="scripted"}'] == size


def test_body_limit_does_not_bound_uploads(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gateway = start_gateway(admitting(upstream.url, server={"body_limit_mb": 0.01}))
    body = b"x" * 200_000

    with WireClient(gateway.address) as client:
        answer = client.request("POST", "/v1/files", [("content-type", "multipart/form-data; boundary=x")], body)

    assert answer.status == 200
    assert upstream.last.body == body


def test_early_refusal_of_an_upload_reaches_the_caller(before_sink: LiveGateway, sink: Sink) -> None:
    lines = [("content-length", str(50 * MB)), ("x-request-id", "early-413")]
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", lines) + b"x" * 100_000)
        with sink.accept() as incoming:
            incoming.read(1000)
            refusal = b'{"error":{"message":"Too large."}}'
            incoming.send(
                head(413, [("content-length", str(len(refusal))), ("content-type", "application/json")]) + refusal
            )
            stop = threading.Event()

            def go_on() -> None:
                while not stop.is_set():
                    try:
                        client.send(b"x" * 100_000)
                    except OSError:
                        return

            sender = threading.Thread(target=go_on)
            sender.start()
            answer = client.answer()
            stop.set()
            client.close()
            sender.join(PATIENCE_S)

    assert (answer.status, answer.json()["error"]["message"]) == (413, "Too large.")
    assert before_sink.wait_for_log(request_id="early-413")["status"] == 413


def send_until_full(client: WireClient) -> None:
    """Send until every buffer on the way is full."""
    client.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        for _ in range(500):
            client.send(b"x" * 100_000)
        raise AssertionError("nothing on the way was full")
    client.socket.settimeout(PATIENCE_S)


def test_refusal_by_a_server_that_stopped_reading_reaches_the_caller(before_sink: LiveGateway, sink: Sink) -> None:
    lines = [("content-length", str(50 * MB)), ("content-type", "text/plain")]
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", lines))
        with sink.accept() as incoming:
            send_until_full(client)
            incoming.send(head(413, [("content-length", "2")]) + b"no")

            assert client.answer().status == 413


@pytest.mark.parametrize("way", ["FIN", "RST"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_caller_who_leaves_an_upload_aborts_it(before_sink: LiveGateway, sink: Sink, way: str, framing: str) -> None:
    request_id = f"left-upload-{way}-{framing}"
    line = ("content-length", "100000") if framing == "length" else ("transfer-encoding", "chunked")
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", [line, ("x-request-id", request_id)]))
        client.send(b"abc" if framing == "length" else b"3\r\nabc\r\n")
        with sink.accept() as incoming:
            assert (incoming.read(3) if framing == "length" else incoming.chunk()) == b"abc"
            if way == "RST":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

            assert incoming.has_ended()

    assert before_sink.wait_for_log(request_id=request_id)["status"] == 499


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upstream_that_breaks_off_an_upload_is_a_failure(before_sink: LiveGateway, sink: Sink, framing: str) -> None:
    line = ("content-length", "1000000") if framing == "length" else ("transfer-encoding", "chunked")
    with WireClient(before_sink.address) as client:
        client.send(request_bytes("POST", "/v1/files", [line]))
        client.send(b"abc" if framing == "length" else b"3\r\nabc\r\n")
        with sink.accept() as incoming:
            incoming.read(1)
        client.send(b"def" if framing == "length" else b"3\r\ndef\r\n")

        answer = client.answer()

    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_unreachable")


def test_upload_that_stops_is_given_up(start_gateway: StartGateway, sink: Sink) -> None:
    gateway = start_gateway(admitting(sink.url, server={"body_timeout_s": 0.3}))
    with WireClient(gateway.address) as client:
        client.send(request_bytes("POST", "/v1/files", [("content-length", "100000")]) + b"abc")
        with sink.accept() as incoming:
            assert incoming.read(3) == b"abc"
            assert incoming.has_ended()

        answer = client.answer()

    assert (answer.status, answer.json()["error"]["code"]) == (408, "request_timeout")


# ---------------------------------------------------------------- answers


def test_download_comes_while_it_is_being_sent(mixed: Mixed) -> None:
    go_on = Moment("the second half")
    first, rest = bytes(range(256)) * 40, b"\xff" * 10_000
    lines = [("content-type", "video/mp4"), ("content-length", str(len(first + rest)))]
    mixed["one"].script(raw(head(200, lines) + first, go_on, rest))

    with WireClient(mixed.gateway.address) as client:
        client.send(message("GET", "/v1/videos/v/content"))
        answer = client.head()
        assert client._take(len(first)) == (first, True)
        go_on.happen()
        assert client._take(len(rest)) == (rest, True)

    assert answer.headers["content-type"] == "video/mp4"


def test_large_download_is_not_held_in_memory(mixed: Mixed) -> None:
    size, piece = 50 * MB, b"x" * MB
    mixed["one"].script(raw(head(200, [("content-length", str(size))]), *[piece] * 50))
    before = resident_bytes(mixed.gateway)

    with WireClient(mixed.gateway.address, receive_bytes=65536) as client:
        client.send(message("GET", "/v1/files/f/content"))
        client.head()
        client._take(2 * MB)
        held = resident_bytes(mixed.gateway)
        left = size - 2 * MB - len(client._buffer)
        while left:
            left -= len(client.socket.recv(MB))

    assert held - before < 8 * MB


def test_range_travels_and_its_answer_comes_back(mixed: Mixed) -> None:
    lines = [("content-range", "bytes 0-1/9"), ("accept-ranges", "bytes"), ("content-disposition", "attachment")]
    mixed["one"].script(plain(b"ab", 206, lines, kind="video/mp4"))

    answer = mixed.ask("GET", "/v1/videos/v/content", None, ("range", "bytes=0-1"))

    assert mixed["one"].last.headers["range"] == "bytes=0-1"
    assert (answer.status, answer.body) == (206, b"ab")
    for name, value in lines:
        assert answer.headers[name] == value


def test_headers_of_the_account_do_not_come_back(mixed: Mixed) -> None:
    lines = [
        ("set-cookie", "a=b"), ("x-ratelimit-remaining-requests", "9"), ("openai-organization", "org-ours"),
        ("server", "cloudflare"), ("cf-ray", "x"), ("x-request-id", "theirs"), ("connection", "keep-alive"),
        ("openai-processing-ms", "7"), ("x-unheard-of", "1"), ("location", "http://elsewhere"),
    ]  # fmt: skip
    mixed["one"].script(plain({"a": 1}, headers=lines))

    answer = mixed.ask("GET", "/v1/files", None, ("x-request-id", "ours"))

    assert answer.headers["x-request-id"] == "ours"
    assert answer.headers["openai-processing-ms"] == "7"
    for name in (
        "set-cookie",
        "x-ratelimit-remaining-requests",
        "openai-organization",
        "server",
        "cf-ray",
        "x-unheard-of",
    ):
        assert name not in answer.headers
    assert float(answer.headers["x-tierway-overhead-ms"]) >= 0


def test_errors_of_the_upstream_pass_as_they_are(mixed: Mixed) -> None:
    mixed["one"].script(
        plain(error("No such file.", "nope"), 404, [("retry-after", "3")]), plain(b"<html>", 502, kind="text/html")
    )

    missing = mixed.ask("GET", "/v1/files/f")
    broken = mixed.ask("GET", "/v1/files/f")

    assert (missing.status, missing.json()) == (404, error("No such file.", "nope"))
    assert missing.headers["retry-after"] == "3"
    assert (broken.status, broken.body) == (502, b"<html>")


def test_redirect_is_not_followed(mixed: Mixed) -> None:
    mixed["one"].script(plain(b"", 302, [("location", "http://127.0.0.1:1/")]))

    answer = mixed.ask("GET", "/v1/files/f/content")

    assert answer.status == 302
    assert "location" not in answer.headers


def test_events_pass_untouched(mixed: Mixed) -> None:
    sent = b"id: 1\nevent: image.partial\n: comment\ndata: {}\n\n"
    mixed["one"].script(stream(sent, *events(b"[DONE]")))

    answer = mixed.post("/v1/images/generations", {"model": "m", "prompt": "x", "stream": True})

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.ended_well
    assert answer.body == sent + b"data: [DONE]\n\n"


@pytest.mark.parametrize("end", [CLOSE, ABORT])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_answer_that_is_cut_is_cut_for_the_caller(mixed: Mixed, end: str, framing: str) -> None:
    sent = Moment("the first bytes")
    begun = raw(head(200, [("content-length", "999")]) + b"abc") if framing == "length" else stream(b"abc", ends=False)
    mixed["one"].script([*begun, sent, end])
    request_id = f"cut-{end}-{framing}"

    with WireClient(mixed.gateway.address) as client:
        client.send(message("GET", "/v1/files/f/content", None, ("x-request-id", request_id)))
        threading.Timer(0.2, sent.happen).start()
        answer = client.answer()

    assert answer.body == b"abc"
    assert not answer.ended_well
    assert mixed.gateway.wait_for_log(request_id=request_id)["source"] == "provider"


def test_caller_who_leaves_a_download_stops_it(mixed: Mixed) -> None:
    never = Moment()
    mixed["one"].script(raw(head(200, [("content-length", "999")]) + b"abc", never))
    with WireClient(mixed.gateway.address) as client:
        client.send(message("GET", "/v1/files/f/content", None, ("x-request-id", "left-download")))
        client.head()

    mixed["one"].last.closed.wait(STOPPED_WITHIN_S)
    never.happen()
    assert mixed.gateway.wait_for_log(request_id="left-download")["status"] == 499


def test_silent_upstream_is_given_up_at_the_deadline(mixed: Mixed) -> None:
    never = Moment()
    mixed["one"].script(plain({}, before=[never]))

    answer = mixed.ask("GET", "/v1/files", None, ("x-tierway-timeout-ms", "200"))
    never.happen()

    assert (answer.status, answer.json()["error"]["code"]) == (504, "deadline_exceeded")


# ---------------------------------------------------------------- metering


def test_relayed_requests_are_logged_and_counted(mixed: Mixed) -> None:
    def moved(what: str) -> float:
        return mixed.gateway.metrics()[f'tierway_upstream_{what}_total{{upstream="one"}}']

    before = {what: moved(what) for what in ("calls", "sent_bytes", "received_bytes")}
    mixed["one"].script(plain(b"12345", kind="application/octet-stream"))

    mixed.ask("POST", "/v1/audio/speech", b"123", ("x-request-id", "metered"))

    line = mixed.gateway.wait_for_log(request_id="metered")
    assert (line["route"], line["status"], line["upstream"], line["team"]) == ("audio", 200, "one", "red")
    assert "usage" not in line
    grown = {what: moved(what) - before[what] for what in before}
    assert grown == {"calls": 1, "sent_bytes": 3, "received_bytes": 5}


def test_relayed_requests_count_against_the_limit(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    settings = admitting(upstream.url)
    settings["organisation"]["limits"] = {"concurrency": 1}
    gateway = start_gateway(settings)
    go_on = Moment()
    upstream.script(plain({}, before=[go_on]))
    with WireClient(gateway.address) as client:
        client.send(message("GET", "/v1/files", key=None))
        upstream.wait_for_request()

        assert ask(gateway, "GET", "/v1/files").status == 429
        go_on.happen()
        assert client.answer().status == 200
    gateway.wait_for_idle()
    assert ask(gateway, "GET", "/v1/files").status == 200
