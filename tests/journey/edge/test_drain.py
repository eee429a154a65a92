"""A process that is told to stop: who is being served is served, who comes late is answered, nobody is reset."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from tests.conftest import StartGateway
from tests.support.live import LiveGateway, relay_settings, wait_until
from tests.support.moment import Moment
from tests.support.scripted_upstream import ScriptedUpstream, chunk, events, plain, stream
from tests.support.wire import WireClient, chat, chat_bytes, request_bytes

SLOW_READERS = 60


@pytest.fixture
def busy(start_gateway: StartGateway, upstream: ScriptedUpstream) -> Iterator[LiveGateway]:
    """A gateway that has been told to stop, and has a call to finish before it does."""
    never = Moment()
    upstream.script(plain({}, before=[never]))
    gateway = start_gateway(relay_settings(upstream.url))
    with WireClient(gateway.address) as waiting:
        waiting.send(chat_bytes(chat()))
        upstream.wait_for_request()
        yield gateway
        never.happen()
        assert waiting.answer().status == 200
    assert gateway.wait_for_exit() == 0


def stop(gateway: LiveGateway) -> None:
    gateway.terminate()
    wait_until(lambda: not is_listening(gateway), "the end of listening")


def is_listening(gateway: LiveGateway) -> bool:
    try:
        socket.create_connection(gateway.address, 1).close()
    except OSError:
        return False
    return True


def test_request_on_an_open_connection_is_answered_and_told_that_it_is_the_last(busy: LiveGateway) -> None:
    with WireClient(busy.address) as client:
        assert "connection" not in client.request("GET", "/v1/models").headers
        stop(busy)

        answer = client.request("GET", "/v1/models")

        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert client.is_closed_by_peer()


def test_probe_on_an_open_connection_hears_that_it_drains(busy: LiveGateway) -> None:
    with WireClient(busy.address) as client:
        client.request("GET", "/livez")
        stop(busy)

        answer = client.request("GET", "/readyz")

        assert answer.status == 503
        assert answer.json()["status"] == "draining"


def test_idle_connection_ends_well_in_the_end(busy: LiveGateway) -> None:
    with WireClient(busy.address) as client:
        client.request("GET", "/livez")

        stop(busy)

        assert client.socket.recv(1) == b""  # a reset would raise


def test_request_whose_head_has_begun_is_answered(busy: LiveGateway) -> None:
    request = request_bytes("GET", "/v1/models")
    with WireClient(busy.address) as client:
        client.send(request[:20])
        stop(busy)

        client.send(request[20:])

        assert client.answer().status == 200


def test_stream_that_ends_meanwhile_leaves_its_connection_open_for_one_more_request(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    go_on = Moment()
    first, last, done = events(chunk("Hi"), chunk(finish="stop"), b"[DONE]")
    upstream.script(stream(first, go_on, last, done))
    gateway = start_gateway(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True)))
        begun = client.head()
        client.chunk()
        stop(gateway)
        go_on.happen()
        while client.chunk():
            pass

        answer = client.post_chat(chat())

        assert "connection" not in begun.headers
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
    assert gateway.wait_for_exit() == 0


def test_callers_who_wait_to_be_let_in_are_answered(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    with ExitStack() as stack:
        gateway.process.send_signal(signal.SIGSTOP)
        waiting = [stack.enter_context(WireClient(gateway.address)) for _ in range(40)]
        for client in waiting:
            client.send(request_bytes("GET", "/v1/models"))
        gateway.terminate()
        gateway.process.send_signal(signal.SIGCONT)

        answers = [client.answer() for client in waiting]

    assert [answer.status for answer in answers] == [200] * 40
    assert gateway.wait_for_exit() == 0


def test_readers_who_do_not_read_do_not_hold_the_end_up(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    never = Moment()
    upstream.otherwise = stream(*events(*[chunk("x" * 64_000)] * 40), never)
    gateway = start_gateway(relay_settings(upstream.url, server={"drain_s": 0.5}))
    with ExitStack() as stack:
        for _ in range(SLOW_READERS):
            client = stack.enter_context(WireClient(gateway.address, receive_bytes=4096))
            client.send(chat_bytes(chat(stream=True)))
        upstream.wait_for_request(SLOW_READERS)
        gateway.wait_for_idle(SLOW_READERS + 1)

        gateway.terminate()

        assert gateway.wait_for_exit() == 0
    assert gateway.faults() == []
    assert sum(line["code"] == "shutting_down" for line in gateway.log) == SLOW_READERS
    never.happen()


def test_caller_who_keeps_its_side_open_does_not_hold_the_end_up(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    with WireClient(gateway.address) as idle, WireClient(gateway.address) as silent:
        idle.request("GET", "/livez")

        gateway.terminate()

        assert gateway.wait_for_exit(10.0) == 0
        assert idle.is_closed_by_peer()
        assert silent.is_closed_by_peer()


def test_idle_connection_over_https_ends_well(start_gateway: StartGateway, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    pem = str(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    gateway = start_gateway(
        {
            "server": {"tls": {"certificate": pem, "key": pem}},
            "upstreams": {"offline": {"kind": "echo"}},
            "models": {"small": {"upstream": "offline"}},
        }
    )
    with WireClient(gateway.address, context) as client:
        client.request("GET", "/livez")

        gateway.terminate()

        assert client.socket.recv(1) == b""  # an end that TLS does not vouch for would raise
    assert gateway.wait_for_exit() == 0
