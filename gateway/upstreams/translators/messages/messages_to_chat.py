"""Serve callers of the Messages API by an upstream that speaks chat completions.

The request's members and their types are those of anthropic 2.11 and openai 3.52. Where the shapes differ in idea:

- `max_tokens` becomes `max_completion_tokens`, the name that OpenAI's reasoning models insist on.
- Several texts become one where most chat servers take nothing else: system blocks a blank line apart, an
  assistant's as they stand (a citation cuts a text in two), those of a tool result on lines of their own.
- Tool results become tool messages. Their images and files follow in a user message, after a line that says which
  call they belong to, together with what else the turn says. `is_error` puts a mark before the text.
- A signature or a redacted block travels in `thinking_blocks`; what was thought is in `reasoning_content` too.
- `thinking` is named as dropped, unless it is off: that is `reasoning_effort: none`. `effort` has the same names.
- Blocks and tools that Anthropic runs itself are refused: their results have no place in a chat.
- A stream asks for its usage chunk.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import Call, Document, StreamTranslator, Translated
from gateway.upstreams.translators.fields import (
    as_flag,
    as_list,
    as_number,
    as_object,
    as_objects,
    as_text,
    as_whole,
    others,
    present,
    refuse,
    wrong_type,
)
from gateway.upstreams.translators.messages.attachments import document_parts, image_part, text_part
from gateway.upstreams.translators.messages.completion_to_message import MessageStream, message
from gateway.upstreams.translators.messages.tool_calls import ERROR_MARK, write_arguments

_REFUSED: Final = ("container", "mcp_servers")
_READ: Final = frozenset(
    {
        *_REFUSED,
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_ROLES: Final = ("user", "assistant", "system")


class MessagesToChat:
    """Messages for the caller, chat completions at the upstream."""

    def request(self, document: Document, *, max_output_tokens: int) -> Translated:
        """Return the request as a chat request; see `Translator.request` and the module."""
        return _Request(document).translated(max_output_tokens)

    def answer(self, call: Call, answer: Document) -> Document:
        """Return a `chat.completion` as a Message; see `Translator.answer`."""
        return message(call, answer)

    def stream(self, call: Call) -> StreamTranslator:
        """Start translating `chat.completion.chunk` documents into the events of a Message."""
        return MessageStream(call)


class _Request:
    """One request while it is read; each method adds its members to `out` or their paths to `dropped`."""

    def __init__(self, document: Document) -> None:
        self._document = present(document)
        self._out: Document = {}
        self._dropped: list[str] = []
        self._messages: list[Document] = []

    def translated(self, max_output_tokens: int) -> Translated:
        """Return the request in the other shape."""
        for name in _REFUSED:
            if self._document.get(name) not in (None, []):
                refuse(name, "is not supported by the upstream of this model")
        self._out["model"] = as_text(self._document.get("model"), "model")
        self._converse()
        self._sample(max_output_tokens)
        self._identify()
        self._configure()
        self._offer_tools()
        self._dropped += others(self._document, _READ)
        return Translated({**self._out, "messages": self._messages}, tuple(self._dropped))

    def _sample(self, max_output_tokens: int) -> None:
        document, out = self._document, self._out
        out["max_completion_tokens"] = as_whole(document.get("max_tokens", max_output_tokens), "max_tokens")
        for name in ("temperature", "top_p"):
            if name in document:
                out[name] = as_number(document[name], name)
        sequences = as_list(document.get("stop_sequences"), "stop_sequences")
        if sequences:
            out["stop"] = [as_text(entry, f"stop_sequences[{index}]") for index, entry in enumerate(sequences)]
        if "stream" in document:
            out["stream"] = as_flag(document["stream"], "stream")
            out |= {"stream_options": {"include_usage": True}} if out["stream"] else {}

    def _identify(self) -> None:
        metadata = as_object(self._document.get("metadata"), "metadata")
        if metadata.get("user_id") is not None:
            self._out["user"] = as_text(metadata["user_id"], "metadata.user_id")
        self._dropped += others(metadata, {"user_id"}, "metadata")

    def _configure(self) -> None:
        config = as_object(self._document.get("output_config"), "output_config")
        self._dropped += others(config, {"effort", "format"}, "output_config")
        thinking = as_object(self._document.get("thinking"), "thinking")
        if thinking.get("type") == "disabled":
            self._out["reasoning_effort"] = "none"
        elif thinking:
            self._dropped.append("thinking")
        if config.get("effort") is not None:
            effort = as_text(config["effort"], "output_config.effort")
            if self._out.setdefault("reasoning_effort", effort) != effort:
                self._dropped.append("output_config.effort")
        wanted = as_object(config.get("format"), "output_config.format")
        if wanted:
            self._format(wanted, "output_config.format")

    def _format(self, wanted: Document, path: str) -> None:
        if as_text(wanted.get("type"), f"{path}.type") != "json_schema":
            refuse(f"{path}.type", "names a format that the upstream of this model does not have")
        schema = {"name": "answer", "schema": as_object(wanted.get("schema"), f"{path}.schema"), "strict": True}
        self._out["response_format"] = {"type": "json_schema", "json_schema": schema}
        self._dropped += others(wanted, {"type", "schema"}, path)

    def _offer_tools(self) -> None:
        tools = [self._tool(tool, path) for path, tool in as_objects(self._document.get("tools"), "tools")]
        if tools:
            self._out["tools"] = tools
        choice = as_object(self._document.get("tool_choice"), "tool_choice")
        if not choice:
            return
        kind = as_text(choice.get("type"), "tool_choice.type")
        if kind == "tool":
            function = {"name": as_text(choice.get("name"), "tool_choice.name")}
            self._out["tool_choice"] = {"type": "function", "function": function}
        elif kind in _CHOICES:
            self._out["tool_choice"] = _CHOICES[kind]
        else:
            refuse("tool_choice.type", "names a choice that the upstream of this model does not have")
        if choice.get("disable_parallel_tool_use") is not None:
            disabled = as_flag(choice["disable_parallel_tool_use"], "tool_choice.disable_parallel_tool_use")
            self._out["parallel_tool_calls"] = not disabled
        known = {"type", "disable_parallel_tool_use", *({"name"} if kind == "tool" else ())}
        self._dropped += others(choice, known, "tool_choice")

    def _tool(self, tool: Document, path: str) -> Document:
        kind = tool.get("type")
        if kind is not None and as_text(kind, f"{path}.type") != "custom":
            refuse(f"{path}.type", "names a tool that only Anthropic runs")
        function: Document = {"name": as_text(tool.get("name"), f"{path}.name")}
        if tool.get("description") is not None:
            function["description"] = as_text(tool["description"], f"{path}.description")
        function["parameters"] = as_object(tool.get("input_schema"), f"{path}.input_schema")
        if tool.get("strict") is not None:
            function["strict"] = as_flag(tool["strict"], f"{path}.strict")
        self._dropped += others(tool, {"type", "name", "description", "input_schema", "strict"}, path)
        return {"type": "function", "function": function}

    def _converse(self) -> None:
        self._instruct(self._document.get("system"), "system")
        for path, turn in as_objects(self._document.get("messages"), "messages"):
            role = as_text(turn.get("role"), f"{path}.role")
            self._dropped += others(turn, {"role", "content"}, path)
            where = f"{path}.content"
            if role == "system":
                self._instruct(turn.get("content"), where)
            elif role == "user":
                self._ask(_blocks(turn.get("content"), where), where)
            elif role == "assistant":
                self._speak(_blocks(turn.get("content"), where))
            else:
                raise InvalidRequestError(f"'{path}.role' must be one of {', '.join(_ROLES)}.", param=f"{path}.role")
        if not self._messages:
            raise InvalidRequestError("'messages' must not be empty.", param="messages")

    def _instruct(self, content: Any, path: str) -> None:
        texts = [text_part(block, where, self._dropped)["text"] for where, block in _blocks(content, path)]
        if texts:
            self._messages.append({"role": "system", "content": "\n\n".join(texts)})

    def _ask(self, blocks: list[tuple[str, Document]], path: str) -> None:
        """Read a user's turn: tool messages first, then one user message with all the rest."""
        parts: list[Document] = []
        spoken: list[Document] = []
        for where, block in blocks:
            if block["type"] == "tool_result":
                parts += self._result(block, where)
            else:
                spoken += self._parts(block, where)
        parts += spoken
        if parts:
            self._messages.append({"role": "user", "content": _shortest(parts)})
        elif not blocks:
            self._dropped.append(path)

    def _parts(self, block: Document, path: str) -> list[Document]:
        """Return the parts for what a user says or a tool returns."""
        kind = block["type"]
        if kind == "image":
            return [image_part(block, path, self._dropped)]
        if kind == "document":
            return document_parts(block, path, self._dropped)
        if kind == "search_result":
            return self._found(block, path)
        return [text_part(block, path, self._dropped)]

    def _found(self, block: Document, path: str) -> list[Document]:
        """Return a search result as text: title and source on lines of their own, then what was found."""
        head = "\n".join(as_text(block.get(name), f"{path}.{name}") for name in ("title", "source"))
        found = as_objects(block.get("content"), f"{path}.content")
        self._dropped += others(block, {"type", "title", "source", "content"}, path)
        return [{"type": "text", "text": head}, *(text_part(text, where, self._dropped) for where, text in found)]

    def _result(self, block: Document, path: str) -> list[Document]:
        """Add a tool message; return what of the result only a user message can hold."""
        identifier = as_text(block.get("tool_use_id"), f"{path}.tool_use_id")
        self._dropped += others(block, {"type", "tool_use_id", "content", "is_error"}, path)
        parts: list[Document] = []
        for where, inner in _blocks(block.get("content"), f"{path}.content"):
            parts += self._parts(inner, where)
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if block.get("is_error") is not None and as_flag(block["is_error"], f"{path}.is_error"):
            text = ERROR_MARK + text
        self._messages.append({"role": "tool", "tool_call_id": identifier, "content": text})
        attached = [part for part in parts if part["type"] != "text"]
        return [{"type": "text", "text": f"Attached to the result of {identifier}:"}, *attached] if attached else []

    def _speak(self, blocks: list[tuple[str, Document]]) -> None:
        texts: list[str] = []
        thoughts: list[Document] = []
        calls: list[Document] = []
        for path, block in blocks:
            if block["type"] == "tool_use":
                calls.append(self._tool_call(block, path))
            elif block["type"] in ("thinking", "redacted_thinking"):
                thoughts.append(self._thought(block, path))
            else:
                texts.append(text_part(block, path, self._dropped)["text"])
        said: Document = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
        reasoning = "".join(thought.get("thinking", "") for thought in thoughts)
        if reasoning:
            said["reasoning_content"] = reasoning
        if thoughts:
            said["thinking_blocks"] = thoughts
        if calls:
            said["tool_calls"] = calls
        self._messages.append(said)

    def _thought(self, block: Document, path: str) -> Document:
        names = ("thinking", "signature") if block["type"] == "thinking" else ("data",)
        self._dropped += others(block, {"type", *names}, path)
        return {"type": block["type"], **{name: as_text(block.get(name), f"{path}.{name}") for name in names}}

    def _tool_call(self, block: Document, path: str) -> Document:
        self._dropped += others(block, {"type", "id", "name", "input"}, path)
        arguments = write_arguments(as_object(block.get("input"), f"{path}.input"), f"{path}.input")
        return {
            "id": as_text(block.get("id"), f"{path}.id"),
            "type": "function",
            "function": {"name": as_text(block.get("name"), f"{path}.name"), "arguments": arguments},
        }


def _blocks(content: Any, path: str) -> list[tuple[str, Document]]:
    """Return blocks with their paths, each with a `type` that is a string; a text alone is a block."""
    if isinstance(content, str):
        return [(path, {"type": "text", "text": content})] if content else []
    if content is not None and not isinstance(content, list):
        raise wrong_type(path, "a string or an array of blocks")
    named = as_objects(content, path)
    for where, block in named:
        as_text(block.get("type"), f"{where}.type")
    return named


def _shortest(parts: list[Document]) -> str | list[Document]:
    """Return the one text that the parts are, or the parts."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts
