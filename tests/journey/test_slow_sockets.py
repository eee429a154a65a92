"""Callers who are slow on purpose, sending or reading: they are told or cut off in time, and hold no memory."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self, cast

import pytest
import trustme

from tests.support import live
from tests.support.live import LiveGateway, wait_until
from tests.support.moment import PATIENCE_S
from tests.support.scripted_upstream import chunk, completion, events, head, plain
from tests.support.wire import WireClient, chat, chat_bytes, request_bytes

KEY: Final = "sk-a-key-for-everything-0001"
ADMIN_KEY: Final = "an-admin-key-of-some-length"

TIMEOUT_S: Final = 0.5
"""Of heads, of bodies and of readers, here."""

SOON_S: Final = 3.0
"""Within which a caller must be cut off; a multiple of the timeout, as the machine may be busy."""

MB: Final = 2**20

SERVER: Final = {"header_timeout_s": TIMEOUT_S, "body_timeout_s": TIMEOUT_S, "admin_key": ADMIN_KEY}
TEAMS: Final = {"t": {"keys": [{"name": "all", "secret": KEY}]}}
AUTHORISED: Final = ("authorization", f"Bearer {KEY}")

IDLE_S: Final = 3 * TIMEOUT_S

_PATCH: Final = f"from gateway.edge import server; server.STALL_S, server.KEEP_ALIVE_S = {TIMEOUT_S}, {IDLE_S}; "
IMPATIENT: Final = (*live.COMMAND[:-1], _PATCH + live.COMMAND[-1])
"""The command, with less patience where there is no setting for it."""


EVENT: Final = events(chunk("x" * 4000))[0]
PIECE: Final = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
LONG_ANSWER: Final = cast(bytes, plain(completion("x" * 4 * MB), headers=[("connection", "close")])[0])


class Fountain:
    """An upstream that streams events for as long as they are taken, or else answers with 4 MB. A context manager.

    Attributes:
        sent_bytes: what the kernel took of the last answer.
        stopped: whether its connection was ended from the other side.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.sent_bytes = 0
        self.stopped = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
                self._pour(connection)

    def _pour(self, connection: socket.socket) -> None:
        self.sent_bytes = 0
        self.stopped.clear()
        with contextlib.suppress(OSError):
            if b'"stream":true' not in connection.recv(65536).replace(b" ", b""):
                connection.sendall(LONG_ANSWER)
                return
            connection.sendall(head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]))
            while True:
                self.sent_bytes += connection.send(PIECE)  # a cut piece is no matter: nobody gets to read it
        self.stopped.set()


@pytest.fixture(scope="module")
def fountain() -> Iterator[Fountain]:
    with Fountain() as running:
        yield running


def settings_with(fountain: Fountain, server: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "server": server,
        "upstreams": {"offline": {"kind": "echo"}, "fountain": {"kind": "openai", "base_url": fountain.url}},
        "models": {"small": {"upstream": "offline"}, "endless": {"upstream": "fountain"}},
        "organisation": {"teams": TEAMS},
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, fountain: Fountain) -> Iterator[LiveGateway]:
    settings = settings_with(fountain, SERVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "COMMAND", IMPATIENT)
        with LiveGateway(tmp_path_factory.mktemp("slow"), settings) as started:
            yield started


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[WireClient]:
    with WireClient(gateway.address) as connected:
        yield connected


@pytest.fixture
def slow_reader(gateway: LiveGateway) -> Iterator[WireClient]:
    """A caller in whose kernel little of an answer finds room."""
    with WireClient(gateway.address, receive_bytes=8 * 1024) as connected:
        yield connected


def ask(*headers: tuple[str, str], model: str = "small", content: str = "Hi", **fields: Any) -> bytes:
    return chat_bytes(chat(model, content, **fields), AUTHORISED, *headers)


def drip(client: WireClient, pieces: bytes, gap_s: float) -> None:
    """Send byte after byte until all are out or something is said."""
    for at in range(len(pieces)):
        client.send(pieces[at : at + 1])
        if select.select([client.socket], [], [], gap_s)[0]:
            return


def seconds_until(happens: Callable[[], object]) -> float:
    started = time.monotonic()
    happens()
    return time.monotonic() - started


def assert_times_out(client: WireClient) -> None:
    answer = client.answer()
    assert answer.status == 408
    assert answer.ended_well
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "request_timeout"


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "line ends"])
def test_connection_without_a_request_is_closed_without_a_word(client: WireClient, sent: bytes) -> None:
    client.send(sent)

    took_s = seconds_until(lambda: client.is_closed_by_peer() or pytest.fail("something was said"))

    assert TIMEOUT_S <= took_s < SOON_S


@pytest.mark.parametrize("sent", [b"G", b"POST /v1/chat/comp", ask()[:80]])
def test_head_that_stops_is_a_408_and_the_end(client: WireClient, sent: bytes) -> None:
    client.send(sent)

    took_s = seconds_until(lambda: assert_times_out(client))

    assert client.is_closed_by_peer()
    assert TIMEOUT_S <= took_s < SOON_S


def test_head_that_drips_is_a_408(client: WireClient) -> None:
    took_s = seconds_until(lambda: drip(client, ask()[:100], 0.05))

    assert_times_out(client)
    assert TIMEOUT_S <= took_s < SOON_S


def test_second_head_that_stops_is_a_408_too(client: WireClient) -> None:
    client.send(ask() + b"POST /v1")

    first = client.answer()

    assert first.status == 200
    assert_times_out(client)
    assert client.is_closed_by_peer()


def test_idle_connection_is_kept_longer_than_a_head_may_take(client: WireClient) -> None:
    client.send(ask())
    assert client.answer().status == 200

    time.sleep(2 * TIMEOUT_S)
    client.send(ask())

    assert client.answer().status == 200


def test_idle_connection_is_closed_without_a_word_in_the_end(client: WireClient) -> None:
    client.send(ask())
    assert client.answer().status == 200

    took_s = seconds_until(lambda: client.is_closed_by_peer() or pytest.fail("something was said"))

    assert IDLE_S <= took_s < IDLE_S + SOON_S


def test_answer_that_is_waited_for_is_no_slow_head(client: WireClient, gateway: LiveGateway) -> None:
    client.send(ask(model="endless", stream=True))
    client.head()

    seen = b""
    until = time.monotonic() + 3 * TIMEOUT_S
    while time.monotonic() < until:
        seen = client.chunk() or b""

    assert seen.startswith(b"data: ")
    assert not gateway.faults()


# ---------------------------------------------------------------- bodies

LONG_BODY: Final = request_bytes(
    "POST", "/v1/chat/completions", [AUTHORISED, ("content-type", "application/json"), ("content-length", "100")]
)


def test_body_that_drips_is_a_408(client: WireClient) -> None:
    client.send(LONG_BODY)

    took_s = seconds_until(lambda: drip(client, b" " * 100, 0.1))

    assert_times_out(client)
    assert TIMEOUT_S <= took_s < SOON_S


def test_body_in_dripping_chunks_is_a_408(client: WireClient) -> None:
    client.send(LONG_BODY.replace(b"content-length: 100", b"transfer-encoding: chunked"))

    drip(client, b"1;" + b"x" * 98, 0.1)

    assert_times_out(client)


def test_long_body_at_a_fair_pace_is_read(client: WireClient) -> None:
    request = ask(content="x" * 200_000)
    pieces = [request[at : at + 5000] for at in range(0, len(request), 5000)]

    for piece in pieces:
        client.send(piece)
        time.sleep(3 * TIMEOUT_S / len(pieces))

    assert client.answer().status == 200


@pytest.mark.parametrize("gap_s", [0.1, 2 * TIMEOUT_S], ids=["drips", "stops"])
def test_body_of_the_operators_api_is_held_to_the_same_pace(client: WireClient, gap_s: float) -> None:
    lines = [("authorization", f"Bearer {ADMIN_KEY}"), ("content-type", "application/json"), ("content-length", "99")]
    client.send(request_bytes("POST", "/admin/keys", lines))

    drip(client, b" " * 20, gap_s)

    assert_times_out(client)


@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
def test_body_nobody_reads_does_not_hold_the_connection(client: WireClient, *, drips: bool) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", [("content-length", "1000")]) + b"{")
    assert client.answer().status == 401

    took_s = seconds_until(lambda: drip(client, b" " * 50, 0.1) if drips else client.is_closed_by_peer())

    assert took_s < SOON_S
    assert client.is_closed_by_peer()


def test_body_nobody_reads_may_still_end_well(client: WireClient) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", [("content-length", "1000")]) + b"{")
    assert client.answer().status == 401

    client.send(b" " * 999 + ask())

    assert client.answer().status == 200


def test_refused_caller_who_goes_on_sending_still_gets_to_read_why(client: WireClient) -> None:
    client.send(b"nonsense\r\n\r\n")
    for _ in range(20):
        client.send(b"x" * 65536)

    answer = client.answer()

    assert answer.status == 400
    assert client.is_closed_by_peer()


def test_old_caller_refused_in_the_midst_of_its_body_gets_to_read_why(client: WireClient) -> None:
    head = request_bytes("POST", "/v1/chat/completions", [("content-length", str(4 * MB))])
    client.send(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
    for _ in range(32):
        client.send(b"x" * 65536)

    answer = client.answer()

    assert answer.status == 401
    assert answer.ended_well


# ---------------------------------------------------------------- readers


def test_reader_who_stops_stops_the_upstream_and_is_cut_off(
    slow_reader: WireClient, gateway: LiveGateway, fountain: Fountain
) -> None:
    before = gateway.metrics()["process_resident_memory_bytes"]
    slow_reader.send(ask(("x-request-id", "stops"), model="endless", stream=True))
    slow_reader.head()

    assert fountain.stopped.wait(SOON_S)

    assert fountain.sent_bytes < 16 * MB
    assert gateway.wait_for_log(request_id="stops")["status"] == 499
    assert gateway.metrics()["process_resident_memory_bytes"] < before + 8 * MB
    gateway.wait_for_idle()


def test_slow_reader_is_waited_for_and_slows_the_upstream_down(
    slow_reader: WireClient, gateway: LiveGateway, fountain: Fountain
) -> None:
    slow_reader.send(ask(("x-request-id", "slow"), model="endless", stream=True))
    slow_reader.head()

    until = time.monotonic() + 4 * TIMEOUT_S
    while time.monotonic() < until:
        assert slow_reader.socket.recv(2000)
        time.sleep(0.01)

    assert not fountain.stopped.is_set()
    assert fountain.sent_bytes < 16 * MB
    slow_reader.close()
    assert gateway.wait_for_log(request_id="slow")["status"] == 499


def test_plain_answer_nobody_reads_is_thrown_away(slow_reader: WireClient, gateway: LiveGateway) -> None:
    before = gateway.metrics()["process_resident_memory_bytes"]
    slow_reader.send(ask(("x-request-id", "unread"), model="endless"))
    gateway.wait_for_log(request_id="unread", status=200)

    time.sleep(3 * TIMEOUT_S)

    assert not slow_reader.answer().ended_well
    assert gateway.metrics()["process_resident_memory_bytes"] < before + 32 * MB


def test_requests_sent_ahead_wait_until_the_answers_are_read(slow_reader: WireClient, gateway: LiveGateway) -> None:
    ids = [f"ahead-{number}" for number in range(4)]
    slow_reader.send(b"".join(ask(("x-request-id", request_id), model="endless") for request_id in ids))

    gateway.wait_for_log(request_id="ahead-0")
    time.sleep(TIMEOUT_S / 2)
    answered = [line["request_id"] for line in gateway.log if line["request_id"] in ids]
    answers = [slow_reader.answer() for _ in ids]

    assert answered == ["ahead-0"]
    assert all(answer.ended_well for answer in answers)


# ---------------------------------------------------------------- https


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, fountain: Fountain
) -> Iterator[tuple[LiveGateway, ssl.SSLContext]]:
    folder = tmp_path_factory.mktemp("secure")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "chain.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = {"certificate": str(folder / "chain.pem"), "key": str(folder / "key.pem")}
    settings = settings_with(fountain, {**SERVER, "tls": tls})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "COMMAND", IMPATIENT)
        with LiveGateway(folder, settings) as started:
            yield started, context


@pytest.mark.parametrize(
    "sent", [b"", b"\x16\x03\x01\x02", b"GET /livez HTTP/1.1\r\n\r\n"], ids=["none", "half", "http"]
)
def test_handshake_that_does_not_come_is_cut_off(secure: tuple[LiveGateway, ssl.SSLContext], sent: bytes) -> None:
    with WireClient(secure[0].address) as client:
        client.send(sent)

        took_s = seconds_until(client.rest)

        assert took_s < SOON_S


def test_slow_callers_over_https_are_cut_off(secure: tuple[LiveGateway, ssl.SSLContext]) -> None:
    gateway, context = secure
    with WireClient(gateway.address, context) as half, WireClient(gateway.address, context) as silent:
        half.send(ask()[:80])

        assert_times_out(half)
        assert half.is_closed_by_peer()
        assert silent.is_closed_by_peer()


def test_reader_over_https_who_stops_is_cut_off(secure: tuple[LiveGateway, ssl.SSLContext]) -> None:
    gateway, context = secure
    with WireClient(gateway.address, context, receive_bytes=8 * 1024) as client:
        client.send(ask(model="endless"))
        assert client.head().status == 200

        time.sleep(3 * TIMEOUT_S)

        assert not is_read_to_the_end(client)


def test_answer_over_https_that_ends_the_connection_arrives_whole(secure: tuple[LiveGateway, ssl.SSLContext]) -> None:
    gateway, context = secure
    with WireClient(gateway.address, context, receive_bytes=8 * 1024) as client:
        client.send(ask(("connection", "close"), model="endless"))

        assert client.answer().ended_well


def is_read_to_the_end(client: WireClient) -> bool:
    try:
        return len(client.rest()) >= 4 * MB
    except ssl.SSLError:  # the end came without the closing alert
        return False


# ---------------------------------------------------------------- many


def test_half_open_connections_hold_little_and_all_end(gateway: LiveGateway) -> None:
    before = gateway.metrics()["process_resident_memory_bytes"]
    clients = [WireClient(gateway.address) for _ in range(300)]
    for number, client in enumerate(clients):
        client.send((b"", b"GET / HT", LONG_BODY + b"{")[number % 3])

    during = gateway.metrics()["process_resident_memory_bytes"]

    assert during - before < 300 * 32 * 1024
    wait_until(lambda: all(is_ended(client) for client in clients), "the end of all connections")
    for client in clients:
        client.close()


def is_ended(client: WireClient) -> bool:
    client.socket.settimeout(0)
    try:
        while client.socket.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True
