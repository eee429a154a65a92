"""The input of a Responses request as the messages of a chat.

Responses lists what happened item by item; chat gathers what the assistant did in one turn into one message. So the
calls that stand next to each other, the message beside them and the reasoning before them become one assistant
message, which ends with the first item that is not the assistant's. Ids and statuses of items are labels that the API
gave them: they go without a word.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.fields import (
    as_object,
    as_objects,
    as_text,
    others,
    refuse,
    wrong_type,
)
from gateway.upstreams.translators.responses.seal import unseal_blocks

_LABELS: Final = frozenset({"type", "id", "status"})
_MESSAGE: Final = _LABELS | {"role", "content"}
_CALL: Final = _LABELS | {"call_id", "name", "arguments", "namespace"}
_CUSTOM_CALL: Final = _LABELS | {"call_id", "name", "input", "namespace"}
_OUTPUT: Final = _LABELS | {"call_id", "output"}
_REASONING: Final = _LABELS | {"summary", "content", "encrypted_content"}
_TEXT: Final = frozenset({"type", "text", "prompt_cache_breakpoint"})
_IMAGE: Final = frozenset({"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"})
_FILE: Final = frozenset({"type", "filename", "file_data", "file_id", "file_url", "prompt_cache_breakpoint"})

_CHAT_DETAILS: Final = frozenset({"auto", "low", "high"})


class _Thought(msgspec.Struct, frozen=True):
    """One reasoning item: where it stood, its text and the thinking blocks that were sealed into it."""

    path: str
    text: str
    blocks: list[Document]


class _Turn(msgspec.Struct):
    """What becomes one assistant message."""

    thoughts: list[_Thought] = msgspec.field(default_factory=list)
    parts: list[Document] = msgspec.field(default_factory=list)
    refusals: list[str] = msgspec.field(default_factory=list)
    calls: list[Document] = msgspec.field(default_factory=list)

    def has_words(self) -> bool:
        return bool(self.parts or self.refusals)

    def message(self) -> Document:
        message: Document = {"role": "assistant", "content": _joined(self.parts) if self.parts else None}
        if self.refusals:
            message["refusal"] = "".join(self.refusals)
        if text := "\n\n".join(thought.text for thought in self.thoughts if thought.text):
            message["reasoning_content"] = text
        if blocks := [block for thought in self.thoughts for block in thought.blocks]:
            message["thinking_blocks"] = blocks
        if self.calls:
            message["tool_calls"] = self.calls
        return message


class Conversation:
    """Gathers items into messages.

    Attributes:
        messages: the chat so far; complete after `finish`.
        dropped: paths of what chat has no words for.
    """

    def __init__(self) -> None:
        self.messages: list[Document] = []
        self.dropped: list[str] = []
        self._turn: _Turn | None = None
        self._thoughts: list[_Thought] = []
        self._attachments: list[Document] = []
        self._readers = {
            "message": self._message,
            "function_call": self._call,
            "custom_tool_call": self._custom_call,
            "function_call_output": self._output,
            "custom_tool_call_output": self._output,
            "reasoning": self._reasoning,
        }
        self._part_readers = {
            "input_text": self._text,
            "output_text": self._text,
            "input_image": self._image,
            "input_file": self._file,
        }

    def add(self, item: Document, path: str) -> None:
        """Add one item.

        Raises:
            InvalidRequestError: it is malformed, or chat has no counterpart.
        """
        reader = self._readers.get(_kind(item, path))
        if reader is None:
            refuse(f"{path}.type", "is a type of item that this model cannot be sent")
        reader(item, path)

    def say(self, role: str, content: str | list[Document]) -> None:
        """Add a message that is not the assistant's."""
        self._close()
        self.messages.append({"role": role, "content": content})

    def finish(self) -> list[Document]:
        """Return the messages."""
        self._close()
        return self.messages

    def _message(self, item: Document, path: str) -> None:
        self.dropped += others(item, _MESSAGE, path)
        role = as_text(item.get("role"), f"{path}.role")
        if role == "assistant":
            self._spoken(item.get("content"), f"{path}.content")
        elif role in ("user", "system", "developer"):
            self.say(role, self._content(item.get("content"), f"{path}.content"))
        else:
            raise wrong_type(f"{path}.role", "'user', 'assistant', 'system' or 'developer'")

    def _spoken(self, content: Any, path: str) -> None:
        turn = self._current(new_words=True)
        if isinstance(content, str):
            turn.parts.append({"type": "text", "text": content})
            return
        for where, part in _parts(content, path):
            if part.get("type") == "refusal":
                self.dropped += others(part, ("type", "refusal"), where)
                turn.refusals.append(as_text(part.get("refusal"), f"{where}.refusal"))
            else:
                turn.parts.append(self._part(part, where))

    def _call(self, item: Document, path: str) -> None:
        self.dropped += others(item, _CALL, path)
        name, call_id = _called(item, path)
        arguments = as_text(item.get("arguments"), f"{path}.arguments")
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._current(new_words=False).calls.append(call)

    def _custom_call(self, item: Document, path: str) -> None:
        self.dropped += others(item, _CUSTOM_CALL, path)
        name, call_id = _called(item, path)
        text = as_text(item.get("input"), f"{path}.input")
        call = {"id": call_id, "type": "custom", "custom": {"name": name, "input": text}}
        self._current(new_words=False).calls.append(call)

    def _output(self, item: Document, path: str) -> None:
        """Add a tool's output; chat takes texts only there, so what else it holds is a user's message after it."""
        self.dropped += others(item, _OUTPUT, path)
        call_id = as_text(item.get("call_id"), f"{path}.call_id")
        parts = self._content(item.get("output"), f"{path}.output")
        self._close_turn()
        if not isinstance(parts, str):
            self._attachments += [part for part in parts if part["type"] != "text"]
            parts = _joined([part for part in parts if part["type"] == "text"])
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": parts})

    def _reasoning(self, item: Document, path: str) -> None:
        self.dropped += others(item, _REASONING, path)
        sealed, blocks = item.get("encrypted_content"), None
        if sealed is not None and (blocks := unseal_blocks(as_text(sealed, f"{path}.encrypted_content"))) is None:
            self.dropped.append(path)
            return
        summary = _texts(item.get("summary"), f"{path}.summary")
        content = _texts(item.get("content"), f"{path}.content")
        self._thoughts.append(_Thought(path, "\n\n".join(summary or content), blocks or []))

    def _current(self, *, new_words: bool) -> _Turn:
        """Return the turn that an item of the assistant belongs to.

        A second message starts a turn of its own, unless calls stand between: their outputs must follow them.
        """
        if self._turn is not None and new_words and self._turn.has_words() and not self._turn.calls:
            self._close_turn(keep_thoughts=True)
        if self._turn is None:
            self._attach()
            self._turn = _Turn()
        self._turn.thoughts += self._thoughts
        self._thoughts = []
        return self._turn

    def _close(self) -> None:
        self._close_turn()
        self._attach()

    def _close_turn(self, *, keep_thoughts: bool = False) -> None:
        if self._turn is not None:
            self.messages.append(self._turn.message())
        self._turn = None
        if not keep_thoughts:
            self.dropped += [thought.path for thought in self._thoughts]
            self._thoughts = []

    def _attach(self) -> None:
        if self._attachments:
            self.messages.append({"role": "user", "content": self._attachments})
        self._attachments = []

    def _content(self, content: Any, path: str) -> str | list[Document]:
        if isinstance(content, str):
            return content
        return _joined([self._part(part, where) for where, part in _parts(content, path)])

    def _part(self, part: Document, path: str) -> Document:
        kind = as_text(part.get("type"), f"{path}.type")
        reader = self._part_readers.get(kind)
        if reader is None:
            refuse(f"{path}.type", "is a type of content that this model cannot be sent")
        read = reader(part, path)
        if (breakpoint_ := part.get("prompt_cache_breakpoint")) is not None:
            read["prompt_cache_breakpoint"] = as_object(breakpoint_, f"{path}.prompt_cache_breakpoint")
        return read

    def _text(self, part: Document, path: str) -> Document:
        self.dropped += others({name: value for name, value in part.items() if value != []}, _TEXT, path)
        return {"type": "text", "text": as_text(part.get("text"), f"{path}.text")}

    def _image(self, part: Document, path: str) -> Document:
        self.dropped += others(part, _IMAGE, path)
        if part.get("file_id") is not None:
            refuse(f"{path}.file_id", "names an image that this model cannot be sent; send it as `image_url`")
        image = {"url": as_text(part.get("image_url"), f"{path}.image_url")}
        if (detail := part.get("detail")) is not None:
            if as_text(detail, f"{path}.detail") in _CHAT_DETAILS:
                image["detail"] = detail
            else:
                self.dropped.append(f"{path}.detail")
        return {"type": "image_url", "image_url": image}

    def _file(self, part: Document, path: str) -> Document:
        self.dropped += others(part, _FILE, path)
        if part.get("file_url") is not None:
            refuse(f"{path}.file_url", "names a file that this model cannot be sent; send it as `file_data`")
        names = [name for name in ("filename", "file_data", "file_id") if part.get(name) is not None]
        if not {"file_data", "file_id"} & set(names):
            raise wrong_type(f"{path}.file_data", "a string")
        return {"type": "file", "file": {name: as_text(part[name], f"{path}.{name}") for name in names}}


def _kind(item: Document, path: str) -> str:
    kind = item.get("type")
    if kind is None and "role" in item:
        return "message"
    return as_text(kind, f"{path}.type")


def _called(item: Document, path: str) -> tuple[str, str]:
    if item.get("namespace") is not None:
        refuse(f"{path}.namespace", "is not something this model can be sent")
    return as_text(item.get("name"), f"{path}.name"), as_text(item.get("call_id"), f"{path}.call_id")


def _parts(content: Any, path: str) -> list[tuple[str, Document]]:
    if not isinstance(content, list):
        raise wrong_type(path, "a string or an array of parts")
    return as_objects(content, path)


def _texts(value: Any, path: str) -> list[str]:
    return [as_text(entry.get("text"), f"{where}.text") for where, entry in as_objects(value, path)]


def _joined(parts: list[Document]) -> str | list[Document]:
    """Return a lone text as a string: many chat servers know no other form outside a user's messages."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts
