"""The messages of a chat request as the turns and the system prompt of the Messages API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import SEAL, Document
from gateway.upstreams.translators.fields import (
    as_object,
    as_objects,
    as_text,
    others,
    refuse,
    wrong_type,
)
from gateway.upstreams.translators.messages.attachments import document_block, image_block
from gateway.upstreams.translators.messages.tool_calls import ERROR_MARK, read_arguments

_SHARED: Final = frozenset({"role", "content", "cache_control"})
_ASSISTANTS: Final = _SHARED | {
    "refusal",
    "tool_calls",
    "thinking_blocks",
    "reasoning_content",
    "reasoning",
    "audio",
    "function_call",
}
_TEXT_ONLY: Final = frozenset({"text"})
_SPOKEN: Final = frozenset({"text", "refusal"})
_ATTACHED: Final = frozenset({"text", "image_url", "file"})


class Conversation:
    """Reads messages one by one; what has no place on the other side ends in `dropped`.

    Attributes:
        dropped: paths of what was left out.
    """

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._system: list[Document] = []
        self._turns: list[tuple[str, list[Document]]] = []
        self._readers: dict[str, Callable[[Document, str], None]] = {
            "system": self._read_system,
            "developer": self._read_system,
            "user": self._read_user,
            "assistant": self._read_assistant,
            "tool": self._read_tool,
        }

    def read(self, messages: Any) -> None:
        """Read all messages of a request.

        Raises:
            InvalidRequestError: one is malformed, or means what the Messages API cannot say.
        """
        for path, message in as_objects(messages, "messages"):
            role = as_text(message.get("role"), f"{path}.role")
            if role == "function":
                refuse(f"{path}.role", "is not supported by the upstream of this model: use tools")
            if role not in self._readers:
                raise InvalidRequestError(f"'{path}.role' is no role of a chat message.", param=f"{path}.role")
            self._readers[role](message, path)

    def instruct(self, text: str) -> None:
        """Add a sentence to the system prompt."""
        self._system.append({"type": "text", "text": text})

    def members(self) -> Document:
        """Return the request's `messages`, and its `system` if there is one.

        Raises:
            InvalidRequestError: no message says anything.
        """
        turns, system = self._turns, self._system
        if not turns:
            turns, system = [("user", system)], []
        if not turns[0][1]:
            raise InvalidRequestError("'messages' holds no text, image or file.", param="messages")
        messages = [{"role": role, "content": _shortest(_results_first(blocks))} for role, blocks in turns]
        return {**({"system": _prompt(system)} if system else {}), "messages": messages}

    def _read_system(self, message: Document, path: str) -> None:
        blocks = self._content(message.get("content"), f"{path}.content", _TEXT_ONLY)
        blocks = self._cached(blocks, message, path)
        self.dropped += others(message, _SHARED, path)
        self.dropped += [] if blocks else [path]
        self._system += blocks

    def _read_user(self, message: Document, path: str) -> None:
        blocks = self._content(message.get("content"), f"{path}.content", _ATTACHED)
        self.dropped += others(message, _SHARED, path)
        self._add("user", self._cached(blocks, message, path), path)

    def _read_assistant(self, message: Document, path: str) -> None:
        for name in ("audio", "function_call"):
            if message.get(name) is not None:
                refuse(f"{path}.{name}", "is not supported by the upstream of this model")
        blocks = self._thoughts(message, path)
        blocks += self._content(message.get("content"), f"{path}.content", _SPOKEN)
        if message.get("refusal") is not None:
            blocks += self._text(as_text(message["refusal"], f"{path}.refusal"), {}, f"{path}.refusal")
        blocks += [self._tool_use(call, at) for at, call in as_objects(message.get("tool_calls"), f"{path}.tool_calls")]
        known = _ASSISTANTS | {"annotations"} if message.get("annotations") == [] else _ASSISTANTS
        self.dropped += others(message, known, path)
        self._add("assistant", self._cached(blocks, message, path), path)

    def _read_tool(self, message: Document, path: str) -> None:
        result: Document = {
            "type": "tool_result",
            "tool_use_id": as_text(message.get("tool_call_id"), f"{path}.tool_call_id"),
        }
        blocks = self._content(message.get("content"), f"{path}.content", _ATTACHED)
        if blocks and blocks[0].get("text", "").startswith(ERROR_MARK):
            blocks = _without_mark(blocks)
            result["is_error"] = True
        if blocks:
            result["content"] = _shortest(blocks)
        self.dropped += others(message, _SHARED | {"tool_call_id"}, path)
        self._add("user", self._cached([result], message, path), path)

    def _add(self, role: str, blocks: list[Document], path: str) -> None:
        """Add blocks to the turn under way, or start one for them."""
        if not blocks:
            self.dropped.append(path)
        elif self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(blocks)
        else:
            self._turns.append((role, list(blocks)))

    def _content(self, content: Any, path: str, allowed: frozenset[str]) -> list[Document]:
        if content is None:
            return []
        if isinstance(content, str):
            return self._text(content, {}, path)
        if not isinstance(content, list):
            raise wrong_type(path, "a string, an array of parts, or null")
        blocks: list[Document] = []
        for where, part in as_objects(content, path):
            blocks += self._part(part, where, allowed)
        return blocks

    def _part(self, part: Document, path: str, allowed: frozenset[str]) -> list[Document]:
        kind = as_text(part.get("type"), f"{path}.type")
        if kind not in allowed:
            refuse(f"{path}.type", "names a kind of content that the upstream of this model does not take here")
        self.dropped += others(part, {"type", kind, "cache_control"}, path)
        if kind in _SPOKEN:
            return self._text(as_text(part.get(kind), f"{path}.{kind}"), part, path)
        block = (image_block if kind == "image_url" else document_block)(part, path, self.dropped)
        return [_with_cache_control(block, part, path)]

    def _text(self, text: str, part: Document, path: str) -> list[Document]:
        if text.strip():
            return [_with_cache_control({"type": "text", "text": text}, part, path)]
        self.dropped += [path] if text or part.get("cache_control") is not None else []
        return []

    def _cached(self, blocks: list[Document], message: Document, path: str) -> list[Document]:
        """Return the blocks, the last of them with the message's cache control."""
        if message.get("cache_control") is None:
            return blocks
        if not blocks or blocks[-1]["type"] in ("thinking", "redacted_thinking"):
            self.dropped.append(f"{path}.cache_control")
            return blocks
        return [*blocks[:-1], _with_cache_control(blocks[-1], message, path)]

    def _thoughts(self, message: Document, path: str) -> list[Document]:
        """Return the thinking blocks that carry their signature; without one Anthropic refuses them."""
        blocks: list[Document] = []
        for where, block in as_objects(message.get("thinking_blocks"), f"{path}.thinking_blocks"):
            kind = as_text(block.get("type"), f"{where}.type")
            names = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}.get(kind)
            if names is None:
                raise InvalidRequestError(f"'{where}.type' is no thinking block.", param=f"{where}.type")
            members = {name: as_text(block.get(name), f"{where}.{name}") for name in names}
            if members[names[-1]] and not members[names[-1]].startswith(SEAL):  # another provider's, otherwise
                blocks.append({"type": kind, **members})
                self.dropped += others(block, {"type", "index", *names}, where)
            else:
                self.dropped.append(where)
        for name in ("reasoning_content", "reasoning"):
            if message.get(name) not in (None, "") and not blocks:
                self.dropped.append(f"{path}.{name}")
        return blocks

    def _tool_use(self, call: Document, path: str) -> Document:
        if as_text(call.get("type") or "function", f"{path}.type") != "function":
            refuse(f"{path}.type", "must be 'function' with the upstream of this model")
        where = f"{path}.function"
        function = as_object(call.get("function"), where)
        arguments = function.get("arguments")
        self.dropped += others(call, {"id", "type", "function", "cache_control"}, path)
        self.dropped += others(function, {"name", "arguments"}, where)
        block = {
            "type": "tool_use",
            "id": as_text(call.get("id"), f"{path}.id"),
            "name": as_text(function.get("name"), f"{where}.name"),
            "input": read_arguments(as_text("" if arguments is None else arguments, f"{where}.arguments")),
        }
        return _with_cache_control(block, call, path)


def _with_cache_control(block: Document, holder: Document, path: str) -> Document:
    if holder.get("cache_control") is None:
        return block
    return {**block, "cache_control": as_object(holder["cache_control"], f"{path}.cache_control")}


def _without_mark(blocks: list[Document]) -> list[Document]:
    text = blocks[0]["text"][len(ERROR_MARK) :]
    return [*([{**blocks[0], "text": text}] if text.strip() else []), *blocks[1:]]


def _results_first(blocks: list[Document]) -> list[Document]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _shortest(blocks: list[Document]) -> str | list[Document]:
    """Return the one plain text that the blocks are, or the blocks."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _prompt(blocks: list[Document]) -> str | list[Document]:
    """Return the system prompt: one text, or blocks if one of them is to be cached."""
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)
