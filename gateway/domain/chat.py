"""A chat request (OpenAI's chat completions)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.domain.document import (
    OPTIONAL_COUNT,
    OPTIONAL_FLAG,
    OPTIONAL_NUMBER,
    OPTIONAL_OBJECT,
    OPTIONAL_TEXT,
    TEXT,
    Judged,
    Level,
    check_members,
    check_parts,
    missing,
    read_document,
    refuse_lookalikes,
    require,
    wrong_type,
)
from gateway.domain.request import ModelRequest

_JUDGED: Final[Mapping[str, Judged]] = {
    "model": TEXT,
    "messages": Judged((list,), "an array of messages"),
    "stream": OPTIONAL_FLAG,
    "stream_options": OPTIONAL_OBJECT,
    "max_tokens": OPTIONAL_COUNT,
    "max_completion_tokens": OPTIONAL_COUNT,
    "n": OPTIONAL_COUNT,
    "temperature": OPTIONAL_NUMBER,
    "user": OPTIONAL_TEXT,
    "tools": Judged((list, type(None)), "an array of tools"),
    "tool_choice": Judged((str, dict, type(None)), "a string or an object"),
    "response_format": OPTIONAL_OBJECT,
}
_KNOWN: Final = frozenset(_JUDGED) | {"top_p", "seed", "stop", "frequency_penalty", "presence_penalty", "metadata"}
_JUDGED_IN_MESSAGE: Final = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
_JUDGED_IN_PART: Final = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})
_LEVELS: Final = (Level("", _JUDGED), Level("messages", _JUDGED_IN_MESSAGE), Level("content", _JUDGED_IN_PART))


class ChatRequest(ModelRequest):
    """One chat request.

    Attributes:
        wants_usage: whether the caller asked for the usage chunk of a stream.
        max_output_tokens: the smaller of the two limits the caller may set, or None.
    """

    __slots__ = ("wants_usage",)
    shape = "chat"
    limits = ("max_completion_tokens", "max_tokens")

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        self.body = body
        self.document = document
        self.is_faithful = is_faithful
        self.model = document["model"]
        self.messages = document["messages"]
        self.stream = document.get("stream") is True
        self.wants_usage = wants_usage(document)
        limit, newer = document.get("max_tokens"), document.get("max_completion_tokens")
        if newer is not None and (limit is None or newer < limit):
            limit = newer
        self.max_output_tokens = limit


def wants_usage(document: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for the usage chunk of a stream."""
    options = document.get("stream_options")
    return options is not None and options.get("include_usage") is True


def edits_for_usage(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the edit that makes an OpenAI-compatible upstream end a stream with its usage chunk."""
    if wants_usage(document):
        return {}
    options = {**(document.get("stream_options") or {}), "include_usage": True}
    return {"stream_options": msgspec.json.encode(options)}


def read_chat(body: bytes) -> ChatRequest:
    """Read a chat request.

    Raises:
        InvalidRequestError: the body is not a JSON object, a judged field is missing, has the wrong type, or
            stands there twice (in any spelling: what is judged must be what is sent).
    """
    document, is_faithful = read_document(body, _LEVELS)
    check_members(document, _JUDGED, _KNOWN)
    for name in ("model", "messages"):
        require(document, name)
    for index, message in enumerate(document["messages"]):
        _check_message(message, index)
    return ChatRequest(body, document, is_faithful=is_faithful)


def _check_message(message: Any, index: int) -> None:
    if type(message) is not dict:
        raise wrong_type(f"messages[{index}]", "an object")
    if not _JUDGED_IN_MESSAGE.issuperset(message):
        refuse_lookalikes(message, _JUDGED_IN_MESSAGE, f"messages[{index}].")
    role = message.get("role")
    if type(role) is not str:
        param = f"messages[{index}].role"
        raise missing(param) if role is None else wrong_type(param, "a string")
    content = message.get("content")
    if content is not None and type(content) is not str:
        where = f"messages[{index}].content"
        check_parts(content, where, _JUDGED_IN_PART, "a string, an array of parts, or null")
