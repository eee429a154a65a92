"""A request to OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, TypeVar

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
    read_document,
    refuse_lookalikes,
    require,
    wrong_type,
)
from gateway.domain.request import ModelRequest, Shape

_JUDGED: Final[Mapping[str, Judged]] = {
    "model": TEXT,
    "input": Judged((str, list, type(None)), "a string or an array of items"),
    "instructions": Judged((str, list, type(None)), "a string"),
    "stream": OPTIONAL_FLAG,
    "stream_options": OPTIONAL_OBJECT,
    "max_output_tokens": OPTIONAL_COUNT,
    "temperature": OPTIONAL_NUMBER,
    "user": OPTIONAL_TEXT,
    "store": OPTIONAL_FLAG,
    "background": OPTIONAL_FLAG,
    "previous_response_id": OPTIONAL_TEXT,
    "conversation": Judged((str, dict, type(None)), "a string or an object"),
    "tools": Judged((list, type(None)), "an array of tools"),
    "tool_choice": Judged((str, dict, type(None)), "a string or an object"),
    "text": OPTIONAL_OBJECT,
    "reasoning": OPTIONAL_OBJECT,
}
_KNOWN: Final = frozenset(_JUDGED) | {"top_p", "metadata", "include", "truncation", "parallel_tool_calls"}
_JUDGED_IN_ITEM: Final = frozenset({"type", "role", "content", "name", "arguments", "call_id", "output", "id"})
_JUDGED_IN_PART: Final = frozenset({"type", "text", "image_url", "file_data", "file_id", "file_url", "refusal"})
_LEVELS: Final = (Level("", _JUDGED), Level("input", _JUDGED_IN_ITEM), Level("content", _JUDGED_IN_PART))
_PARTS: Final = "a string, an array of parts, or null"

_Kind = TypeVar("_Kind", bound="ResponsesRequest")


class ResponsesRequest(ModelRequest):
    """One request for a response.

    Attributes:
        previous_response_id: the response this one continues and whoever answers must know, or None.
        conversation_id: the stored conversation this request belongs to, or None.
        is_stored: whether the response is to be kept for later calls, as it is unless the caller says no.
    """

    __slots__ = ("conversation_id", "is_stored", "previous_response_id")
    shape: ClassVar[Shape] = "responses"
    limits = ("max_output_tokens",)

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        super().__init__(body, document, is_faithful=is_faithful)
        self.messages = list(_messages(document))
        self.max_output_tokens = document.get("max_output_tokens")
        self.previous_response_id: str | None = document.get("previous_response_id") or None
        conversation = document.get("conversation")
        self.conversation_id = conversation.get("id") if isinstance(conversation, dict) else conversation
        self.is_stored = document.get("store") is not False

    @property
    def is_whole(self) -> bool:
        """Whether the body holds all of the prompt; see `ModelRequest.is_whole`."""
        return not self.previous_response_id and not self.conversation_id

    @property
    def may_be_shared(self) -> bool:
        """Whether nothing is kept of it: a stored response has an id that later calls refer to."""
        return not self.is_stored and self.is_whole


class InputTokensRequest(ResponsesRequest):
    """One request for the number of tokens an input has; nothing is generated and nothing kept."""

    __slots__ = ()
    shape: ClassVar[Shape] = "input_tokens"

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        super().__init__(body, document, is_faithful=is_faithful)
        self.stream = self.is_stored = False

    @property
    def may_be_shared(self) -> bool:
        """Whether it may be answered from a cache: a count costs less than a look-up."""
        return False


class CompactRequest(InputTokensRequest):
    """One request to shorten a conversation to items that stand for it."""

    __slots__ = ()
    shape = "compact"


def read_responses(body: bytes) -> ResponsesRequest:
    """Read a request for a response.

    Raises:
        InvalidRequestError: as `read_chat` does.
    """
    return _read(body, ResponsesRequest)


def read_input_tokens(body: bytes) -> InputTokensRequest:
    """Read a request for a token count. Raises what `read_responses` does."""
    return _read(body, InputTokensRequest)


def read_compact(body: bytes) -> CompactRequest:
    """Read a request for a compaction. Raises what `read_responses` does."""
    return _read(body, CompactRequest)


def _read(body: bytes, kind: type[_Kind]) -> _Kind:
    document, is_faithful = read_document(body, _LEVELS)
    check_members(document, _JUDGED, _KNOWN)
    require(document, "model")
    for name in ("input", "instructions"):
        if isinstance(document.get(name), list):
            for index, item in enumerate(document[name]):
                _check_item(item, f"{name}[{index}]")
    conversation = document.get("conversation")
    if isinstance(conversation, dict) and not isinstance(conversation.get("id"), str):
        raise wrong_type("conversation.id", "a string")
    return kind(body, document, is_faithful=is_faithful)


def _check_item(item: Any, where: str) -> None:
    if type(item) is not dict:
        raise wrong_type(where, "an object")
    if not _JUDGED_IN_ITEM.issuperset(item):
        refuse_lookalikes(item, _JUDGED_IN_ITEM, where + ".")
    for name in ("type", "role"):
        if type(item.get(name) or "") is not str:
            raise wrong_type(f"{where}.{name}", "a string")
    for name in ("content", "output"):
        value = item.get(name)
        if value is not None and type(value) is not str and not (name == "output" and type(value) is dict):
            check_parts(value, f"{where}.{name}", _JUDGED_IN_PART, _PARTS)


def _messages(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is said to the model as chat messages."""
    instructions = document.get("instructions")
    if isinstance(instructions, str):
        yield {"role": "system", "content": instructions}
    elif instructions:
        yield from map(_message, instructions)
    said = document.get("input")
    if isinstance(said, str):
        yield {"role": "user", "content": said}
    elif said:
        yield from map(_message, said)


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    kind = item.get("type") or "message"
    if kind == "message":
        return {"role": item.get("role") or "user", "content": item.get("content")}
    if kind in ("function_call", "custom_tool_call"):
        called = {"name": item.get("name"), "arguments": item.get("arguments", item.get("input"))}
        return {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": called}]}
    output = item.get("output")
    return {"role": "tool" if output is not None else kind, "content": output if type(output) is not dict else None}
