"""An upstream of three shapes that says what it is told, a few characters at a time, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from gateway.answers.assembly.catalogue import ASSEMBLERS
from gateway.domain.request import Shape
from tests.support.guarded import Document, chat_events, message_events, pieces, response_events
from tests.support.kept_answers import USAGE, framed

_SIZE: Final = 3
"""Characters of each piece."""


class RepeatingUpstream:
    """Runs on a port of its own. Use as a context manager.

    Attributes:
        seen: bodies, as they came.
        calls_tools: whether it calls the tool `weather` with what it was told, besides saying it.
        adds: what it says after that.
        made: its newest answer, which is what it has at any id.
    """

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.calls_tools = False
        self.adds = ""
        self.made: Document = {}

    def __enter__(self) -> Self:
        upstream = self

        class Repeat(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                upstream.seen.append(body)
                kind, sent = upstream._answer(self.path, json.loads(body))
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def do_GET(self) -> None:
                sent = json.dumps(upstream.made).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Repeat)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, path: str, request: Document) -> tuple[str, bytes]:
        shape: Shape = "responses" if "responses" in path else "messages" if "messages" in path else "chat"
        told = _told(request) + self.adds
        asked = json.dumps({"about": told}) if self.calls_tools else ""
        events = _EVENTS[shape](pieces(told, _SIZE), pieces(asked, _SIZE))
        assembled = ASSEMBLERS[shape](events, USAGE)
        assert assembled is not None
        self.made = assembled.document
        if request.get("stream"):
            return "text/event-stream", framed(events, shape)
        return "application/json", json.dumps(self.made).encode()


_EVENTS: Final[dict[Shape, Any]] = {"chat": chat_events, "responses": response_events, "messages": message_events}


def _told(request: Document) -> str:
    """Return the last thing that was said."""
    said: Any = request.get("input", request.get("messages"))
    content = said if isinstance(said, str) else said[-1]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])
