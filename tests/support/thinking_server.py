"""An upstream that embeds as `FakeEmbedder` does, and answers every chat request with a text of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import msgspec

from cache.calibration.table import FILE, Measured, Step, Table, folder_for
from cache.embedders.artefact import default_root
from tests.support.embedding import FakeEmbedder
from tests.support.moment import PATIENCE_S, Moment

DIMENSION: Final = 64
MODEL: Final = "embedder-1"
IDENTITY: Final = f"thinker/{MODEL}@1+{DIMENSION}"


class ThinkingServer:
    """Use as a context manager.

    Attributes:
        asked: bodies of chat requests, as they came.
        embedded: texts that were embedded.
        says: what it answers instead of `answer N`, if set.
        gate: what answers wait for, if set.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.embedded: list[str] = []
        self.says = ""
        self.gate: Moment | None = None
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def settings(self, **cache: Any) -> dict[str, Any]:
        """Return settings of a gateway that asks it for everything."""
        return {
            "upstreams": {"thinker": {"kind": "openai", "base_url": self.url, "api_key": "key-of-the-thinker-01"}},
            "models": {"m": {"upstream": "thinker", "price": {"input": 1.0, "output": 2.0}}},
            "server": {"admin_key": "admin-key-of-the-cache-tests"},
            "cache": {
                "exact": True,
                "semantic": True,
                "error_budget": 0.02,
                "embedder": {"upstream": "thinker", "model": MODEL, "budget_ms": 10_000},
                "audit_share": 0.0,
                **cache,
            },
        }

    def answer(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        if path.endswith("/embeddings"):
            self.embedded += document["input"]
            fake = FakeEmbedder(DIMENSION)
            rows = [fake.vector(text).tolist() for text in document["input"]]
            return {"data": [{"index": at, "embedding": row} for at, row in enumerate(rows)]}
        self.asked.append(dict(document))
        told = self.says or f"answer {len(self.asked)}"
        if self.gate is not None:
            self.gate.wait()
        return {
            "id": f"chatcmpl-{len(self.asked)}",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": told}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    server_of: ClassVar[ThinkingServer]
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S

    def do_POST(self) -> None:
        """Answer one request."""
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = self.server_of.answer(self.path, document)
        is_streamed = bool(document.get("stream"))
        body = b"".join(_streamed(answer)) if is_streamed else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if is_streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _streamed(answer: dict[str, Any]) -> list[bytes]:
    """Return an answer as events."""
    named = {name: answer[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    told = answer["choices"][0]["message"]
    deltas = [{"index": 0, "delta": told, "finish_reason": None}], [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    chunks: list[dict[str, Any]] = [{**named, "choices": choices} for choices in (*deltas, [])]
    chunks[-1]["usage"] = answer["usage"]
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def measured(folder: Path) -> dict[str, str]:
    """Write a table of thresholds for the server's embedder, and return the environment that has it found."""
    environment = {"XDG_CACHE_HOME": str(folder)}
    place = folder_for(IDENTITY, default_root(environment))
    place.mkdir(parents=True)
    step = Step(0.001, 0.9, {"all": Measured(0.2, 0.001, 0.001)})
    (place / FILE).write_bytes(msgspec.json.encode(Table(IDENTITY, "a test", (step,))))
    return environment
