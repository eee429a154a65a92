"""Breakpoints of Anthropic's prompt cache, put into a request on its way out where the caller set none.

Three at most, of the four that Anthropic takes: on the last tool, the last block of the system prompt and the last
block of the newest user turn. A prompt is kept from its beginning, in the order tools, system, messages; the next turn
of a conversation is compared with what was kept up to 20 blocks back (platform.claude.com, "Prompt caching" and "Tool
use with prompt caching", 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.domain.document import replace_members
from gateway.domain.request import ModelRequest
from gateway.upstreams.dialects.base import NULL

_NAME: Final = "cache_control"
_MARK: Final = b'{"type":"ephemeral"}'
"""Five minutes, and again with each use."""

_MARKED: Final = frozenset({"text", "image", "document", "search_result", "tool_result"})
"""Blocks of a user's turn that may carry one; others stay as they are."""


class _Prompt(msgspec.Struct):
    tools: msgspec.Raw = NULL
    system: msgspec.Raw = NULL
    messages: msgspec.Raw = NULL


class _Turn(msgspec.Struct):
    content: msgspec.Raw = NULL


_PROMPT: Final = msgspec.json.Decoder(_Prompt)
_TURN: Final = msgspec.json.Decoder(_Turn)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def breakpoints(request: ModelRequest) -> dict[str, bytes]:
    """Return the members of a request for a message with breakpoints in them, each value otherwise as received.

    Nothing where the caller has set one anywhere, where the request is of another shape, or where its document does not
    hold all that its body does. Which prompts are long enough is left to Anthropic, which ignores the others' marks.
    """
    document = request.document
    if request.shape != "messages" or not request.is_faithful or _has_own(document):
        return {}
    prompt = _PROMPT.decode(request.body)
    found = (
        ("tools", _in_array(prompt.tools, document.get("tools"), _is_in_prefix)),
        ("system", _in_content(prompt.system, document.get("system"))),
        ("messages", _in_messages(prompt.messages, document["messages"])),
    )
    return {name: value for name, value in found if value is not None}


def _has_own(document: Mapping[str, Any]) -> bool:
    """Tell whether the caller set a breakpoint; one at the top is Anthropic's own automatic one."""
    return document.get(_NAME) is not None or any(part.get(_NAME) is not None for part in _parts(document))


def _parts(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from _objects(document.get("tools"))
    yield from _blocks(document.get("system"))
    for message in document["messages"]:
        yield from _blocks(message["content"])


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    """Yield content blocks and those within: of tool results, and of documents made of blocks."""
    for block in _objects(content):
        yield block
        yield from _objects(block.get("content"))
        source = block.get("source")
        if type(source) is dict:
            yield from _objects(source.get("content"))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if type(value) is list:
        yield from (item for item in value if type(item) is dict)


def _in_messages(raw: msgspec.Raw, messages: list[dict[str, Any]]) -> bytes | None:
    """Mark the newest user turn; nothing where no block of it may carry a mark."""
    at = _last(messages, lambda message: message["role"] == "user")
    if at is None:
        return None
    turns = _ARRAY.decode(raw)
    content = _in_content(_TURN.decode(turns[at]).content, messages[at]["content"])
    if content is None:
        return None
    turns[at] = msgspec.Raw(replace_members(bytes(turns[at]), {"content": content}))
    return msgspec.json.encode(turns)


def _in_content(raw: msgspec.Raw, content: Any) -> bytes | None:
    """Mark the last block that may carry a mark; a text becomes a block. Anthropic refuses marks on blank texts."""
    if type(content) is str:
        text = b'[{"type":"text","text":%b,"%b":%b}]' % (bytes(raw), _NAME.encode(), _MARK)
        return text if content.strip() else None
    return _in_array(raw, content, _is_markable)


def _in_array(raw: msgspec.Raw, array: Any, fits: Callable[[dict[str, Any]], bool]) -> bytes | None:
    """Mark the last object that fits."""
    at = _last(array, fits)
    if at is None:
        return None
    items = _ARRAY.decode(raw)
    items[at] = msgspec.Raw(replace_members(bytes(items[at]), {_NAME: _MARK}))
    return msgspec.json.encode(items)


def _last(array: Any, fits: Callable[[dict[str, Any]], bool]) -> int | None:
    """Return the index of the last object that fits, None without one."""
    if type(array) is not list:
        return None
    indices = range(len(array) - 1, -1, -1)
    return next((at for at in indices if type(array[at]) is dict and fits(array[at])), None)


def _is_in_prefix(tool: dict[str, Any]) -> bool:
    """Tell whether a tool is sent with the prompt; a deferred one comes after what a mark would keep."""
    return tool.get("defer_loading") is not True


def _is_markable(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    return kind in _MARKED and (kind != "text" or bool(block.get("text", "").strip()))
