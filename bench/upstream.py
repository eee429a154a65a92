"""A fast mock of an OpenAI-compatible upstream in a process of its own: `python bench/upstream.py` prints its port.

`/v1/...` answers plain requests with about 1 KB and streams without a pause; `/s10/...` waits 10 ms between chunks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final, cast

import uvloop

CHUNKS: Final = 30
"""Chunks of a stream, the one with the usage included."""

GAP_S: Final = 0.01

_HEAD: Final = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "gpt-4o-mini"}
_USAGE: Final = {"prompt_tokens": 120, "completion_tokens": 160, "total_tokens": 280}


def _plain() -> bytes:
    message = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog. " * 16, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(choices: list[object], usage: object = None) -> bytes:
    document = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    payload = b"data: %b\n\n" % json.dumps(document).encode()
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _stream() -> list[bytes]:
    """Return a stream's chunks as they are written, the first with the head before it, the last with the end."""
    texts = [{"role": "assistant", "content": ""}, *({"content": f"word{n} "} for n in range(CHUNKS - 3)), {}]
    deltas: list[list[object]] = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None if delta else "stop"}] for delta in texts
    ]
    chunks = [*map(_event, deltas), _event([], _USAGE)]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks[0] = head + chunks[0]
    chunks[-1] += b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    return chunks


_PLAIN: Final = _plain()
_STREAM: Final = _stream()


class _Upstream(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Stop a stream nobody reads."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._answer(head, b'"stream":true' in body.replace(b" ", b""))

    def _answer(self, head: bytes, is_stream: bool) -> None:  # noqa: FBT001  private, one call
        assert self._transport is not None  # noqa: S101  data comes from it
        if not is_stream:
            self._transport.write(_PLAIN)
        else:
            self._send_from(0, GAP_S if head.startswith(b"post /s10/") else 0.0)

    def _send_from(self, position: int, gap_s: float) -> None:
        """Write one chunk, each in a write of its own, and see to the next."""
        if self._transport is None:
            return
        self._transport.write(_STREAM[position])
        if position + 1 < len(_STREAM):
            self._timer = asyncio.get_running_loop().call_later(gap_s, self._send_from, position + 1, gap_s)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve())
