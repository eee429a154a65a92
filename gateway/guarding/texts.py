"""The texts of a request, with their places and who speaks; requests of every shape."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from gateway.domain.request import ModelRequest, Shape
from gateway.domain.rewriting import Path, path_name
from gateway.guarding.masking import without_needless_escapes

Speaker = Literal["system", "developer", "user", "assistant", "tool", "stored"]
"""Whose text it is. `tool` also stands for documents, `stored` for texts that only become embeddings."""

_ROLES: Final[dict[str, Speaker]] = {
    "system": "system",
    "developer": "developer",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_MODELS_OWN: Final = frozenset({"reasoning", "compaction", "item_reference", "mcp_list_tools"})
"""Items that are sealed, or stand for something elsewhere: a changed one is refused by whoever made it."""


_TEXT_FILE: Final = re.compile(
    r"data:(?:text/[a-z0-9.+-]+|application/(?:json|xml|yaml|x-yaml|csv))(?:;charset=utf-8)?;base64,", re.IGNORECASE
)
"""How a file begins that is text; others (PDF, images) are not read."""

_OF_ASSISTANTS: Final = ("refusal", "reasoning_content", "reasoning")
"""Members of chat messages that hold text. Reasoning of chat is signed by nobody: answers have placeholders in it put
back, and clients send it again."""

_PLAIN: Final = frozenset({"role", "content", "name", "tool_call_id"})
"""Members of chat messages of which only the content is a text."""

_MEMBERS: Final = frozenset({
    "arguments", "content", "context", "custom", "data", "file", "file_data", "function", "function_call", "input",
    "instructions", "messages", "output", "prediction", "prompt", "reasoning", "reasoning_content", "refusal",
    "results", "source", "suffix", "system", "text", "title", "tool_calls", "variables",
})  # fmt: skip
"""Names of members on the way to a text, as APIs have them."""


class Text(msgspec.Struct, frozen=True, gc=False):
    """A text of a request.

    Attributes:
        path: where it stands in the document.
        speaker: whose it is.
        text: as decoded; of arguments that are JSON in a string, that JSON without escapes that it does not need.
        wrapping: what stands before a text that is sent in Base64, empty for others.
    """

    path: Path
    speaker: Speaker
    text: str
    wrapping: str = ""

    def written(self, text: str) -> str:
        """Return another text as it must stand in the place of this one."""
        return self.wrapping + b64encode(text.encode(errors="replace")).decode() if self.wrapping else text


Texts = Iterator[Text]


def texts_of(request: ModelRequest) -> Texts:
    """Yield every text that the model is to read, in order. Images, sounds, schemas and what is signed are left out."""
    return _READERS[request.shape](request.document)


def _chat(document: Mapping[str, Any]) -> Texts:
    for index, message in enumerate(document["messages"]):
        path: Path = ("messages", index)
        speaker = _ROLES.get(message["role"], "user")
        content = message.get("content")
        if isinstance(content, str):
            if content:
                yield Text((*path, "content"), speaker, content)
        else:
            yield from _content(content, (*path, "content"), speaker)
        if _PLAIN.issuperset(message):
            continue
        for name in _OF_ASSISTANTS:
            yield from _member(message, name, path, "assistant")
        called = message.get("function_call")
        if isinstance(called, dict):
            yield from _member(called, "arguments", (*path, "function_call"), "assistant", is_json=True)
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            yield from _chat_calls(calls, (*path, "tool_calls"))
    prediction = document.get("prediction")
    if isinstance(prediction, dict):
        yield from _content(prediction.get("content"), ("prediction", "content"), "assistant")


def _chat_calls(calls: list[Any], path: Path) -> Texts:
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            continue
        for kind, name, is_json in (("function", "arguments", True), ("custom", "input", False)):
            called = call.get(kind)
            if isinstance(called, dict):
                yield from _member(called, name, (*path, index, kind), "assistant", is_json=is_json)


def _responses(document: Mapping[str, Any]) -> Texts:
    for name, speaker in (("instructions", "system"), ("input", "user")):
        given = document.get(name)
        if isinstance(given, str):
            yield Text((name,), speaker, given)  # type: ignore[arg-type]  # one of two
        else:
            for index, item in enumerate(given or ()):
                yield from _item(item, (name, index))
    prompt = document.get("prompt")
    variables = prompt.get("variables") if isinstance(prompt, dict) else None
    for name, value in variables.items() if isinstance(variables, dict) else ():
        path: Path = ("prompt", "variables", name)
        if isinstance(value, str):
            yield Text(path, "user", value)
        elif isinstance(value, dict):
            yield from _member(value, "text", path, "user")


def _item(item: Mapping[str, Any], path: Path) -> Texts:
    kind = item.get("type") or "message"
    if kind in _MODELS_OWN:
        return
    if kind in _CALLS:
        yield from _member(item, "arguments", path, "assistant", is_json=True)
        yield from _member(item, "input", path, "assistant")
        return
    speaker = _ROLES.get(item.get("role") or "user", "user") if kind == "message" else "tool"
    yield from _content(item.get("content"), (*path, "content"), speaker)
    yield from _content(item.get("output"), (*path, "output"), "tool")
    for index, result in enumerate(found if isinstance(found := item.get("results"), list) else ()):
        if isinstance(result, dict):
            yield from _member(result, "text", (*path, "results", index), "tool")


def _messages(document: Mapping[str, Any]) -> Texts:
    yield from _content(document.get("system"), ("system",), "system")
    for index, message in enumerate(document["messages"]):
        speaker = _ROLES.get(message["role"], "user")
        yield from _content(message.get("content"), ("messages", index, "content"), speaker)


def _completions(document: Mapping[str, Any]) -> Texts:
    yield from _strings(document.get("prompt"), ("prompt",), "user")
    yield from _strings(document.get("suffix"), ("suffix",), "user")


def _embeddings(document: Mapping[str, Any]) -> Texts:
    yield from _strings(document.get("input"), ("input",), "stored")


def _strings(given: Any, path: Path, speaker: Speaker) -> Texts:
    if isinstance(given, str):
        yield Text(path, speaker, given)
    elif isinstance(given, list) and given and not isinstance(given[0], int):
        for index, text in enumerate(given):
            if isinstance(text, str):
                yield Text((*path, index), speaker, text)


def _member(owner: Mapping[str, Any], name: str, path: Path, speaker: Speaker, *, is_json: bool = False) -> Texts:
    text = owner.get(name)
    if isinstance(text, str) and text:
        yield Text((*path, name), speaker, without_needless_escapes(text) if is_json else text)


def _content(content: Any, path: Path, speaker: Speaker) -> Texts:
    if isinstance(content, str):
        if content:
            yield Text(path, speaker, content)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if isinstance(part, dict):
                yield from _part(part, (*path, index), speaker)


def _part(part: Mapping[str, Any], path: Path, speaker: Speaker) -> Texts:
    kind = part.get("type")
    if kind == "thinking":  # signed: a changed one is refused
        return
    if kind == "tool_use":
        yield from _arguments(part.get("input"), (*path, "input"))
        return
    if kind in ("file", "input_file"):
        owner, steps = (part["file"], (*path, "file")) if isinstance(part.get("file"), dict) else (part, path)
        yield from _file(owner.get("file_data"), (*steps, "file_data"))
    if kind in ("document", "search_result", "tool_result") or str(kind).endswith("_tool_result"):
        speaker = "tool"
    for name in ("text", "refusal", "title", "context"):
        yield from _member(part, name, path, speaker)
    yield from _content(part.get("content"), (*path, "content"), speaker)
    source = part.get("source")
    if isinstance(source, dict):
        if source.get("type") == "text":
            yield from _member(source, "data", (*path, "source"), speaker)
        yield from _content(source.get("content"), (*path, "source", "content"), speaker)


def _file(given: Any, path: Path) -> Texts:
    """Yield the text of an attached file that is one: a document, whoever attached it."""
    found = _TEXT_FILE.match(given) if isinstance(given, str) else None
    if found is None:
        return
    try:
        text = b64decode(given[found.end() :], validate=True).decode()
    except ValueError:
        return
    if text:
        yield Text(path, "tool", text, found[0])


def _arguments(value: Any, path: Path) -> Texts:
    """Yield the strings of a call's decoded arguments; the decoder bounds how deep they are."""
    if isinstance(value, str):
        if value:
            yield Text(path, "assistant", value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _arguments(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _arguments(inner, (*path, index))


def place_of(path: Path) -> str:
    """Return a place as people write it. Names that callers choose, such as those of arguments, are not shown."""
    return path_name(tuple("*" if isinstance(step, str) and step not in _MEMBERS else step for step in path))


def tools_of(request: ModelRequest) -> dict[str, Mapping[str, Any]]:
    """Return the parameters of the tools that a request declares, as JSON Schemas by name."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in request.document.get("tools") or ():
        if not isinstance(tool, dict):
            continue
        inner = tool.get("function")
        said = inner if isinstance(inner, dict) else tool
        name = said.get("name")
        schema = said.get("parameters", said.get("input_schema"))
        if isinstance(name, str):
            found[name] = schema if isinstance(schema, dict) else {}
    return found


_READERS: Final[dict[Shape, Callable[[Mapping[str, Any]], Texts]]] = {
    "chat": _chat,
    "responses": _responses,
    "input_tokens": _responses,
    "compact": _responses,
    "messages": _messages,
    "count_tokens": _messages,
    "completions": _completions,
    "embeddings": _embeddings,
}
