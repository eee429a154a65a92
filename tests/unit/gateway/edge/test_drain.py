from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import uvloop

from gateway.edge import drain as drain_module
from gateway.edge.drain import accept_waiting


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as created:
        yield created


def connect(listener: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(listener.getsockname()) for _ in range(count)]


def test_everybody_who_waits_is_accepted(listener: socket.socket) -> None:
    accepted: list[int] = []

    class Caller(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(len(accepted))
            transport.close()

    async def accept() -> int:
        server = await asyncio.get_running_loop().create_server(Caller, sock=listener)
        waiting = connect(listener, 50)

        await accept_waiting(listener)
        server.close()
        await asyncio.sleep(0)

        count = len(accepted)
        await server.wait_closed()
        for one in waiting:
            one.close()
        return count

    assert uvloop.run(accept()) == 50


def test_it_ends_though_somebody_always_waits(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "_BACKLOG_S", 0.01)
    (waiting,) = connect(listener, 1)

    uvloop.run(accept_waiting(listener))

    waiting.close()
