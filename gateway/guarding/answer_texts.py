"""The texts of complete answers and of their parts, with their places; answers of every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.domain.request import Shape
from gateway.domain.rewriting import Path, path_name
from policies.sanitise.redaction.restorer import Place

Object = Mapping[str, Any]


class AnswerText(msgspec.Struct, frozen=True, gc=False):
    """A text of an answer.

    Attributes:
        path: where it stands in the document.
        text: as decoded.
        place: whether it is JSON inside of a string, as the arguments of a call are.
        is_signed: whether it is reasoning that goes back to whoever made it unchanged, beside its signature.
        is_echo: whether it repeats the request: placeholders are put back, and nothing is looked for.
    """

    path: Path
    text: str
    place: Place = "text"
    is_signed: bool = False
    is_echo: bool = False


class Call(msgspec.Struct, frozen=True, gc=False):
    """A call of a tool in a complete answer.

    Attributes:
        path: where it stands.
        name: of the tool.
        arguments: as JSON or, where the shape has them decoded, as an object; a text for tools that take one.
    """

    path: Path
    name: str
    arguments: Any


Texts = Iterator[AnswerText]

REASONING: Final = ("reasoning_content", "reasoning")
"""Members of chat that hold reasoning which nobody signed."""


def place_of(path: Path) -> str:
    """Return a place as verdicts name it: without the names of arguments, which the model wrote."""
    return path_name(path[: path.index("input") + 1] if "input" in path else path)


def texts_of_answer(document: Object, shape: Shape) -> Texts:
    """Yield every text of an answer that a person or a tool is to read, in order."""
    reader = _READERS.get(shape)
    return iter(()) if reader is None else reader(document)


def texts_of_item(item: Object, path: Path = ()) -> Texts:
    """Yield the texts of one item of a Response."""
    is_signed = item.get("type") == "reasoning"
    for name, place in _OF_ITEM:
        yield from _member(item, name, path, place)
    for name in ("content", "summary", "output"):
        for index, part in _objects(item.get(name)):
            yield from texts_of_part(part, (*path, name, index), is_signed=is_signed)


def texts_of_part(part: Object, path: Path = (), *, is_signed: bool = False) -> Texts:
    """Yield the texts of one part of a Response's item, or of a chat message's content."""
    is_signed = is_signed or _text(part.get("type")) in ("summary_text", "reasoning_text", "thinking")
    for name in ("text", "refusal", "transcript"):
        yield from _member(part, name, path, is_signed=is_signed)


def texts_of_block(block: Object, path: Path = ()) -> Texts:
    """Yield the texts of one content block of a Message."""
    yield from _member(block, "text", path)
    yield from _member(block, "thinking", path, is_signed=True)
    if _text(block.get("type")) in TOOL_USES:
        yield from _strings(block.get("input"), (*path, "input"))


TOOL_USES: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
"""Content blocks that call tools."""


def calls_of_answer(document: Object, shape: Shape) -> Iterator[Call]:
    """Yield the calls of tools that the caller is to make."""
    if shape == "chat":
        for index, choice in _objects(document.get("choices")):
            yield from _calls_of_message(_object(choice.get("message")), ("choices", index, "message"))
    elif shape == "responses":
        for index, item in _objects(document.get("output")):
            if (call := call_of_item(item, ("output", index))) is not None:
                yield call
    elif shape == "messages":
        for index, block in _objects(document.get("content")):
            if block.get("type") == "tool_use":
                yield Call(("content", index), _text(block.get("name")), block.get("input"))


def call_of_item(item: Object, path: Path = ()) -> Call | None:
    """Return the call that an item of a Response is, None if it is none."""
    if item.get("type") == "function_call":
        return Call(path, _text(item.get("name")), _text(item.get("arguments")))
    if item.get("type") == "custom_tool_call":
        return Call(path, _text(item.get("name")), {"input": item.get("input")})
    return None


def _chat(document: Object) -> Texts:
    for index, choice in _objects(document.get("choices")):
        message, path = _object(choice.get("message")), ("choices", index, "message")
        content = message.get("content")
        if isinstance(content, str) and content:
            yield AnswerText((*path, "content"), content)
            if not any(map(message.get, _OF_CHAT)):  # as in most answers
                continue
        for position, part in _objects(content):
            yield from texts_of_part(part, (*path, "content", position))
        for name in ("refusal", *REASONING):
            yield from _member(message, name, path)
        for position, block in _objects(message.get("thinking_blocks")):
            yield from texts_of_block(block, (*path, "thinking_blocks", position))
        yield from _member(_object(message.get("audio")), "transcript", (*path, "audio"))
        yield from _member(_object(message.get("function_call")), "arguments", (*path, "function_call"), "json")
        for position, call in _objects(message.get("tool_calls")):
            where = (*path, "tool_calls", position)
            yield from _member(_object(call.get("function")), "arguments", (*where, "function"), "json")
            yield from _member(_object(call.get("custom")), "input", (*where, "custom"))


def _calls_of_message(message: Object, path: Path) -> Iterator[Call]:
    called = message.get("function_call")
    if isinstance(called, dict):
        yield Call((*path, "function_call"), _text(called.get("name")), _text(called.get("arguments")))
    for position, call in _objects(message.get("tool_calls")):
        made, custom = _object(call.get("function")), _object(call.get("custom"))
        given = {"input": custom.get("input")} if custom else _text(made.get("arguments"))
        yield Call((*path, "tool_calls", position), _text((custom or made).get("name")), given)


def _responses(document: Object) -> Texts:
    for index, item in _objects(document.get("output")):
        yield from texts_of_item(item, ("output", index))
    told = document.get("instructions")
    echoed = _member(document, "instructions", ()) if isinstance(told, str) else _said(told)
    for text in echoed:
        yield AnswerText(text.path, text.text, text.place, is_echo=True)


def _said(items: Any) -> Texts:
    for index, item in _objects(items):
        yield from texts_of_item(item, ("instructions", index))


def texts_of_page(document: Object) -> Texts:
    """Yield the texts of a page of a response's input items: they repeat the request."""
    for index, item in _objects(document.get("data")):
        for text in texts_of_item(item, ("data", index)):
            yield AnswerText(text.path, text.text, text.place, text.is_signed, is_echo=not text.is_signed)


def _messages(document: Object) -> Texts:
    for index, block in _objects(document.get("content")):
        yield from texts_of_block(block, ("content", index))


def _completions(document: Object) -> Texts:
    for index, choice in _objects(document.get("choices")):
        yield from _member(choice, "text", ("choices", index))


def _strings(value: Any, path: Path) -> Texts:
    """Yield the strings of decoded arguments; the decoder bounds how deep they are."""
    if isinstance(value, str):
        if value:
            yield AnswerText(path, value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, (*path, index))


def _member(owner: Object, name: str, path: Path, place: Place = "text", *, is_signed: bool = False) -> Texts:
    text = owner.get(name)
    if isinstance(text, str) and text:
        yield AnswerText((*path, name), text, place, is_signed)


def _objects(value: Any) -> Iterator[tuple[int, Object]]:
    if isinstance(value, list):
        yield from ((index, one) for index, one in enumerate(value) if isinstance(one, dict))


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_OF_ITEM: Final[tuple[tuple[str, Place], ...]] = (
    ("arguments", "json"), ("content", "text"), ("input", "text"), ("code", "text"), ("output", "text"),
)  # fmt: skip
_OF_CHAT: Final = ("refusal", *REASONING, "thinking_blocks", "audio", "function_call", "tool_calls")
_READERS: Final[Mapping[Shape, Callable[[Object], Texts]]] = {
    "chat": _chat,
    "responses": _responses,
    "compact": _responses,
    "messages": _messages,
    "completions": _completions,
}
