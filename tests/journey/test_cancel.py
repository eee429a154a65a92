"""A caller who leaves stops the upstream, whatever was going on."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.support.live import LiveGateway, wait_until
from tests.support.moment import Moment
from tests.support.scripted_upstream import (
    USAGE,
    Received,
    ScriptedUpstream,
    chunk,
    completion,
    events,
    head,
    plain,
    raw,
    stream,
)
from tests.support.wire import WireClient, chat, chat_bytes, request_bytes

STOPPED_WITHIN_S = 2.0
"""Bound of the wait for the upstream's end of the connection; the measurement itself is the benchmark's."""


@pytest.fixture
def never() -> Iterator[Moment]:
    """Yield a moment that comes only when the test is over."""
    moment = Moment("the end of the test")
    yield moment
    moment.happen()


@pytest.fixture(params=["FIN", "RST"])
def leave(request: pytest.FixtureRequest, wire: WireClient) -> Iterator[Callable[[], None]]:
    """Yield a function that ends the caller's connection, well or badly."""

    def go() -> None:
        if request.param == "RST":
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()

    yield go
    wire.close()


def assert_was_stopped(received: Received, relay: LiveGateway, request_id: str) -> None:
    received.closed.wait(STOPPED_WITHIN_S)
    assert not received.answered.has_happened
    assert relay.wait_for_log(request_id=request_id)["status"] == 499
    relay.wait_for_idle()


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_caller_leaves_before_the_head_of_the_answer(
    wire: WireClient,
    relay: LiveGateway,
    scripted: ScriptedUpstream,
    never: Moment,
    leave: Callable[[], None],
    *,
    streamed: bool,
) -> None:
    scripted.script(plain(completion(), before=[never]))
    request_id = f"no-head-{streamed}-{id(leave)}"
    wire.send(chat_bytes(chat(stream=streamed), ("x-request-id", request_id)))
    received = scripted.wait_for_request()

    leave()

    assert_was_stopped(received, relay, request_id)


def test_caller_leaves_between_the_head_and_the_first_event(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, never: Moment, leave: Callable[[], None]
) -> None:
    comment_sent = Moment("the comment")
    scripted.script(stream(b": waiting\n\n", comment_sent, never))
    request_id = f"no-event-{id(leave)}"
    wire.send(chat_bytes(chat(stream=True), ("x-request-id", request_id)))
    received = scripted.wait_for_request()
    comment_sent.happen()

    leave()

    assert_was_stopped(received, relay, request_id)


def test_caller_leaves_in_the_middle_of_a_stream(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, never: Moment, leave: Callable[[], None]
) -> None:
    scripted.script(stream(*events(chunk("some text, long enough to be counted")), never))
    request_id = f"mid-stream-{id(leave)}"
    wire.send(chat_bytes(chat(stream=True), ("x-request-id", request_id)))
    wire.head()
    assert wire.chunk()

    leave()

    assert_was_stopped(scripted.last, relay, request_id)
    line = relay.wait_for_log(request_id=request_id)
    assert line["usage"]["provenance"] == "estimated"
    assert line["usage"]["output_tokens"] > 0
    assert line["cost_microusd"] > 0


def test_caller_leaves_a_stream_that_never_pauses(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, never: Moment, leave: Callable[[], None]
) -> None:
    pieces = events(*(chunk("x" * 2000) for _ in range(2000)))
    scripted.script(stream(*pieces, never))
    request_id = f"flood-{id(leave)}"
    wire.send(chat_bytes(chat(stream=True), ("x-request-id", request_id)))
    wire.head()
    assert wire.chunk()

    leave()

    assert_was_stopped(scripted.last, relay, request_id)


def test_caller_leaves_in_the_middle_of_a_plain_answer(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, never: Moment, leave: Callable[[], None]
) -> None:
    scripted.script(raw(head(200, [("content-type", "application/json"), ("content-length", "999")]), b'{"id":', never))
    request_id = f"mid-plain-{id(leave)}"
    wire.send(chat_bytes(chat(), ("x-request-id", request_id)))
    received = scripted.wait_for_request()

    leave()

    assert_was_stopped(received, relay, request_id)


def test_caller_leaves_while_sending_the_body(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, leave: Callable[[], None]
) -> None:
    request_id = f"upload-{id(leave)}"
    whole = chat_bytes(chat(), ("x-request-id", request_id))
    wire.send(whole[:-10])
    wait_until(lambda: relay.metrics()["tierway_in_flight"] == 2, "the request's start")

    leave()

    assert relay.wait_for_log(request_id=request_id)["status"] == 499
    relay.wait_for_idle()
    assert scripted.requests == []


def test_caller_leaves_while_sending_a_chunked_body(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, leave: Callable[[], None]
) -> None:
    request_id = f"chunked-{id(leave)}"
    lines = [("x-request-id", request_id), ("transfer-encoding", "chunked")]
    wire.send(request_bytes("POST", "/v1/chat/completions", lines) + b'5\r\n{"mod\r\n')
    wait_until(lambda: relay.metrics()["tierway_in_flight"] == 2, "the request's start")

    leave()

    assert relay.wait_for_log(request_id=request_id)["status"] == 499
    assert scripted.requests == []


def test_other_callers_are_not_touched(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, never: Moment
) -> None:
    go_on = Moment()
    first, last, done = events(chunk("Hi"), chunk(finish="stop"), b"[DONE]")
    scripted.script(stream(first, go_on, last, done), stream(first, never))
    wire.send(chat_bytes(chat(stream=True)))
    wire.head()
    assert wire.chunk() == first
    with WireClient(relay.address) as other:
        other.send(chat_bytes(chat(stream=True)))
        other.head()
        assert other.chunk() == first

    scripted.wait_for_request(2).closed.wait(STOPPED_WITHIN_S)
    go_on.happen()

    rest = wire.chunk()
    assert rest is not None
    assert rest.startswith(last)


def test_whole_answer_is_not_recorded_as_left(wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), {**chunk(), "choices": [], "usage": USAGE}, b"[DONE]")))

    wire.post_chat(chat(stream=True), ("x-request-id", "whole-answer"))
    wire.close()

    assert relay.wait_for_log(request_id="whole-answer")["status"] == 200
    relay.wait_for_idle()


def test_finished_call_leaves_its_connection_for_the_next(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream
) -> None:
    answer = stream(*events(chunk("Hi", "stop"), b"[DONE]"))
    scripted.script(answer, answer)

    wire.post_chat(chat(stream=True))
    wire.post_chat(chat(stream=True))
    wire.post_chat(chat())

    assert len({received.connection for received in scripted.requests}) == 1
