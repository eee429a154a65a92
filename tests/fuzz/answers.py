"""What upstreams say: sound answers in every shape, and everything a broken or hostile upstream might say instead."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from tests.fuzz.bodies import Document, Rng, spoiled

Shape = Literal[
    "chat", "responses", "messages", "completions", "embeddings", "counts", "input_tokens", "compact", "items",
    "deleted", "any",
]  # fmt: skip
"""What an upstream answers; `any` is what is only passed on."""

ABORT: Final = "abort"
"""Cut the connection (RST)."""

STALL: Final = "stall"
"""Say nothing until the gateway has left."""

Step = bytes | str
"""Bytes, `ABORT` or `STALL`."""


class Said(msgspec.Struct, frozen=True):
    """One answer of an upstream: what it does, in order."""

    steps: tuple[Step, ...]


_CHAT_USAGE: Final = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
_USAGE: Final = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
_DETAILED: Final = {
    **_USAGE, "input_tokens_details": {"cached_tokens": 1}, "output_tokens_details": {"reasoning_tokens": 2}
}  # fmt: skip
_ARGUMENTS: Final = '{"city":"Rome"}'
_CALL: Final = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": _ARGUMENTS}}

_CHAT: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant", "content": "Sunny.", "refusal": None, "reasoning_content": "Hm.",
                "tool_calls": [_CALL],
            },
            "finish_reason": "tool_calls",
            "logprobs": None,
        }
    ],
    "usage": _CHAT_USAGE,
}  # fmt: skip

_SUMMARY: Final = {"type": "summary_text", "text": "Hm."}
_REASONING: Final = {
    "type": "reasoning", "id": "rs_1", "summary": [_SUMMARY], "encrypted_content": "c2ln"
}  # fmt: skip
_WORDS: Final = {"type": "output_text", "text": "Sunny.", "annotations": [], "logprobs": []}
_SPOKEN: Final = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [_WORDS]}
_CALLED: Final = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": _ARGUMENTS,
    "status": "completed",
}  # fmt: skip
_RESPONSE: Final = {
    "id": "resp_" + "0" * 32,
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "model": "m",
    "output": [_REASONING, _SPOKEN, _CALLED],
    "incomplete_details": None,
    "error": None,
    "usage": _DETAILED,
}

_FIRST_USAGE: Final = {"input_tokens": 5, "output_tokens": 1}
_THOUGHT: Final = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
_MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        _THOUGHT,
        {"type": "text", "text": "Sunny.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 1},
}

PLAIN: Final[Mapping[Shape, Document]] = {
    "chat": _CHAT,
    "responses": _RESPONSE,
    "messages": _MESSAGE,
    "completions": {
        "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": "m", "usage": _CHAT_USAGE,
        "choices": [{"index": 0, "text": " there was", "finish_reason": "stop", "logprobs": None}],
    },
    "embeddings": {
        "object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    },
    "counts": {"input_tokens": 5},
    "input_tokens": {"object": "response.input_tokens", "input_tokens": 5},
    "compact": {"id": "resp_2", "object": "response.compaction", "output": [_SPOKEN], "usage": _USAGE},
    "items": {"object": "list", "data": [_SPOKEN], "first_id": "msg_1", "last_id": "msg_1", "has_more": False},
    "deleted": {"id": "resp_1", "object": "response", "deleted": True},
    "any": {"id": "conv_1", "object": "conversation", "data": []},
}  # fmt: skip
"""Sound answers."""


def _chunk(delta: Document, finish: str | None = None) -> Document:
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
    return {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _called(**function: str) -> Document:
    return {"tool_calls": [{"index": 0, "function": function}]}


def _numbered(events: Sequence[Document]) -> list[Document]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _of_item(kind: str, index: int, item_id: str, **fields: Any) -> Document:
    return {"type": f"response.{kind}", "output_index": index, "item_id": item_id, **fields}


def _item(kind: str, index: int, item: Document) -> Document:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": item}


_STARTED: Final = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}

EVENTS: Final[Mapping[Shape, Sequence[Document]]] = {
    "chat": [
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"reasoning_content": "Hm."}),
        _chunk({"content": "Sun"}),
        _chunk({"content": "ny."}),
        _chunk({"tool_calls": [{**_CALL, "index": 0, "function": {"name": "weather", "arguments": ""}}]}),
        _chunk(_called(arguments='{"city":')),
        _chunk(_called(arguments='"Rome"}')),
        _chunk({}, "tool_calls"),
        {**_chunk({}), "choices": [], "usage": _CHAT_USAGE},
    ],
    "completions": [
        {**PLAIN["completions"], "usage": None},
        {**PLAIN["completions"], "choices": [], "usage": _CHAT_USAGE},
    ],
    "responses": _numbered(
        [
            {"type": "response.created", "response": _STARTED},
            {"type": "response.in_progress", "response": _STARTED},
            _item("added", 0, {**_REASONING, "summary": []}),
            _of_item("reasoning_summary_part.added", 0, "rs_1", summary_index=0, part={**_SUMMARY, "text": ""}),
            _of_item("reasoning_summary_text.delta", 0, "rs_1", summary_index=0, delta="Hm."),
            _of_item("reasoning_summary_text.done", 0, "rs_1", summary_index=0, text="Hm."),
            _item("done", 0, _REASONING),
            _item("added", 1, {**_SPOKEN, "content": [], "status": "in_progress"}),
            _of_item("content_part.added", 1, "msg_1", content_index=0, part={**_WORDS, "text": ""}),
            _of_item("output_text.delta", 1, "msg_1", content_index=0, delta="Sun"),
            _of_item("output_text.delta", 1, "msg_1", content_index=0, delta="ny."),
            _of_item("output_text.done", 1, "msg_1", content_index=0, text="Sunny."),
            _of_item("content_part.done", 1, "msg_1", content_index=0, part=_WORDS),
            _item("done", 1, _SPOKEN),
            _item("added", 2, {**_CALLED, "arguments": "", "status": "in_progress"}),
            _of_item("function_call_arguments.delta", 2, "fc_1", delta=_ARGUMENTS),
            _of_item("function_call_arguments.done", 2, "fc_1", arguments=_ARGUMENTS),
            _item("done", 2, _CALLED),
            {"type": "response.completed", "response": _RESPONSE},
        ]
    ),
    "messages": [
        {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None, "usage": _FIRST_USAGE}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {**_THOUGHT, "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Sunny."}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Rome"}'}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ],
}  # fmt: skip
"""Sound streams; those of chat and completions end with `[DONE]` besides."""


def sound(shape: Shape, *, is_stream: bool) -> Said:
    """Return a sound answer."""
    if not is_stream or shape not in EVENTS:
        return _plain(json.dumps(PLAIN[shape]).encode())
    return _stream([_frame(json.dumps(event).encode(), event.get("type")) for event in EVENTS[shape]] + _last(shape))


def hostile(seed: int, number: int, shape: Shape, *, is_stream: bool) -> Said:
    """Return the hostile answer of a number; the same for the same seed."""
    rng = random.Random(f"{seed}-{number}-answer")  # noqa: S311  reproducible, not secret
    if is_stream and shape in EVENTS and rng.random() < 0.9:
        return _hostile_stream(rng, shape)
    return _hostile_plain(rng, shape)


def _head(status: int, kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()


def _plain(body: bytes, status: int = 200, kind: str = "application/json") -> Said:
    return Said((_head(status, kind, f"content-length: {len(body)}") + body,))


def _stream(pieces: Sequence[bytes], kind: str = "text/event-stream", *, last: Step = b"0\r\n\r\n") -> Said:
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
    return Said((_head(200, kind, "transfer-encoding: chunked"), *chunks, last))


def _frame(payload: bytes, name: Any = None) -> bytes:
    named = f"event: {name}\n".encode() if isinstance(name, str) else b""
    return named + b"data: " + payload + b"\n\n"


def _last(shape: Shape) -> list[bytes]:
    return [b"data: [DONE]\n\n"] if shape in ("chat", "completions") else []


_ERRORS: Final[tuple[Any, ...]] = (
    {"error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "x"}},
    {"error": {"message": 5, "type": [], "param": {}, "code": 429}},
    {"error": "No."}, {"error": None}, {"error": []}, {"error": {}}, {"detail": [{"msg": "x"}]}, {"detail": None},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}},
    {"type": "error", "error": {"type": {"a": 1}, "message": None}}, {"type": "error"},
    [{"error": {"code": 400, "message": "x", "status": "INVALID_ARGUMENT"}}], [], [[]], None, 1, "x", {},
)  # fmt: skip
_STATUSES: Final = (100, 199, 201, 202, 204, 206, 300, 302, 304, 400, 401, 402, 403, 408, 409, 413, 418, 422, 429, 451,
                    498, 499, 500, 502, 503, 504, 520, 529, 599)  # fmt: skip
_KINDS: Final = ("application/json", "text/html", "text/plain", "text/event-stream", "", "application/octet-stream",
                 "application/json; charset=utf-16", "text/event-stream; charset=utf-8")  # fmt: skip


def _hostile_plain(rng: Rng, shape: Shape) -> Said:  # noqa: PLR0911  one return a way
    document = PLAIN[shape]
    match rng.choices(range(8), (50, 14, 10, 6, 5, 5, 5, 5))[0]:
        case 0:
            return _plain(_spoiled_twice(rng, document))
        case 1:
            return _plain(json.dumps(rng.choice(_ERRORS)).encode(), rng.choice(_STATUSES), rng.choice(_KINDS))
        case 2:
            return _plain(json.dumps(rng.choice(_ERRORS)).encode(), rng.choice((200, 400, 404, 429, 500, 529)))
        case 3:
            return _plain(json.dumps(PLAIN[rng.choice(list(PLAIN))]).encode())
        case 4:
            return _plain(spoiled(rng, {"error": {"message": "No.", "type": "x", "code": "y"}})[1], 400)
        case 5:
            body = json.dumps(document).encode()
            whole = _head(200, "application/json", f"content-length: {len(body)}") + body
            return Said((whole[: rng.randrange(len(whole))], rng.choice((ABORT, ABORT, ABORT, STALL))))
        case 6:
            return _odd_framing(rng, json.dumps(document).encode())
        case _:
            body = rng.choice((b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"null", b"[]", rng.randbytes(200)))
            return _plain(body, rng.choice((200, 200, 400, 502)), rng.choice(_KINDS))


def _spoiled_twice(rng: Rng, document: Document) -> bytes:
    _, body = spoiled(rng, document)
    if rng.random() < 0.4:
        try:
            changed = json.loads(body)
        except (ValueError, RecursionError):
            return body
        if isinstance(changed, dict) and changed:
            return spoiled(rng, changed)[1]
    return body


def _odd_framing(rng: Rng, body: bytes) -> Said:
    framings = (
        "content-length: -1", "content-length: x", f"content-length: {len(body)}\r\ncontent-length: 1",
        "transfer-encoding: gzip", "content-encoding: gzip\r\ncontent-length: 3", "connection: close",
        f"content-length: {len(body)}\r\nx: " + "y" * 70_000, "content-length: " + "9" * 30,
        "transfer-encoding: chunked",
    )  # fmt: skip
    raw = (b"HTTP/9.9 200 OK\r\n\r\n", b"\0" * 50, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200\r\nno colon\r\n\r\n", b"",
           b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n", body)  # fmt: skip
    if rng.random() < 0.3:
        return Said((rng.choice(raw), ABORT))
    return Said((_head(200, "application/json", rng.choice(framings)) + body, ABORT))


def _hostile_stream(rng: Rng, shape: Shape) -> Said:
    events = [dict(event) for event in EVENTS[shape]]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        _reorder(rng, events, shape)
    pieces = [_frame(json.dumps(event).encode(), event.get("type")) for event in events] + _last(shape)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        _spoil_event(rng, pieces, events)
    return _sent(rng, pieces)


def _reorder(rng: Rng, events: list[Document], shape: Shape) -> None:
    """Drop, repeat, swap, add or forge events."""
    at = rng.randrange(len(events)) if events else 0
    foreign = EVENTS[rng.choice(list(EVENTS))]
    match rng.randrange(8):
        case 0 if events:
            del events[at]
        case 1 if events:
            events.insert(rng.randrange(len(events)), events[at])
        case 2:
            rng.shuffle(events)
        case 3:
            events.insert(at, rng.choice(foreign))
        case 4:
            error = rng.choice(_ERRORS)
            events.insert(at, error if isinstance(error, dict) else {"error": error})
        case 5:
            del events[at:]
        case 6:
            events += EVENTS[shape]
        case _:
            events[at:] = [{**event, "index": rng.choice((0, 1, 99, -1))} for event in events[at:]]


def _spoil_event(rng: Rng, pieces: list[bytes], events: list[Document]) -> None:
    if not events:
        return
    at = rng.randrange(len(events))
    payload = spoiled(rng, events[at])[1][: 2**19]
    name = rng.choice((events[at].get("type"), events[at].get("type"), None, "x", "error", "done\r\ndata: {}"))
    pieces[at] = _frame(payload, name)


def _sent(rng: Rng, pieces: list[bytes]) -> Said:  # noqa: PLR0911  one return a way
    """Send a stream whole, or cut, or framed as few would."""
    text = b"".join(pieces)
    match rng.choices(range(7), (60, 8, 8, 8, 6, 5, 5))[0]:
        case 0:
            return _stream(pieces)
        case 1:
            ends: tuple[Step, ...] = (ABORT, b"0\r\n\r\n", b"", b"zz\r\n", STALL) if rng.random() < 0.2 else (ABORT,)
            return _stream([text[: rng.randrange(len(text) + 1)]], last=rng.choice(ends))
        case 2:
            return _stream([text.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\n: c\n", b"\n\r")))])
        case 3:
            size = rng.choice((1, 7, 64))
            return _stream([text[at : at + size] for at in range(0, min(len(text), 4000 * size), size)])
        case 4:
            return _stream(pieces, rng.choice(_KINDS))
        case 5:
            return _stream([b"\xef\xbb\xbf" + text.replace(b"data: ", b"data:")])
        case _:
            return _stream([*pieces, rng.choice((b"data: {}\n\n", b"data: x", b"\n\n\n", b"event: x\n\n"))])
