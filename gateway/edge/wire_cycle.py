"""One request on a connection and its answer: uvicorn's, and what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.domain.errors import GatewayError

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent


class Cycle(RequestResponseCycle):
    """A request whose body may turn out to be at fault while it is read."""

    fault: GatewayError | None = None
    """What is wrong with the body."""
    is_asking_first = False
    """Whether the caller waits for `100 Continue`, so that the connection ends unless it is sent: after a final answer
    instead, some callers send the body and some the next request (RFC 9110, section 10.1.1)."""

    def ask_first(self) -> None:
        """Have the connection end with the answer, unless the body is asked for."""
        if self.keep_alive:
            self.keep_alive, self.is_asking_first = False, True

    def want_body(self) -> None:
        """Let the connection live on: the body is read."""
        if self.is_asking_first:
            self.keep_alive, self.is_asking_first = True, False

    def end_with(self, fault: GatewayError) -> None:
        """Have whoever reads the body fail, and the connection end with the answer."""
        self.fault = fault
        self.end()
        self.message_event.set()

    def end(self) -> None:
        """Have the connection end with the answer."""
        self.keep_alive = self.is_asking_first = False

    async def receive(self) -> ASGIReceiveEvent:
        """Return what has arrived of the body.

        Raises:
            GatewayError: the body is too slow or no HTTP.
        """
        self.want_body()
        if self.fault is not None:
            raise self.fault
        message = await super().receive()
        if self.fault is not None:
            raise self.fault
        return message


class OldCycle(Cycle):
    """A request of HTTP/1.0, which knows no chunks: an answer of unknown length ends with the connection."""

    _is_open_ended = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._is_open_ended = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if self._is_open_ended:
                self.chunked_encoding = False
        elif self._is_open_ended:
            self.expected_content_length = len(message.get("body", b""))  # type: ignore[arg-type]
        await super().send(message)
