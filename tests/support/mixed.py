"""One gateway before upstreams of every kind, and the documents they answer with."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.live import UNASSISTED, UPSTREAM_KEY, LiveGateway
from tests.support.scripted_upstream import Answer as Scripted
from tests.support.scripted_upstream import ScriptedUpstream, stream
from tests.support.wire import Answer, WireClient, request_bytes

RED: Final = "key-of-the-red-team-0123456789"
RED_2: Final = "second-key-of-the-red-team-0123"
BLUE: Final = "key-of-the-blue-team-0123456789"
ANTHROPIC_KEY: Final = "anthropic-credential-0123456789abcdef"

PRICE: Final = {"input": 1.0, "output": 2.0}

OPENAI: Final = {
    "one": ["chat", "responses", "embeddings", "completions"],
    "two": ["chat", "responses"],
    "chat": ["chat"],
    "only": ["responses"],
    "both": ["chat", "messages"],
}
"""The features of each OpenAI-shaped upstream; its model has the same name, and is `<name>-model` there."""


def mixed_settings(urls: dict[str, str], **sections: Any) -> dict[str, Any]:
    """Return settings with every upstream, two teams, and a tier of models of two upstreams."""
    upstreams: dict[str, Any] = {
        name: {"kind": "openai", "base_url": urls[name] + "/v1", "api_key": UPSTREAM_KEY, "features": features}
        for name, features in OPENAI.items()
    }
    upstreams["claude"] = {"kind": "anthropic", "base_url": urls["claude"], "api_key": ANTHROPIC_KEY}
    models: dict[str, Any] = {
        name: {"upstream": name, "model": f"{name}-model", "price": PRICE} for name in (*OPENAI, "claude")
    }
    models["one-more"] = {"upstream": "one", "price": PRICE}
    models["claude"]["max_output_tokens"] = 777
    return {
        "upstreams": upstreams,
        "models": models,
        "router": {
            **UNASSISTED,
            "tiers": {"simple": ["one", "two"], "medium": ["two", "one"]},
            "default_tier": "simple",
        },
        "relay": {"upstream": "one"},
        "organisation": {
            "endpoints": ["*"],
            "teams": {
                "red": {"keys": [{"name": "ci", "secret": RED}, {"name": "cd", "secret": RED_2}]},
                "blue": {"keys": [{"name": "ci", "secret": BLUE}]},
            },
        },
        **sections,
    }


class Mixed:
    """The gateway and its upstreams. Use as a context manager.

    Args:
        sections: settings that replace those of `mixed_settings`.
    """

    def __init__(self, **sections: Any) -> None:
        self._sections = sections
        self._stack = ExitStack()
        self.upstreams: dict[str, ScriptedUpstream] = {}

    def __enter__(self) -> Self:
        with self._stack as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name in (*OPENAI, "claude"):
                self.upstreams[name] = stack.enter_context(ScriptedUpstream())
            urls = {name: f"http://127.0.0.1:{upstream.port}" for name, upstream in self.upstreams.items()}
            gateway = LiveGateway(folder, mixed_settings(urls, **self._sections))
            self.gateway = stack.enter_context(gateway)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def __getitem__(self, name: str) -> ScriptedUpstream:
        return self.upstreams[name]

    def reset(self) -> None:
        """Forget what was scripted and seen, for the next test."""
        for upstream in self.upstreams.values():
            upstream.reset()

    def ask(
        self,
        method: str,
        target: str,
        document: bytes | dict[str, Any] | None = None,
        *headers: tuple[str, str],
        key: str | None = RED,
    ) -> Answer:
        """Send one request on a connection of its own and return its answer."""
        with WireClient(self.gateway.address) as client:
            client.send(message(method, target, document, *headers, key=key))
            return client.answer(has_body=method != "HEAD")

    def post(self, target: str, document: bytes | dict[str, Any], *headers: tuple[str, str], key: str = RED) -> Answer:
        """Post a document."""
        return self.ask("POST", target, document, *headers, key=key)


def message(
    method: str,
    target: str,
    document: bytes | dict[str, Any] | None = None,
    *headers: tuple[str, str],
    key: str | None = RED,
) -> bytes:
    """Return a request with a key; a JSON content type is added to bodies where none is named."""
    lines = [*headers]
    if key is not None:
        lines.append(("authorization", f"Bearer {key}"))
    if document is None:
        return request_bytes(method, target, lines)
    if not any(name == "content-type" for name, _ in headers):
        lines.append(("content-type", "application/json"))
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return request_bytes(method, target, lines, body)


def named_events(*events: dict[str, Any]) -> list[bytes]:
    """Return events with their names, framed."""
    return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events]


def read_events(body: bytes) -> list[tuple[str, Any]]:
    """Return name and decoded payload of each event of a stream."""
    found = []
    for frame in body.split(b"\n\n")[:-1]:
        lines = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
        found.append((lines.get(b"event", b"").decode(), json.loads(lines[b"data"])))
    return found


# ---------------------------------------------------------------- Responses

RESPONSE_USAGE: Final = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 12,
}


def response(response_id: str = "resp_1", text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    """Return a plain response that OpenAI's client reads."""
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [content]}
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "one-model",
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": RESPONSE_USAGE,
        **fields,
    }


def response_events(response_id: str = "resp_1", text: str = "Hello.") -> list[dict[str, Any]]:
    """Return the events of a streamed response, with one nobody has heard of in the middle."""
    begun = response(response_id, output=[], status="in_progress", usage=None)
    ended = response(response_id, text)
    item = {**ended["output"][0], "content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": [], "obfuscation": "x1"},
        {"type": "response.unheard_of", "a": [1.0, None], "z": {"b": 1}},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": ended["output"][0]["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": ended["output"][0]},
        {"type": "response.completed", "response": ended},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def response_stream(response_id: str = "resp_1", text: str = "Hello.") -> Scripted:
    return stream(*named_events(*response_events(response_id, text)))


# ---------------------------------------------------------------- Messages


def claude_message(text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    """Return a plain message that Anthropic's client reads."""
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": "claude-model",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": 4},
        **fields,
    }


def claude_events(text: str = "Hello.") -> list[dict[str, Any]]:
    """Return the events of a streamed message."""
    usage = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4}
    return [
        {"type": "message_start", "message": claude_message(content=[], stop_reason=None, usage=usage)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]


def claude_stream(text: str = "Hello.") -> Scripted:
    return stream(*named_events(*claude_events(text)))


def claude_error(kind: str, words: str) -> dict[str, Any]:
    """Return an error document in Anthropic's shape."""
    return {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_upstream"}


def messages_request(model: str = "claude", content: Any = "Hi", **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": content}], **fields}


def responses_request(model: str = "one", said: Any = "Hi", **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": said, **fields}
