"""A request to Anthropic's Messages API, and one for its token count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from gateway.domain.document import (
    OPTIONAL_FLAG,
    OPTIONAL_NUMBER,
    OPTIONAL_OBJECT,
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
from gateway.domain.request import ModelRequest, Shape

_JUDGED: Final[Mapping[str, Judged]] = {
    "model": TEXT,
    "messages": Judged((list,), "an array of messages"),
    "system": Judged((str, list, type(None)), "a string or an array of text blocks"),
    "max_tokens": Judged((int,), "a whole number, 0 or more", is_count=True),
    "stream": OPTIONAL_FLAG,
    "temperature": OPTIONAL_NUMBER,
    "tools": Judged((list, type(None)), "an array of tools"),
    "tool_choice": OPTIONAL_OBJECT,
    "thinking": OPTIONAL_OBJECT,
    "metadata": OPTIONAL_OBJECT,
}
_KNOWN: Final = frozenset(_JUDGED) | {"top_p", "top_k", "stop_sequences", "output_config", "service_tier"}
_JUDGED_IN_MESSAGE: Final = frozenset({"role", "content"})
_JUDGED_IN_BLOCK: Final = frozenset({"type", "text", "source", "content", "input", "name", "tool_use_id", "thinking"})
_LEVELS: Final = (Level("", _JUDGED), Level("messages", _JUDGED_IN_MESSAGE), Level("content", _JUDGED_IN_BLOCK))
_BLOCKS: Final = "a string or an array of content blocks"


class MessagesRequest(ModelRequest):
    """One request for a message."""

    __slots__ = ()
    shape: ClassVar[Shape] = "messages"

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        super().__init__(body, document, is_faithful=is_faithful)
        self.messages = list(_messages(document))
        self.max_output_tokens = document.get("max_tokens")


class CountTokensRequest(MessagesRequest):
    """One request for the number of tokens a prompt has; nothing is generated."""

    __slots__ = ()
    shape = "count_tokens"

    @property
    def may_be_shared(self) -> bool:
        """Whether it may be answered from a cache: a count costs less than a look-up."""
        return False


def read_messages(body: bytes) -> MessagesRequest:
    """Read a request for a message.

    Raises:
        InvalidRequestError: as `read_chat` does.
    """
    document, is_faithful = _read(body)
    if "max_tokens" not in document:
        raise missing("max_tokens")
    return MessagesRequest(body, document, is_faithful=is_faithful)


def read_count_tokens(body: bytes) -> CountTokensRequest:
    """Read a request for a token count: that for a message, without `max_tokens`.

    Raises:
        InvalidRequestError: as `read_chat` does.
    """
    document, is_faithful = _read(body)
    return CountTokensRequest(body, {**document, "stream": None}, is_faithful=is_faithful)


def _read(body: bytes) -> tuple[dict[str, Any], bool]:
    document, is_faithful = read_document(body, _LEVELS)
    check_members(document, _JUDGED, _KNOWN)
    for name in ("model", "messages"):
        require(document, name)
    if isinstance(document.get("system"), list):
        check_parts(document["system"], "system", _JUDGED_IN_BLOCK, "a string or an array of text blocks")
    for index, message in enumerate(document["messages"]):
        _check_message(message, f"messages[{index}]")
    return document, is_faithful


def _check_message(message: Any, where: str) -> None:
    if type(message) is not dict:
        raise wrong_type(where, "an object")
    if not _JUDGED_IN_MESSAGE.issuperset(message):
        refuse_lookalikes(message, _JUDGED_IN_MESSAGE, where + ".")
    role, content = message.get("role"), message.get("content")
    if type(role) is not str:
        raise missing(f"{where}.role") if role is None else wrong_type(f"{where}.role", "a string")
    if content is None:
        raise missing(f"{where}.content")
    if type(content) is str:
        return
    check_parts(content, f"{where}.content", _JUDGED_IN_BLOCK, _BLOCKS)
    for position, block in enumerate(content):
        inner = block.get("content")
        if block.get("type") == "tool_result" and inner is not None and type(inner) is not str:
            check_parts(inner, f"{where}.content[{position}].content", _JUDGED_IN_BLOCK, _BLOCKS)


def _messages(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is said to the model as chat messages; the results of tools become messages of their own."""
    if system := document.get("system"):
        yield {"role": "system", "content": system}
    for message in document["messages"]:
        content = message["content"]
        if type(content) is str:
            yield message
            continue
        results = [block for block in content if block.get("type") == "tool_result"]
        yield from ({"role": "tool", "content": block.get("content")} for block in results)
        rest = [block for block in content if block.get("type") != "tool_result"]
        if rest:
            yield {"role": message["role"], "content": rest}
