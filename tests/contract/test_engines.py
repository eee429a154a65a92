"""Every engine on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import trustme
import uvloop

from gateway.domain.errors import (
    RequestTimeoutError,
    UpstreamError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.upstreams.engines import http1
from gateway.upstreams.engines.http1 import READ_AHEAD_BYTES, Http1Engine, Http1Response
from gateway.upstreams.transport import Engine, EngineResponse, Request, Upload
from tests.support.members import ENGINES, Origin
from tests.support.moment import PATIENCE_S, Moment
from tests.support.scripted_upstream import ABORT, CLOSE, ScriptedUpstream, head, plain, raw, stream
from tests.support.sink import Incoming, Sink

MakeEngine = Callable[..., Engine]

REQUEST = Request(b"/v1/chat/completions?a=b", ((b"content-type", b"application/json"), (b"x-a", b"1")), b'{"a":1}')
OK = plain(b"ok")


@pytest.fixture(params=ENGINES)
async def make_engine(request: pytest.FixtureRequest) -> AsyncIterator[MakeEngine]:
    """Make engines that are closed after the test; arguments as for `Origin`."""
    made: list[Engine] = []

    def make(*arguments: Any, **options: Any) -> Engine:
        made.append(ENGINES[request.param](Origin(*arguments, **options)))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine, upstream: ScriptedUpstream) -> Engine:
    return make_engine(upstream.port)


async def read(response: EngineResponse) -> bytes:
    """Read a body to its end and give the connection back."""
    pieces = []
    try:
        while (piece := await response.chunk()) is not None:
            pieces.append(piece)
    finally:
        await response.close()
    return b"".join(pieces)


async def ask(engine: Engine, request: Request = REQUEST) -> bytes:
    return await read(await engine.send(request))


async def test_a_plain_answer_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(plain(b'{"a":1}', 201, [("X-Two", "1"), ("x-two", "2")]))

    response = await engine.send(REQUEST)

    assert response.status == 201
    assert [value for name, value in response.headers if name == b"x-two"] == [b"1", b"2"]
    assert all(name == name.lower() for name, _ in response.headers)
    assert await read(response) == b'{"a":1}'


async def test_the_request_goes_out_as_it_was_made(engine: Engine, upstream: ScriptedUpstream) -> None:
    await ask(engine)

    sent = upstream.last
    assert (sent.method, sent.target, sent.body) == ("POST", "/v1/chat/completions?a=b", b'{"a":1}')
    assert sent.headers == {
        "host": f"127.0.0.1:{upstream.port}",
        "content-length": "7",
        "content-type": "application/json",
        "x-a": "1",
    }


async def test_a_chunked_answer_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(stream(b"one", b"two", b"x" * 100_000))

    assert await ask(engine) == b"onetwo" + b"x" * 100_000


async def test_a_chunked_answer_with_trailers_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(
        raw(head(headers=[("transfer-encoding", "chunked")]) + b"2;x=y\r\nok\r\n0\r\nx-late: 1\r\n\r\n"), OK
    )

    assert await ask(engine) == b"ok"
    assert await ask(engine) == b"ok"
    assert upstream.connections == 1


async def test_an_answer_that_ends_with_the_connection_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(raw(head() + b"until", b" the end", CLOSE))

    assert await ask(engine) == b"until the end"


@pytest.mark.parametrize("answer", [raw(head(204)), raw(head(304)), plain(b""), stream()])
async def test_an_answer_without_a_body_ends(engine: Engine, upstream: ScriptedUpstream, answer: Any) -> None:
    upstream.script(answer, OK)

    assert await ask(engine) == b""
    assert await ask(engine) == b"ok"
    assert upstream.connections == 1


async def test_chunks_come_as_they_arrive(engine: Engine, upstream: ScriptedUpstream) -> None:
    go_on = Moment("the second chunk")
    upstream.script(stream(b"one", go_on, b"two"))
    response = await engine.send(REQUEST)

    first = await response.chunk()
    go_on.happen()

    assert first == b"one"
    assert await read(response) == b"two"


async def test_reading_past_the_end_stays_at_the_end(engine: Engine) -> None:
    response = await engine.send(REQUEST)
    while await response.chunk() is not None:
        pass

    assert await response.chunk() is None
    await response.close()
    await response.close()


async def test_an_answer_that_comes_byte_by_byte_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    whole = head(headers=[("transfer-encoding", "chunked")]) + b"3\r\none\r\n0\r\n\r\n"
    upstream.script(raw(*(whole[place : place + 1] for place in range(len(whole)))))

    assert await ask(engine) == b"one"


@pytest.mark.parametrize("interim", [head(100), head(102), head(103, [("link", "x")]), head(100) + head(103)])
async def test_interim_answers_are_passed_over(engine: Engine, upstream: ScriptedUpstream, interim: bytes) -> None:
    upstream.script(raw(interim, *plain(b"ok", 200)))

    response = await engine.send(REQUEST)

    assert response.status == 200
    assert b"link" not in dict(response.headers)
    assert await read(response) == b"ok"


async def test_redirects_are_not_followed(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(plain(b"moved", 307, [("location", f"{upstream.origin}/elsewhere")]))

    response = await engine.send(REQUEST)

    assert response.status == 307
    assert await read(response) == b"moved"
    assert len(upstream.requests) == 1


async def test_bodies_are_not_decoded(engine: Engine, upstream: ScriptedUpstream) -> None:
    body = gzip.compress(b"hello")
    upstream.script(plain(body, headers=[("content-encoding", "gzip")]))

    assert await ask(engine) == body


async def test_a_connection_is_used_again(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(OK, stream(b"two"), OK)

    assert [await ask(engine) for _ in range(3)] == [b"ok", b"two", b"ok"]
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "answer",
    [plain(b"ok", headers=[("connection", "close")]), raw(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")],
)
async def test_a_connection_the_server_gives_up_is_not_used_again(
    engine: Engine, upstream: ScriptedUpstream, answer: Any
) -> None:
    upstream.script(answer)

    await ask(engine)
    await upstream.requests[0].closed.reached()
    await ask(engine)

    assert upstream.connections == 2


async def test_a_kept_connection_that_was_closed_is_replaced(
    make_engine: MakeEngine, upstream: ScriptedUpstream
) -> None:
    engine = make_engine(upstream.port)
    upstream.script((*OK, CLOSE))
    await ask(engine)
    await upstream.requests[0].closed.reached()
    # The server says so just before its socket is closed: another round trip, and it is.
    await ask(make_engine(upstream.port))

    assert await ask(engine) == plain_body(upstream)
    assert upstream.connections == 3


async def test_a_kept_connection_that_dies_before_an_answer_is_replaced_once(
    engine: Engine, upstream: ScriptedUpstream
) -> None:
    upstream.script(OK, raw(CLOSE), plain(b"again"))
    await ask(engine)

    assert await ask(engine) == b"again"
    assert len(upstream.requests) == 3
    assert upstream.connections == 2


async def test_a_fresh_connection_that_dies_is_not_replaced(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(raw(CLOSE))

    with pytest.raises(UpstreamUnreachableError):
        await ask(engine)

    assert len(upstream.requests) == 1


async def test_a_kept_connection_is_replaced_no_more_than_once(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(OK, raw(CLOSE), raw(CLOSE))
    await ask(engine)

    with pytest.raises(UpstreamUnreachableError):
        await ask(engine)

    assert len(upstream.requests) <= 3


async def test_a_request_is_not_repeated_once_an_answer_has_begun(
    engine: Engine, upstream: ScriptedUpstream, request: pytest.FixtureRequest
) -> None:
    if not isinstance(engine, Http1Engine):
        reason = "httpx2 says the same of a connection that ended in the middle of a status line"
        request.applymarker(pytest.mark.xfail(reason=reason))
    upstream.script(OK, raw(b"HTTP/1.1 2", CLOSE))
    await ask(engine)

    with pytest.raises(UpstreamError) as caught:
        await ask(engine)

    assert caught.value.retryable
    assert len(upstream.requests) == 2


async def test_bytes_nobody_asked_for_are_no_answer(engine: Engine, upstream: ScriptedUpstream) -> None:
    stray, sent = Moment("the stray answer"), plain(b"stray")
    upstream.script((*plain(b"first"), stray, *sent), plain(b"second"))
    await ask(engine)
    stray.happen()
    await upstream.requests[0].answered.reached()
    if isinstance(engine, Http1Engine):  # it ends the connection at once, httpx2 when it is next asked
        await upstream.requests[0].closed.reached()

    assert await ask(engine) == b"second"


async def test_a_refused_connection_is_unreachable(make_engine: MakeEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(UpstreamUnreachableError):
        await ask(make_engine(port))


async def test_a_name_that_does_not_resolve_is_unreachable(make_engine: MakeEngine) -> None:
    with pytest.raises(UpstreamUnreachableError):
        await ask(make_engine(1, host="no-such-host.invalid"))


async def test_a_handshake_that_does_not_end_is_a_connect_timeout(make_engine: MakeEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = make_engine(silent.getsockname()[1], tls=ssl.create_default_context(), connect_s=0.05)

        with pytest.raises(UpstreamTimeoutError) as caught:
            await ask(engine)

    assert "onnecting" in caught.value.message


CUT: Any = [
    raw(head(headers=[("content-length", "10")]) + b"12345", CLOSE),
    raw(head(headers=[("content-length", "10")]), CLOSE),
    stream(b"one", CLOSE, ends=False),
    raw(head(headers=[("transfer-encoding", "chunked")]) + b"5\r\n12", CLOSE),
    raw(head(headers=[("transfer-encoding", "chunked")]) + b"5\r\n12345\r\n0\r\n", CLOSE),
]


@pytest.mark.parametrize("answer", CUT)
async def test_a_body_that_is_cut_off_is_garbled(engine: Engine, upstream: ScriptedUpstream, answer: Any) -> None:
    upstream.script(answer)
    response = await engine.send(REQUEST)

    with pytest.raises(UpstreamGarbledError):
        await read(response)

    assert await ask(engine) == plain_body(upstream)


async def test_what_came_before_the_cut_is_read(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(stream(b"one", CLOSE, ends=False))
    response = await engine.send(REQUEST)

    assert await response.chunk() == b"one"
    with pytest.raises(UpstreamGarbledError):
        await response.chunk()
    await response.close()


@pytest.mark.parametrize("start", [b"", head(headers=[("content-length", "10")]) + b"12345"])
async def test_a_reset_connection_is_an_upstream_error(
    engine: Engine, upstream: ScriptedUpstream, start: bytes
) -> None:
    taken = Moment("the first bytes are taken")
    upstream.script(raw(start, taken, ABORT))
    asking = asyncio.create_task(ask(engine))
    await upstream.next_request()
    taken.happen()

    with pytest.raises(UpstreamError) as caught:
        await asking

    assert caught.value.retryable
    assert await ask(engine) == plain_body(upstream)


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense\r\n\r\n", b"\x00" * 100, b"HTTP/1.1 abc Hm\r\n\r\n", b"<html>no</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\x01bad: 1\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_garbled(engine: Engine, upstream: ScriptedUpstream, garbage: bytes) -> None:
    upstream.script(raw(garbage))

    with pytest.raises(UpstreamGarbledError):
        await ask(engine)

    await upstream.requests[0].closed.reached()
    assert await ask(engine) == plain_body(upstream)


async def test_broken_chunks_are_garbled(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(raw(head(headers=[("transfer-encoding", "chunked")]) + b"zz\r\nhello\r\n"))

    with pytest.raises(UpstreamGarbledError):
        await ask(engine)

    await upstream.requests[0].closed.reached()


@pytest.mark.parametrize("line", [b"x: " + b"a" * 300_000, b"x: a\r\n" * 60_000], ids=["one line", "many lines"])
async def test_a_head_without_end_is_refused(engine: Engine, upstream: ScriptedUpstream, line: bytes) -> None:
    upstream.script(raw(b"HTTP/1.1 200 OK\r\n" + line))

    with pytest.raises(UpstreamGarbledError):
        await ask(engine)

    await upstream.requests[0].closed.reached()


async def test_switching_protocols_is_refused(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(raw(head(101, [("upgrade", "websocket"), ("connection", "upgrade")]), CLOSE))

    with pytest.raises(UpstreamError):
        await ask(engine)


async def test_a_call_cancelled_before_the_head_closes_its_connection(
    engine: Engine, upstream: ScriptedUpstream
) -> None:
    upstream.script(raw(Moment("never")))
    asking = asyncio.create_task(ask(engine))
    received = await upstream.next_request()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await received.closed.reached()
    assert await ask(engine) == plain_body(upstream)


async def test_a_call_cancelled_in_its_body_closes_its_connection(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(stream(b"one", Moment("never")))
    begun = asyncio.Event()

    async def read_on() -> None:
        response = await engine.send(REQUEST)
        try:
            await response.chunk()
            begun.set()
            await response.chunk()
        finally:
            await response.close()

    reading = asyncio.create_task(read_on())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    await upstream.last.closed.reached()
    assert await ask(engine) == plain_body(upstream)


async def test_a_response_closed_in_its_body_closes_its_connection(engine: Engine, upstream: ScriptedUpstream) -> None:
    upstream.script(stream(b"one", Moment("never")))
    response = await engine.send(REQUEST)
    await response.chunk()

    await response.close()

    await upstream.last.closed.reached()
    assert await ask(engine) == plain_body(upstream)


async def test_a_connection_idle_for_long_is_closed(
    upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "IDLE_S", 0.01)
    engine = Http1Engine("127.0.0.1", upstream.port, tls=None, max_connections=2, connect_s=10)
    await ask(engine)

    await upstream.last.closed.reached()

    assert await ask(engine) == plain_body(upstream)
    await engine.close()


async def test_closing_the_engine_closes_kept_connections(engine: Engine, upstream: ScriptedUpstream) -> None:
    await ask(engine)

    await engine.close()

    await upstream.last.closed.reached()


async def test_no_more_connections_than_allowed_are_opened(make_engine: MakeEngine, upstream: ScriptedUpstream) -> None:
    engine = make_engine(upstream.port, max_connections=3)

    answers = await asyncio.gather(*(ask(engine) for _ in range(30)))

    assert answers == [plain_body(upstream)] * 30
    assert len(upstream.requests) == 30
    assert upstream.connections <= 3


async def test_a_call_waits_until_a_place_is_free(make_engine: MakeEngine, upstream: ScriptedUpstream) -> None:
    engine = make_engine(upstream.port, max_connections=1)
    upstream.script(stream(b"one", Moment("never")))
    first = await engine.send(REQUEST)
    waiting = asyncio.create_task(ask(engine))
    other = make_engine(upstream.port)
    await ask(other)
    assert len(upstream.requests) == 2
    assert not waiting.done()

    await first.close()

    assert await waiting == plain_body(upstream)


async def test_a_call_that_waits_too_long_finds_the_upstream_overloaded(
    make_engine: MakeEngine, upstream: ScriptedUpstream
) -> None:
    engine = make_engine(upstream.port, max_connections=1, connect_s=0.05)
    upstream.script(stream(b"one", Moment("never")))
    first = await engine.send(REQUEST)

    with pytest.raises(UpstreamOverloadedError):
        await ask(engine)

    await first.close()
    assert await ask(engine) == plain_body(upstream)


async def test_a_waiting_call_that_is_cancelled_takes_no_place(
    make_engine: MakeEngine, upstream: ScriptedUpstream
) -> None:
    engine = make_engine(upstream.port, max_connections=1)
    upstream.script(stream(b"one", Moment("never")))
    first = await engine.send(REQUEST)
    cancelled, waiting = asyncio.create_task(ask(engine)), asyncio.create_task(ask(engine))
    await ask(make_engine(upstream.port))
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)

    await first.close()

    assert await waiting == plain_body(upstream)
    assert cancelled.cancelled()


async def test_a_place_handed_over_to_a_call_that_is_cancelled_is_not_lost(
    make_engine: MakeEngine, upstream: ScriptedUpstream
) -> None:
    engine = make_engine(upstream.port, max_connections=1)
    upstream.script(stream(b"one", Moment("never")))
    first = await engine.send(REQUEST)
    cancelled = asyncio.create_task(ask(engine))
    await ask(make_engine(upstream.port))

    await first.close()
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)

    assert await ask(engine) == plain_body(upstream)


@pytest.mark.parametrize("failure", [raw(CLOSE), raw(b"garbage\r\n\r\n"), CUT[0]])
async def test_a_failed_call_gives_its_place_back(
    make_engine: MakeEngine, upstream: ScriptedUpstream, failure: Any
) -> None:
    engine = make_engine(upstream.port, max_connections=1)
    upstream.script(failure, failure, OK)

    for _ in range(2):
        with pytest.raises(UpstreamError):
            await ask(engine)

    assert await ask(engine) == b"ok"


async def test_a_slow_reader_stops_the_sender(engine: Engine, upstream: ScriptedUpstream) -> None:
    # More than kernels keep for a connection of this machine (tcp_rmem and tcp_wmem end at 4 to 6 MB each).
    slow, fast = 40 * 2**20, 80 * 2**20
    upstream.script(plain(b"s" * slow), plain(b"f" * fast))
    response = await engine.send(REQUEST)
    first = await response.chunk()
    assert first

    # The loop reads twice as much for a fast reader: time enough to have taken all of the slow one's.
    assert len(await ask(engine)) == fast

    (sender,) = [c for c in upstream._connections if c.transport.get_write_buffer_size()]
    assert sender.transport.get_write_buffer_size() > slow // 4
    assert len(first) + len(await read(response)) == slow


async def test_a_connection_whose_answer_was_not_taken_is_not_left_paused(upstream: ScriptedUpstream) -> None:
    engine = Http1Engine("127.0.0.1", upstream.port, tls=None, max_connections=1, connect_s=10)
    # One byte over the bound: the socket is paused by the last byte, however the body is cut up on its way.
    upstream.script(plain(b"x" * (READ_AHEAD_BYTES + 1)), OK)
    response = await engine.send(REQUEST)
    await until_complete(response)

    await response.close()

    async with asyncio.timeout(PATIENCE_S):
        assert await ask(engine) == b"ok"
    await engine.close()


async def test_a_large_request_is_sent_whole(engine: Engine, upstream: ScriptedUpstream) -> None:
    body = bytes(range(256)) * (20 * 2**12)

    await ask(engine, Request(b"/", (), body))

    assert len(body) == 20 * 2**20
    assert upstream.last.body == body


async def test_an_answer_may_come_before_a_large_request_is_read(make_engine: MakeEngine) -> None:
    ended = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head(413, [("content-length", "2"), ("connection", "close")]) + b"no")
        await writer.drain()
        with contextlib.suppress(ConnectionError):
            while await reader.read(2**20):
                pass
        writer.close()
        ended.set()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        engine = make_engine(server.sockets[0].getsockname()[1])
        response = await engine.send(Request(b"/", (), b"x" * 20 * 2**20))

        assert response.status == 413
        assert await read(response) == b"no"
        await asyncio.wait_for(ended.wait(), PATIENCE_S)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve_tls(authority: trustme.CA) -> Iterator[Callable[[str], ScriptedUpstream]]:
    """Serve https with a certificate for a name."""
    with contextlib.ExitStack() as stack:

        def serve(name: str) -> ScriptedUpstream:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(context)
            return stack.enter_context(ScriptedUpstream(context))

        yield serve


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_https_is_spoken_with_a_trusted_server(
    make_engine: MakeEngine, authority: trustme.CA, serve_tls: Callable[[str], ScriptedUpstream]
) -> None:
    server = serve_tls("localhost")
    engine = make_engine(server.port, host="localhost", tls=trusting(authority))
    server.script(OK, stream(b"one", b"two"))

    assert [await ask(engine), await ask(engine)] == [b"ok", b"onetwo"]
    assert server.connections == 1


async def test_a_server_of_an_unknown_authority_is_not_spoken_to(
    make_engine: MakeEngine, serve_tls: Callable[[str], ScriptedUpstream]
) -> None:
    server = serve_tls("localhost")
    engine = make_engine(server.port, host="localhost", tls=trusting(trustme.CA()))

    with pytest.raises(UpstreamUnreachableError):
        await ask(engine)

    assert server.requests == []


async def test_a_server_of_another_name_is_not_spoken_to(
    make_engine: MakeEngine, authority: trustme.CA, serve_tls: Callable[[str], ScriptedUpstream]
) -> None:
    server = serve_tls("elsewhere.example")
    engine = make_engine(server.port, host="localhost", tls=trusting(authority))

    with pytest.raises(UpstreamUnreachableError):
        await ask(engine)

    assert server.requests == []


async def test_https_that_is_cut_off_is_garbled(
    make_engine: MakeEngine, authority: trustme.CA, serve_tls: Callable[[str], ScriptedUpstream]
) -> None:
    server = serve_tls("localhost")
    engine = make_engine(server.port, host="localhost", tls=trusting(authority))
    server.script(stream(b"one", CLOSE, ends=False))

    with pytest.raises(UpstreamGarbledError):
        await ask(engine)


async def test_a_cancelled_call_over_https_closes_its_connection(
    make_engine: MakeEngine, authority: trustme.CA, serve_tls: Callable[[str], ScriptedUpstream]
) -> None:
    server = serve_tls("localhost")
    engine = make_engine(server.port, host="localhost", tls=trusting(authority))
    server.script(raw(Moment("never")))
    asking = asyncio.create_task(ask(engine))
    received = await server.next_request()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await received.closed.reached()


def plain_body(upstream: ScriptedUpstream) -> bytes:
    """Return the body of the answer that is given when nothing is scripted."""
    *_, last = upstream.otherwise
    assert isinstance(last, bytes)
    return last.partition(b"\r\n\r\n")[2]


async def until_complete(response: EngineResponse) -> None:
    """Wait until all of a body has arrived, without taking it."""
    assert isinstance(response, Http1Response)
    assert response._connection is not None
    async with asyncio.timeout(PATIENCE_S):
        while not response._connection._complete:  # noqa: ASYNC110  nothing tells when all is buffered
            await asyncio.sleep(0)


async def test_contracts_are_kept_on_the_gateways_own_loop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


# ---------------------------------------------------------------- uploads


def upload(*pieces: bytes, length: int | None = None, waits_for: Moment | None = None) -> Request:
    """Return a request whose body arrives in pieces, the last one after a moment."""

    async def chunks() -> AsyncIterator[bytes]:
        for index, piece in enumerate(pieces):
            if waits_for is not None and index == len(pieces) - 1:
                await waits_for.reached()
            yield piece

    return Request(b"/v1/files", ((b"content-type", b"text/plain"),), Upload(chunks(), length))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


OK_HEAD = head(200, [("content-length", "2")]) + b"ok"


@pytest.mark.parametrize("length", [6, None])
async def test_an_upload_arrives_piece_by_piece(make_engine: MakeEngine, sink: Sink, length: int | None) -> None:
    go_on = Moment("the last piece")
    request = upload(b"abc", b"", b"def", length=length, waits_for=go_on)
    asked = asyncio.ensure_future(ask(make_engine(sink.port), request))
    with await asyncio.to_thread(sink.accept) as incoming:
        first = await asyncio.to_thread(incoming.read if length else lambda _: incoming.chunk(), 3)
        go_on.happen()
        second = await asyncio.to_thread(incoming.read if length else lambda _: incoming.chunk(), 3)
        last = b"" if length else await asyncio.to_thread(incoming.chunk)
        incoming.send(OK_HEAD)

        assert await asked == b"ok"

    assert (first, second, last) == (b"abc", b"def", b"")
    assert incoming.request_line == "POST /v1/files HTTP/1.1"
    framing = {name: incoming.headers.get(name) for name in ("content-length", "transfer-encoding")}
    expected = (str(length), None) if length else (None, "chunked")
    assert tuple(framing.values()) == expected


async def test_an_upload_is_sent_no_faster_than_it_is_taken(make_engine: MakeEngine, sink: Sink) -> None:
    taken, size = 0, 64 * 2**20

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            taken += 2**20
            yield b"x" * 2**20

    request = Request(b"/v1/files", (), Upload(chunks(), size))
    asked = asyncio.ensure_future(ask(make_engine(sink.port), request))
    with await asyncio.to_thread(sink.accept) as incoming:
        await asyncio.sleep(0.3)
        held = taken
        assert await asyncio.to_thread(incoming.skip, size) == size
        incoming.send(OK_HEAD)

        assert await asked == b"ok"

    assert held < size / 2


async def test_an_upload_that_fails_is_aborted(make_engine: MakeEngine, sink: Sink) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"
        raise RequestTimeoutError("The request body stopped arriving.")

    asked = asyncio.ensure_future(ask(make_engine(sink.port), Request(b"/v1/files", (), Upload(chunks()))))
    with await asyncio.to_thread(sink.accept) as incoming:
        first = await asyncio.to_thread(incoming.chunk)
        after = await asyncio.to_thread(incoming.chunk)

    with pytest.raises(RequestTimeoutError):
        await asked
    assert first == b"abc"
    assert after is None


async def test_a_cancelled_upload_is_aborted(make_engine: MakeEngine, sink: Sink) -> None:
    request = upload(b"abc", b"def", waits_for=Moment())
    asked = asyncio.ensure_future(ask(make_engine(sink.port), request))
    with await asyncio.to_thread(sink.accept) as incoming:
        assert await asyncio.to_thread(incoming.chunk) == b"abc"
        asked.cancel()

        assert await asyncio.to_thread(incoming.chunk) is None
    with contextlib.suppress(asyncio.CancelledError):
        await asked


async def test_an_upload_refused_early_is_answered(make_engine: MakeEngine, sink: Sink) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 2**16
            await asyncio.sleep(0.001)

    async def status_of(request: Request) -> int:
        response = await make_engine(sink.port).send(request)
        await read(response)
        return response.status

    asked = asyncio.ensure_future(status_of(Request(b"/v1/files", (), Upload(chunks(), 1000 * 2**16))))
    with await asyncio.to_thread(sink.accept) as incoming:
        await asyncio.to_thread(incoming.read, 1000)
        incoming.send(head(413, [("content-length", "2")]) + b"no")
        drained = asyncio.ensure_future(asyncio.to_thread(drain, incoming))

        assert await asked == 413
        await drained


def drain(incoming: Incoming) -> None:
    with contextlib.suppress(OSError):
        incoming.skip(1000 * 2**16 - 1000)


async def test_an_upload_to_a_server_that_leaves_is_a_failure(make_engine: MakeEngine, sink: Sink) -> None:
    go_on = Moment()
    asked = asyncio.ensure_future(ask(make_engine(sink.port), upload(b"abc", b"def", length=6, waits_for=go_on)))
    with await asyncio.to_thread(sink.accept) as incoming:
        await asyncio.to_thread(incoming.read, 3)
    go_on.happen()

    with pytest.raises(UpstreamUnreachableError):
        await asked


async def test_an_upload_does_not_reuse_a_connection_that_may_have_died(
    make_engine: MakeEngine, upstream: ScriptedUpstream
) -> None:
    engine = make_engine(upstream.port)
    upstream.script(raw(OK_HEAD), raw(OK_HEAD, CLOSE), raw(OK_HEAD))
    for _ in range(2):
        assert await ask(engine) == b"ok"
    await asyncio.to_thread(upstream.last.closed.wait)

    assert await ask(engine, upload(b"abc", length=3)) == b"ok"
    assert upstream.last.body == b"abc"


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"HEAD"])
async def test_other_methods_are_asked(make_engine: MakeEngine, upstream: ScriptedUpstream, method: bytes) -> None:
    body = b"" if method == b"HEAD" else b"ok"
    upstream.script(raw(head(200, [("content-length", "2")]) + body), OK)
    engine = make_engine(upstream.port)

    found = await ask(engine, Request(b"/v1/files/f", (), b"", method))
    after = await ask(engine)

    assert upstream.requests[0].method == method.decode()
    assert (found, after) == (body, b"ok")


TARGETS = ["/v1/files/a%20b%2Fc%C3%A9", "/v1/files/f?a=%20+&b[]=x|y&c='\"", "/v1/files/a:b@c;d=e,f!$&'()*~", "/a//b/?"]


@pytest.mark.parametrize("target", TARGETS)
async def test_the_target_is_sent_as_it_is(engine: Engine, upstream: ScriptedUpstream, target: str) -> None:
    await ask(engine, Request(target.encode(), (), b"", b"GET"))

    assert upstream.last.target == target
