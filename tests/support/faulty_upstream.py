"""Providers that answer some calls and break the others in every way a provider can, as a script with a seed says.

They run in the event loop of whoever asks, each on a port of its own: a load of thousands of requests needs no process
besides the gateway's, and each call can be compared with what became of the request that it was made for. The loop is
uvloop's: asyncio's own leaves the sockets open that it accepts while a listener is closed (CPython 3.11).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self, cast

import msgspec

from tests.support.faulty_answers import HANG, Answers, Fault, Play, Step
from tests.support.scripted_upstream import ABORT, CLOSE

REFUSED_S: Final = 0.01
"""Seconds that nobody listens after a call that was `refused`: under load that refuses ten others."""

MARK: Final = b"request="
"""What precedes the id of a request in its prompt; a semicolon follows it."""

POISON: Final = b"poison="
"""What precedes, in the prompt of a request that every model must fail on, the fault; a semicolon follows it."""

_INET, _STREAM = socket.AF_INET, socket.SOCK_STREAM
_NO_LINGERING: Final = struct.pack("ii", 1, 0)


class Mix(msgspec.Struct, frozen=True):
    """Which calls to a model go wrong.

    Attributes:
        faults: in turn.
        share: of all calls, 0 to 1; which ones is drawn by the number of the call.
    """

    faults: Sequence[Fault] = ()
    share: float = 1.0


WELL: Final = Mix(share=0.0)


class Deployment:
    """One model. Everything but `mix` is for reading.

    Args:
        name: of the model.
        seed: of the draws.

    Attributes:
        mix: what it does; may be set at any time.
        calls, in_flight, most_in_flight: calls in all, now and at most.
        aborted: calls that whoever made them ended before the answer was complete.
        played: how often each fault occurred.
        late: calls that broke after some events of a stream may have been sent.
        asked: how often it was asked for each request that had an id.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.mix = name, WELL
        self._answers = Answers(name)
        self._chance = random.Random(f"{seed} {name}")  # noqa: S311  reproducible, nothing secret
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._is_dead = False
        self.port = self.calls = self.in_flight = self.most_in_flight = self.aborted = self.late = 0
        self.played: Counter[str] = Counter()
        self.asked: Counter[bytes] = Counter()

    @property
    def url(self) -> str:
        """The base URL for a settings file."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def listen(self) -> None:
        """Begin to take connections, on the same port as before where there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Refuse connections and cut those that are open."""
        self._is_dead = True
        await asyncio.gather(*self._tasks)
        self._shut()
        await asyncio.sleep(0)  # what was accepted becomes a connection
        for connection in list(self._connections):
            connection.cut()
        while self._connections:  # noqa: ASYNC110  the loop closes the sockets in its next rounds
            await asyncio.sleep(0)

    async def revive(self) -> None:
        """Take connections again."""
        self._is_dead = False
        async with self._opening:
            if self._server is None:
                await self.listen()

    def begin(self, body: bytes) -> Play:
        """Count a call and choose what is done about it."""
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if MARK in body:
            self.asked[_after(MARK, body)] += 1
        is_stream = b'"stream":true' in body or b'"stream": true' in body
        fault = self._fault_for(body)
        if not fault:
            return self._answers.whole(is_stream=is_stream)
        number, self.played[fault] = self.played[fault], self.played[fault] + 1
        if fault == "refused":
            self._refuse_for_a_moment()
        return self._answers.broken(fault, number, is_stream=is_stream)

    def end(self, play: Play, *, is_aborted: bool = False, is_cut: bool = False) -> None:
        """Count the end of a call: by whoever made it, by the script, or cut as the model died."""
        self.in_flight -= 1
        self.aborted += is_aborted
        self.late += play.is_late or is_cut

    def join(self, connection: _Connection) -> None:
        """Take in a connection."""
        self._connections.add(connection)

    def leave(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def _fault_for(self, body: bytes) -> Fault | None:
        mix = self.mix
        is_drawn = self._chance.random() < mix.share  # always drawn, so that it depends on nothing but the number
        if POISON in body:
            poison: Fault = msgspec.convert(_after(POISON, body).decode(), Fault)
            return poison
        return mix.faults[self.calls % len(mix.faults)] if is_drawn and mix.faults else None

    def _refuse_for_a_moment(self) -> None:
        self._shut()
        for connection in list(self._connections):
            connection.abort_if_idle()
        if self._reopening is None:
            self._reopening = asyncio.get_running_loop().call_later(REFUSED_S, self._reopen)

    def _reopen(self) -> None:
        self._reopening = None
        if not self._is_dead:
            task = asyncio.get_running_loop().create_task(self.revive())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class FaultyUpstream:
    """Several models, all well at first. Use as an asynchronous context manager.

    Args:
        names: of the models.
        seed: of what they draw.

    Attributes:
        models: by name.
    """

    def __init__(self, names: Sequence[str], seed: int = 5) -> None:
        self.models = {name: Deployment(name, seed) for name in names}

    async def __aenter__(self) -> Self:
        for model in self.models.values():
            await model.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for model in self.models.values():
            await model.die()

    @property
    def in_flight(self) -> int:
        """Calls under way, at all models."""
        return sum(model.in_flight for model in self.models.values())

    def most_asked(self) -> int:
        """Return how often one model was asked for one request, at most."""
        return max((count for model in self.models.values() for count in model.asked.values()), default=0)

    def asked_again(self) -> int:
        """Return the calls to models that had been asked for the same request before."""
        return sum(count - 1 for model in self.models.values() for count in model.asked.values())


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, model: Deployment) -> None:
        self._model = model
        self._buffer = b""
        self._play: Play | None = None
        self._steps: Iterator[Step] = iter(())
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._model.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._model.leave(self)
        self._end(is_aborted=True)

    def cut(self) -> None:
        """Reset it in the middle of whatever is sent."""
        self._end(is_cut=True)
        self.abort()

    def abort(self) -> None:
        """Reset it: what asyncio calls an abort ends it well where nothing is left to be read."""
        self._end()
        if not self._transport.is_closing():
            with socket.fromfd(self._transport.get_extra_info("socket").fileno(), _INET, _STREAM) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self._transport.abort()

    def abort_if_idle(self) -> None:
        """Reset it where nobody waits for an answer."""
        if self._play is None:
            self.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if self._play is not None or end < 0:
            return
        length = self._buffer[:end].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        whole = end + 4 + int(length or 0)
        if len(self._buffer) >= whole:
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._play = self._model.begin(body)
            self._steps = iter(self._play.steps)
            self._go_on()

    def _go_on(self) -> None:
        """Do what comes next, up to a pause or the end."""
        for step in self._steps:
            if isinstance(step, bytes):
                self._transport.write(step)
            elif isinstance(step, float):
                if step != HANG:
                    self._timer = self._loop.call_later(step, self._go_on)
                return
            elif step == ABORT:
                self.abort()
                return
            else:
                assert step == CLOSE
                self._end()
                self._transport.close()
                return
        self._end()

    def _end(self, *, is_aborted: bool = False, is_cut: bool = False) -> None:
        play, self._play = self._play, None
        if self._timer is not None:
            self._timer.cancel()
        if play is not None:
            self._model.end(play, is_aborted=is_aborted, is_cut=is_cut)


def _after(mark: bytes, body: bytes) -> bytes:
    return body.partition(mark)[2].partition(b";")[0]
