"""A Message as its events (docs.claude.com, "Streaming Messages", 2026-11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.answers.reading import Document, an_object, has_more_than
from gateway.answers.rendering.base import How, argument_pieces, json_of, named_event, pieces

_OF_MESSAGE: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_OF_BLOCK: Final = {
    "text": frozenset({"type", "text"}),
    "tool_use": frozenset({"type", "id", "name", "input", "caller"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_TEXTS: Final = {"text": ("text",), "thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
"""Members of blocks that must be texts."""

_OF_END: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
                  "output_tokens_details", "server_tool_use")  # fmt: skip
"""What the last report of usage has of the whole one."""


class MessagesRenderer:
    """Renders Messages, thinking with its signatures too.

    Those with citations or results of hosted tools it does not.
    """

    def says_all(self, document: Document) -> bool:
        """Tell whether events would say it all; see `Renderer.says_all`."""
        content = document.get("content")
        if has_more_than(document, _OF_MESSAGE) or not isinstance(content, list):
            return False
        return all(isinstance(block, dict) and _says_all(block) for block in content)

    def events(self, document: Document, how: How, *, wants_usage: bool) -> Iterator[bytes]:
        """Yield the events; see `Renderer.events`. Usage is always told."""
        del wants_usage
        usage = an_object(document.get("usage"))
        ending: Document = {
            name: document[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in document
        }
        begun = {name: count for name, count in usage.items() if name != "output_tokens_details"} | {"output_tokens": 0}
        opening = {**document, "content": [], **dict.fromkeys(ending), "usage": begun}
        yield named_event({"type": "message_start", "message": opening})
        for index, block in enumerate(document["content"]):
            yield from _events_of(index, block, how)
        told = {name: usage[name] for name in _OF_END if usage.get(name) is not None}
        yield named_event({"type": "message_delta", "delta": ending, "usage": told})
        yield named_event({"type": "message_stop"})


def _says_all(block: Document) -> bool:
    kind = block.get("type")
    known = _OF_BLOCK.get(kind) if isinstance(kind, str) else None
    if known is None or has_more_than(block, known):
        return False
    if kind == "tool_use":
        return isinstance(block.get("id"), str) and isinstance(block.get("name"), str) and "input" in block
    return all(isinstance(block.get(name), str) for name in _TEXTS[str(kind)])


def _events_of(index: int, block: Document, how: How) -> Iterator[bytes]:
    kind = block["type"]
    emptied: Document = {"text": {"text": ""}, "tool_use": {"input": {}}, "thinking": {"thinking": "", "signature": ""}}
    start = {**block, **emptied.get(kind, {})}
    yield named_event({"type": "content_block_start", "index": index, "content_block": start})
    head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
    for delta in _deltas(block, how):
        yield head + json_of(delta) + b"}\n\n"
    yield named_event({"type": "content_block_stop", "index": index})


def _deltas(block: Document, how: How) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    if kind == "tool_use":
        text = json_of(block["input"]).decode() if block["input"] else ""
        for piece in argument_pieces(text, how):
            yield {"type": "input_json_delta", "partial_json": piece}
    elif kind in ("text", "thinking"):
        for piece in pieces(block[kind], how):
            yield {"type": f"{kind}_delta", kind: piece}
        if kind == "thinking":
            yield {"type": "signature_delta", "signature": block["signature"]}
