"""What only the httpx2 engine does: HTTP/2 where it is offered, and proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from gateway.upstreams.catalogue import make_engine
from gateway.upstreams.engines.httpx2 import Httpx2Engine
from gateway.upstreams.settings import OpenAIUpstream
from gateway.upstreams.transport import Engine, Request

REQUEST = Request(b"/v1/chat/completions", [(b"content-type", b"application/json")], b'{"model":"m"}')


class Http2Server(asyncio.Protocol):
    """Answers each request over HTTP/2 with the path it asked for.

    Args:
        open_: the connections that have not ended; the loop must not be closed before them.
    """

    def __init__(self, open_: set[Http2Server]) -> None:
        self._open = open_
        self._state = H2Connection(H2Configuration(client_side=False))
        self._paths: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)
        self._state.initiate_connection()
        self._transport.write(self._state.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        for event in self._state.receive_data(data):
            if isinstance(event, RequestReceived) and event.stream_id and event.headers:
                self._paths[event.stream_id] = bytes(dict(event.headers)[b":path"])
            if isinstance(event, StreamEnded) and event.stream_id:
                self._state.send_headers(event.stream_id, [(":status", "200"), ("content-type", "text/plain")])
                self._state.send_data(event.stream_id, self._paths[event.stream_id], end_stream=True)
        self._transport.write(self._state.data_to_send())


async def read(engine: Engine) -> bytes:
    response = await engine.send(REQUEST)
    pieces = []
    while (piece := await response.chunk()) is not None:
        pieces.append(piece)
    await response.close()
    return b"".join(pieces)


@pytest.fixture
async def http2_port(tmp_path: Path) -> AsyncIterator[int]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    open_: set[Http2Server] = set()
    server = await asyncio.get_running_loop().create_server(partial(Http2Server, open_), "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    while open_:  # noqa: ASYNC110  a moment, and no event to wait for
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A proxy that answers by itself, and the request lines it was sent."""
    lines: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines.append(head.split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nproxied")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], lines
    server.close()


async def test_an_upstream_that_offers_http2_is_asked_over_it(http2_port: int, tmp_path: Path) -> None:
    settings = OpenAIUpstream(
        base_url=f"https://127.0.0.1:{http2_port}/v1", http2=True, ca_file=str(tmp_path / "ca.pem")
    )
    engine = make_engine(settings)

    answer = await read(engine)

    assert isinstance(engine, Httpx2Engine)
    assert answer == b"/v1/chat/completions"
    await engine.close()


async def test_a_call_goes_through_the_proxy_of_its_upstream(proxy: tuple[int, list[bytes]]) -> None:
    port, lines = proxy
    settings = OpenAIUpstream(base_url="http://upstream.invalid/v1", proxy=f"http://127.0.0.1:{port}")
    engine = make_engine(settings)

    answer = await read(engine)

    assert answer == b"proxied"
    assert lines == [b"POST http://upstream.invalid/v1/chat/completions HTTP/1.1"]
    await engine.close()


async def test_a_proxy_of_the_environment_is_ignored(
    proxy: tuple[int, list[bytes]], http2_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, lines = proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    settings = OpenAIUpstream(
        base_url=f"https://127.0.0.1:{http2_port}/v1", http2=True, ca_file=str(tmp_path / "ca.pem")
    )
    engine = make_engine(settings)

    answer = await read(engine)

    assert answer == b"/v1/chat/completions"
    assert lines == []
    await engine.close()
