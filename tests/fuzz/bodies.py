"""Every way in which the fuzzer spoils a document: its bytes, its values, its names."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

Document = dict[str, Any]
Rng = random.Random

BODY_LIMIT: Final = 2**20
"""The gateway's limit in bytes."""


def spoiled(rng: Rng, document: Document) -> tuple[str, bytes]:
    """Return a document changed in one way, and that way's name."""
    (change,) = rng.choices(list(_CHANGES), list(_CHANGES.values()))
    try:
        return change.__name__.strip("_"), change(rng, document)
    except RecursionError:  # it is deep already
        return "deep", b"[" * 10_000


def written(rng: Rng, document: Document) -> bytes:
    """Return a document as JSON, in one of the ways libraries write it."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), None)))
    return text.encode(errors="backslashreplace")


# Changes of its bytes.


def _flip_bits(rng: Rng, document: Document) -> bytes:
    body = bytearray(written(rng, document))
    for _ in range(rng.randint(1, 8)):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def _truncate(rng: Rng, document: Document) -> bytes:
    body = written(rng, document)
    return body[: rng.randrange(len(body))]


def _insert(rng: Rng, document: Document) -> bytes:
    body = written(rng, document)
    at = rng.randrange(len(body) + 1)
    noise = rng.choice(
        (rng.randbytes(rng.randint(1, 64)), b"\0", b"\xef\xbb\xbf", b"//", b",", b'"', b"\\", b"}", b"]")
    )
    return body[:at] + noise + body[at:]


def _splice(rng: Rng, document: Document) -> bytes:
    one, two = written(rng, document), written(rng, document)
    return one[: rng.randrange(len(one))] + two[rng.randrange(len(two)) :]


def _repeat(rng: Rng, document: Document) -> bytes:
    body = written(rng, document)
    start = rng.randrange(len(body))
    end = rng.randrange(start, len(body)) + 1
    return body[:end] + body[start:end] * rng.choice((1, 2, 50)) + body[end:]


def _invalid_utf8(rng: Rng, document: Document) -> bytes:
    body = written(rng, document)
    at = rng.randrange(len(body))
    bad = rng.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xfe\xff"))
    return body[:at] + bad + body[at + rng.randint(0, 1) :]


def _odd_document(rng: Rng, document: Document) -> bytes:
    text = written(rng, document)
    return rng.choice(
        (b"", b" ", b"null", b"[]", b"{}", b'"x"', b"0", b"true", b"NaN", b"[" + text + b"]", text + text,
         b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"), text.decode().encode("utf-32"), b"\0" * 100,
         text + b"\0", b" " * 50_000 + text, text + b"\n" * 50_000, b"data: " + text, text.replace(b'"', b"'"),
         b"{" * 50_000, b'{"model":"echo-simple","messages":[' + b"{}," * 1000 + b"{}]}", b'{"model":"auto"}',
         b"x" * (BODY_LIMIT + 1))
    )  # fmt: skip


# Changes of the document.


def _places(node: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """List every container with a key or index into it."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found.append((node, key))
        _places(value, found)
    return found


def _place(rng: Rng, document: Document) -> tuple[Any, Any]:
    """Choose a place; that of the model's name less often, as a wrong one ends a request early."""
    places = _places(document, []) or [({"": None}, "")]
    chosen = rng.choice(places)
    return rng.choice(places) if chosen[1] == "model" else chosen


_MARK: Final = "@mark@"


def _with_text_at(rng: Rng, document: Document, text: bytes) -> bytes:
    """Put JSON text, valid or not, in the place of some value."""
    document = copy.deepcopy(document)
    container, key = _place(rng, document)
    container[key] = _MARK
    return json.dumps(document).encode().replace(b'"%b"' % _MARK.encode(), text, 1)


def _deep(rng: Rng, document: Document) -> bytes:
    levels = rng.choice((10, 500, 990, 1_010, 5_000, 10_000, 100_000))
    start, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"content":', b"}]")))
    core = rng.choice((b"1", b"", b'"x"', b"null"))
    text = start * levels + core + end * (levels if rng.random() < 0.8 else levels - 1)
    return text if rng.random() < 0.2 else _with_text_at(rng, document, text)


def _number(rng: Rng, document: Document) -> bytes:
    return _with_text_at(
        rng,
        document,
        rng.choice(
            (b"1e400", b"-1e400", b"1e-400", b"9" * 5000, b"-" + b"9" * 400, b"0." + b"3" * 5000, b"NaN", b"Infinity",
             b"-Infinity", b"-0", b"01", b"1.", b".5", b"+1", b"0x10", b"1_000", b"1e", b"18446744073709551616",
             b"9223372036854775808", b"-9223372036854775809", b"1e308", b"4.9e-324", b"2.5", b"-1", b"1" * 100_000)
        ),
    )  # fmt: skip


_JUNK: Final[tuple[Any, ...]] = (None, True, False, 0, -1, 2.5, "", "x", [], {}, [[]], [None], [{}], {"type": None},
    {"": ""}, "auto",
                "a" * 10_000, ["user"], 2**53, {"role": "user"}, [1, "a", None],
    10**30, {"type": "text"}, [{"type": []}])  # fmt: skip


_KINDS: Final = (
    "", "x", "system", "developer", "user", "assistant", "tool", "function", "custom", "text", "image_url", "image",
    "input_audio", "file", "refusal", "document", "tool_use", "tool_result", "thinking", "redacted_thinking",
    "server_tool_use", "search_result", "message", "input_text", "output_text", "input_image", "input_file",
    "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "item_reference", "compaction", "web_search_call", "web_search", "mcp", "local_shell", "json_schema",
    "json_object", "enabled", "adaptive", "any", "none", "required", "allowed_tools", "base64", "url", "content_block",
    "error", "ping", "message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta",
    "content_block_stop", "text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta",
    "response.created", "response.completed", "response.failed", "response.incomplete", "response.output_item.added",
    "response.output_item.done", "response.output_text.delta", "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta", "response.content_part.added", "stop", "length", "tool_calls",
    "max_tokens",
)  # fmt: skip
_MEMBERS: Final = (
    "role", "type", "content", "text", "name", "tool_calls", "tool_call_id", "function", "arguments", "input", "output",
    "id", "call_id", "status", "source", "media_type", "data", "url", "image_url", "file", "file_id", "file_data",
    "filename", "thinking", "signature", "reasoning_content", "thinking_blocks", "refusal", "annotations", "citations",
    "cache_control", "is_error", "tool_use_id", "parameters", "input_schema", "strict", "schema", "format",
    "json_schema", "response_format", "tool_choice", "tools", "parallel_tool_calls", "disable_parallel_tool_use",
    "system", "instructions", "previous_response_id", "conversation", "store", "include", "reasoning",
    "reasoning_effort", "effort", "summary", "encrypted_content", "budget_tokens", "max_tokens", "max_output_tokens",
    "max_completion_tokens", "n", "stop", "stop_sequences", "top_p", "top_k", "temperature", "metadata", "user_id",
    "user", "stream_options", "include_usage", "logprobs", "top_logprobs", "verbosity", "index", "delta", "choices",
    "usage", "finish_reason", "stop_reason", "item", "part", "output_index", "content_index", "item_id", "response",
    "error", "code", "message", "input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "echo",
)  # fmt: skip


def _wrong_type(rng: Rng, document: Document) -> bytes:
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        container, key = _place(rng, document)
        container[key] = copy.deepcopy(rng.choice(_JUNK))
    return json.dumps(document).encode()


def _rename_or_remove(rng: Rng, document: Document) -> bytes:
    document = copy.deepcopy(document)
    container, key = _place(rng, document)
    value = container.pop(key)
    if isinstance(container, dict) and rng.random() < 0.6:
        container[
            rng.choice((str(key).upper(), key + "\0", key + " ", "", "x" * 70_000, "\ud83d", "__proto__", "Model"))
        ] = value
    return json.dumps(document).encode()


def _odd_kind(rng: Rng, document: Document) -> bytes:
    """Say of something that it is something else: another role, part, block, item, tool or event."""
    document = copy.deepcopy(document)
    told = [(container, key) for container, key in _places(document, []) if key in ("type", "role")]
    for container, key in rng.sample(told, min(len(told), rng.randint(1, 2))):
        container[key] = rng.choice(_KINDS)
    return json.dumps(document).encode()


def _moved(rng: Rng, document: Document) -> bytes:
    """Put a copy of one value in the place of another, or beside it."""
    document = copy.deepcopy(document)
    container, key = _place(rng, document)
    value = copy.deepcopy(container[key])
    container, key = _place(rng, document)
    if isinstance(container, list) and rng.random() < 0.5:
        container.insert(key, value)
    else:
        container[key] = value
    return json.dumps(document).encode()


def _extra(rng: Rng, document: Document) -> bytes:
    """Add members that mean something elsewhere."""
    document = copy.deepcopy(document)
    places = [document] + [c[k] for c, k in _places(document, []) if isinstance(c[k], dict)]
    for _ in range(rng.randint(1, 4)):
        rng.choice(places)[rng.choice(_MEMBERS)] = copy.deepcopy(rng.choice((*_JUNK, *_KINDS)))
    return json.dumps(document).encode()


def _surrogate(rng: Rng, document: Document) -> bytes:
    half = rng.choice(
        (rb"\ud83d", rb"\ude00", rb"\uD83D\uD83D", rb"\ude00\ud83d", rb"\ud83d\u0041", rb"\u0000", rb"\ud83")
    )
    return _with_text_at(
        rng, document, b'"' + rng.choice((b"", b"echo-", rb"\\")) + half + rng.choice((b"", b"x", b"\\")) + b'"'
    )


def _duplicate_key(rng: Rng, document: Document) -> bytes:
    name = rng.choice(
        (
            "model",
            "messages",
            "input",
            "stream",
            "n",
            "max_tokens",
            "tools",
            "user",
            "unknown",
            "role",
            "content",
            "type",
            "system",
            "store",
            "id",
        )
    )
    spelled = rng.choice(
        (
            name,
            name.upper(),
            name.title(),
            "".join(f"\\u{ord(c):04x}" for c in name),
            f"\\u{ord(name[0]):04x}{name[1:]}",
        )
    )
    member = b'"%b":%b' % (spelled.encode(), json.dumps(rng.choice(_JUNK)).encode())
    body = written(rng, document)
    if rng.random() < 0.5:
        return b"{" + member + b"," + body[1:]
    starts = [at for at, byte in enumerate(body) if byte == ord("{")]
    at = rng.choice(starts)
    return body[: at + 1] + member + b"," + body[at + 1 :]


_CHANGES: Final[dict[Callable[[Rng, Document], bytes], int]] = {
    _flip_bits: 10, _truncate: 6, _insert: 8, _splice: 6, _repeat: 5, _invalid_utf8: 6, _odd_document: 5, _deep: 5,
    _number: 6, _wrong_type: 22, _rename_or_remove: 8, _surrogate: 6, _duplicate_key: 8, _odd_kind: 10, _moved: 10,
    _extra: 10,
}  # fmt: skip
