"""Sound requests to every route, which the fuzzer starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from gateway.edge.relay import ENDPOINTS
from tests.fuzz.bodies import Document, Rng

KEY: Final = b"sk-fuzz-0123456789abcdef"
"""The key that the gateway under test knows."""

PLAIN_KEY: Final = b"sk-fuzz-without-endpoints"
"""The key of a team that may use no relayed endpoint."""

ADMIN_KEY: Final = b"sk-admin-0123456789abcdef"

STORED_ID: Final = "resp_" + "f" * 32
"""Stands for the id of a stored response, which only the run knows; as long as a real one."""

Kind = Literal[
    "chat", "responses", "input_tokens", "compact", "messages", "count_tokens", "embeddings", "completions",
    "models", "anthropic_models", "stored", "relayed", "admin", "open",
]  # fmt: skip
"""What a request is for, and so what its answer must look like."""

ANTHROPIC: Final = frozenset({"messages", "count_tokens", "anthropic_models"})
"""Kinds whose errors are in Anthropic's shape."""


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that makes sense.

    Attributes:
        kind: what it is for.
        path: its path and query.
        document: its body, or None.
        lines: header lines besides the usual ones.
        statuses: those it may be answered with as it is.
        upstream: who answers it, as its model says.
    """

    kind: Kind
    path: bytes
    method: bytes = b"POST"
    document: Document | None = None
    lines: tuple[bytes, ...] = ()
    statuses: tuple[int, ...] = (200,)
    upstream: str = ""


_PARAMETERS: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_WEATHER: Final = {"type": "function", "function": {"name": "weather", "parameters": _PARAMETERS}}
_CALLED: Final = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    ],
}
_PERSON: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_IMAGE: Final = "data:image/png;base64,iVBORw0KGgo="


def _said(content: Any, **fields: Any) -> Document:
    return {"messages": [{"role": "user", "content": content}], **fields}


CHATS: Final[tuple[Document, ...]] = (
    _said("Say hello."),
    _said("Zażółć gęślą jaźń 🙂", stream=True, stream_options={"include_usage": True}),
    _said("Count to three.", stream=True, n=2, max_tokens=16, temperature=0.2, user="u-1"),
    _said("Use the weather tool.", tools=[_WEATHER], tool_choice="required", parallel_tool_calls=True),
    _said("Use weather.", tools=[_WEATHER], tool_choice="auto", stream=True),
    _said(
        "A person.",
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": _PERSON}},
        max_completion_tokens=64,
        seed=7,
        reasoning_effort="low",
    ),
    _said(
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": _IMAGE, "detail": "low"}},
        ],
        metadata={"a": "b"},
        stop=["\n"],
    ),
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "And now?", "name": "ann"},
            _CALLED,
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
        ],
        "tools": [_WEATHER],
    },
)

_FUNCTION: Final = {"type": "function", "name": "weather", "parameters": _PARAMETERS, "strict": True}
RESPONSES: Final[tuple[Document, ...]] = (
    {"input": "Say hello."},
    {"input": "Say hello.", "stream": True, "store": False, "instructions": "Be brief.", "max_output_tokens": 64},
    {
        "input": [
            {"role": "developer", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": _IMAGE, "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                ],
            },
        ],
        "text": {"format": {"type": "json_schema", "name": "person", "schema": _PERSON}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
    },
    {
        "input": [
            {"type": "message", "role": "user", "content": "The weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Sunny."}]},
            {"type": "message", "role": "user", "content": "And tomorrow?"},
        ],
        "tools": [_FUNCTION, {"type": "custom", "name": "note"}],
        "tool_choice": {"type": "function", "name": "weather"},
        "stream": True,
    },
    {"input": "And then?", "previous_response_id": STORED_ID, "include": ["reasoning.encrypted_content"]},
    {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "Go on."}], "store": False},
)

_TOOL: Final = {"name": "weather", "description": "Tells the weather.", "input_schema": _PARAMETERS}
MESSAGES: Final[tuple[Document, ...]] = (
    _said("Say hello.", max_tokens=64),
    _said("Say hello.", max_tokens=64, stream=True, system=[{"type": "text", "text": "Be brief."}]),
    _said(
        [
            {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words."}},
        ],
        max_tokens=2048,
        thinking={"type": "enabled", "budget_tokens": 1024},
        metadata={"user_id": "u-1"},
        stream=True,
    ),
    {
        "max_tokens": 64,
        "system": "Be brief.",
        "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": "The weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Sunny."}]},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [_TOOL],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
)

EMBEDDINGS: Final[tuple[Document, ...]] = (
    {"input": "Say hello."},
    {"input": ["One.", "Two."], "dimensions": 8, "encoding_format": "base64", "user": "u-1"},
    {"input": [[1, 2, 3], [4]]},
    {"input": [1, 2, 3], "encoding_format": "float"},
)

COMPLETIONS: Final[tuple[Document, ...]] = (
    {"prompt": "Once upon a time"},
    {"prompt": ["One.", "Two."], "n": 2, "max_tokens": 16, "stream": True, "stream_options": {"include_usage": True}},
    {"prompt": [1, 2, 3], "suffix": "The end.", "echo": True, "best_of": 2, "logprobs": 1},
)

CONVERSED: Final = {
    "echo-simple": "echo", "auto": "echo", "nick": "echo",
    "by-chat": "chat", "by-messages": "messages", "by-responses": "responses", "by-openai": "openai",
}  # fmt: skip
"""Models that hold conversations, with the shape that their upstream speaks; `openai` speaks all of OpenAI's."""

TEXTED: Final = {"echo-simple": "echo", "by-openai": "openai"}
"""Models that embed and continue texts."""

_OF_RESPONSES: Final[tuple[Kind, ...]] = ("responses", "input_tokens", "compact")
SPOKEN: Final[Mapping[str, tuple[Kind, ...]]] = {
    "echo": ("chat", "embeddings", "completions"),
    "openai": ("chat", *_OF_RESPONSES, "embeddings", "completions"),
    "chat": ("chat",),
    "responses": _OF_RESPONSES,
    "messages": ("messages", "count_tokens"),
}
"""What each upstream answers by itself."""

_MODELS: Final = (b"", b"/echo-simple", b"/auto", b"/by-messages")
_QUERIES: Final = (b"", b"?limit=3", b"?limit=2&after_id=auto", b"?limit=1000&before_id=nick&x=%ff")
_STORED: Final = (
    (b"GET", b""), (b"GET", b"?stream=false"), (b"GET", b"/input_items"), (b"GET", b"/input_items?limit=1&order=asc"),
    (b"GET", b"/input_items?after=msg_1"), (b"DELETE", b""),
)  # fmt: skip
_BELOW: Final = (
    (b"GET", b""), (b"POST", b""), (b"GET", b"/file-1"), (b"GET", b"/file-1/content?a=b"), (b"DELETE", b"/file-1"),
    (b"POST", b"/generations"), (b"POST", b"/a/b/c"),
)  # fmt: skip
_OPEN: Final = (b"/livez", b"/readyz", b"/metrics", b"/schema")


def any_seed(rng: Rng) -> Seed:
    """Return a request to some route."""
    (make,) = rng.choices(list(_ROUTES), list(_ROUTES.values()))
    return make(rng)


def _asked(rng: Rng, kind: Kind, path: bytes, documents: Sequence[Document], models: dict[str, str]) -> Seed:
    model = rng.choice(list(models))
    document = {"model": model, **rng.choice(documents)}
    upstream = models[model]
    # Another shape may have no words for some of it.
    is_own = kind in SPOKEN[upstream]
    return Seed(
        kind=kind,
        path=(b"/v1" if rng.random() < 0.9 else b"") + path,
        document=document,
        upstream=upstream,
        statuses=(200,) if is_own else (200, 400),
    )


def _chat(rng: Rng) -> Seed:
    return _asked(rng, "chat", b"/chat/completions", CHATS, CONVERSED)


def _responses(rng: Rng) -> Seed:
    seed = _asked(rng, "responses", b"/responses", RESPONSES, CONVERSED)
    continues = seed.document is not None and "previous_response_id" in seed.document
    # What it continues may be deleted by now, or be another upstream's.
    return msgspec.structs.replace(seed, statuses=(200, 400)) if continues else seed


def _input_tokens(rng: Rng) -> Seed:
    seed = _asked(rng, "input_tokens", b"/responses/input_tokens", RESPONSES[:4], CONVERSED)
    return msgspec.structs.replace(seed, statuses=(200, 400))


def _compact(rng: Rng) -> Seed:
    seed = _asked(rng, "compact", b"/responses/compact", RESPONSES[:4], CONVERSED)
    return msgspec.structs.replace(seed, statuses=(200, 400))


def _messages(rng: Rng) -> Seed:
    return _asked(rng, "messages", b"/messages", MESSAGES, CONVERSED)


def _count_tokens(rng: Rng) -> Seed:
    documents = [{name: value for name, value in d.items() if name != "max_tokens"} for d in MESSAGES]
    return _asked(rng, "count_tokens", b"/messages/count_tokens", documents, CONVERSED)


def _embeddings(rng: Rng) -> Seed:
    return _asked(rng, "embeddings", b"/embeddings", EMBEDDINGS, TEXTED)


def _completions(rng: Rng) -> Seed:
    return _asked(rng, "completions", b"/completions", COMPLETIONS, TEXTED)


def _models(rng: Rng) -> Seed:
    path = b"/v1/models" + rng.choice(_MODELS) + rng.choice(_QUERIES)
    if rng.random() < 0.5:
        return Seed(kind="models", method=b"GET", path=path)
    return Seed(kind="anthropic_models", method=b"GET", path=path, lines=(b"anthropic-version: 2023-06-01",))


def _stored(rng: Rng) -> Seed:
    method, rest = rng.choice(_STORED)
    path = b"/v1/responses/" + STORED_ID.encode() + rest
    return Seed(kind="stored", method=method, path=path, statuses=(200, 404))


def _relayed(rng: Rng) -> Seed:
    method, rest = rng.choice(_BELOW)
    family = rng.choice(ENDPOINTS)
    admitted = rng.random() < 0.8
    statuses = (200, 404) if family == "conversations" else (200,)  # they belong to those who made them
    return Seed(
        kind="relayed",
        method=method,
        path=b"/v1/" + family.encode() + rest,
        document={"purpose": "x", "input": "y"} if method == b"POST" else None,
        lines=() if admitted else (b"authorization: Bearer " + PLAIN_KEY,),
        statuses=statuses if admitted else (403, 404),
    )


def _admin(rng: Rng) -> Seed:
    lines = (b"authorization: Bearer " + ADMIN_KEY,)
    if rng.random() < 0.4:
        document = {"team": "fuzz", "name": f"k{rng.randrange(10**9)}", "models": ["auto"], "metadata": {"a": "b"}}
        return Seed(kind="admin", path=b"/admin/keys", document=document, lines=lines, statuses=(201, 400))
    if rng.random() < 0.5:
        return Seed(kind="admin", method=b"GET", path=b"/admin/keys", lines=lines)
    return Seed(kind="admin", method=b"DELETE", path=b"/admin/keys/key_0", lines=lines, statuses=(204, 404))


def _open(rng: Rng) -> Seed:
    return Seed(kind="open", method=b"GET", path=rng.choice(_OPEN))


_ROUTES: Final = {
    _chat: 18, _responses: 22, _messages: 20, _count_tokens: 4, _input_tokens: 4, _compact: 2, _embeddings: 6,
    _completions: 6, _models: 4, _stored: 5, _relayed: 6, _admin: 2, _open: 1,
}  # fmt: skip
"""Each route with its share."""


def http(
    body: bytes, *lines: bytes, method: bytes = b"POST", path: bytes = b"/v1/chat/completions", length: bool = True
) -> bytes:
    """Return a request as bytes; lines of the usual names replace the usual ones."""
    names = {line.partition(b":")[0].strip().lower() for line in lines}
    usual = [b"host: fuzz.test", b"content-type: application/json", b"authorization: Bearer " + KEY]
    head = [line for line in usual if line.partition(b":")[0] not in names] + list(lines)
    if length:
        head.append(b"content-length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(head), body)


def as_request(seed: Seed, body: bytes | None = None) -> bytes:
    """Return a seed as bytes, with another body where one is given."""
    if body is None:
        body = b"" if seed.document is None else json.dumps(seed.document).encode()
    return http(body, *seed.lines, method=seed.method, path=seed.path)
