"""Whole answers of each shape, and their streams, for tests of answers that are given again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.answers.template import Fresh
from gateway.domain.request import Shape
from gateway.domain.usage import Usage
from gateway.upstreams.base import PlainReply, StreamReply

Document = dict[str, Any]

NONCE: Final = b"0123456789abcdef" * 2
NEW: Final = Fresh(NONCE, 1_800_000_000)
USAGE: Final = Usage(input_tokens=9, output_tokens=4)
DONE: Final = "data: [DONE]\n\n"

_GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden"


def chat_answer(content: str | None = "Hello, world.", finish: str = "stop", **message: Any) -> Document:
    said = {"role": "assistant", "content": content, "refusal": None, **message}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }


def tool_call(number: int = 1, arguments: str = '{"city":"Graz"}') -> Document:
    name = f"call_DdmO9pD3xa9XTPNJ32zg{number:04}"
    return {"id": name, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def message_answer(*content: Document, stop: str = "end_turn", **members: Any) -> Document:
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content or ({"type": "text", "text": "Hello, world."},)),
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {"input_tokens": 9, "output_tokens": 4},
        **members,
    }


def response_message(text: str = "Hello, world.", **part: Any) -> Document:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": [], **part}]
    name = "msg_67ccd2bf17f0819081ff3bb2cf6508e6"
    return {"id": name, "type": "message", "status": "completed", "role": "assistant", "content": content}


def response_answer(*output: Document, **members: Any) -> Document:
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1_741_476_542,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-x",
        "output": list(output or (response_message(),)),
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 13,
        },
        **members,
    }


def plain(document: Document | bytes) -> PlainReply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return PlainReply(body=body, usage=USAGE, answered_model="m")


def framed(events: Iterable[Document], shape: Shape) -> bytes:
    """Return events as they come off the wire."""
    sent = ""
    for event in events:
        name = "" if shape == "chat" else f"event: {event['type']}\n"
        sent += f"{name}data: {json.dumps(event)}\n\n"
    return (sent + (DONE if shape == "chat" else "")).encode()


def events_in(sent: bytes) -> list[Document]:
    """Return the events of a stream, decoded, without the `[DONE]` that must end one of chat."""
    payloads = [line[6:] for line in sent.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


async def read_all(stream: StreamReply) -> list[bytes]:
    blocks = []
    while (block := await stream.block()) is not None:
        blocks.append(block)
    return blocks


class Sent:
    """A stream of blocks that are there already."""

    headers: Sequence[tuple[bytes, bytes]] = ((b"x", b"y"),)
    response_id = "r"
    final = b"f"

    def __init__(self, *blocks: bytes | Exception, dropped: tuple[str, ...] | None = None) -> None:
        self._blocks = list(blocks)
        self.dropped = dropped
        self.is_closed = False

    @property
    def is_ended(self) -> bool:
        return not self._blocks

    async def block(self) -> bytes | None:
        if not self._blocks:
            return None
        block = self._blocks.pop(0)
        if isinstance(block, Exception):
            raise block
        return block

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        self.is_closed = True


def golden() -> list[tuple[str, Shape, Document, list[Document]]]:
    """Return the answers that are written down together with their streams: name, shape, answer, events."""
    found: list[tuple[str, Shape, Document, list[Document]]] = []
    for path in sorted(_GOLDEN.glob("*/*.json")):
        example = json.loads(path.read_text(encoding="utf-8"))
        pairs = (("answer", "events"), ("translated_answer", "translated_events"), ("answer", "stream"),
                 ("answered", "streamed"))  # fmt: skip
        for answer, events in pairs:
            if answer in example and isinstance(example.get(events), list):
                found.append((f"{path.stem} {answer}", _shape(example[answer]), example[answer], example[events]))
    return found


def _shape(answer: Document) -> Shape:
    kind = answer.get("object")
    return "chat" if kind == "chat.completion" else "responses" if kind == "response" else "messages"
