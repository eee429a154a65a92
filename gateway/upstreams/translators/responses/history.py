"""The messages of a chat as the input items of a Responses request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.fields import as_object, as_objects, as_text, others, present, refuse, wrong_type
from gateway.upstreams.translators.responses.seal import read_blocks, unseal_item

_ASSISTANT: Final = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "thinking_blocks"})
_REFUSED: Final[Mapping[str, str]] = {
    "audio": "is not something this model can be sent",
    "function_call": "is not available for this model; send `tool_calls`",
}


class History:
    """Turns messages into items.

    Attributes:
        items: the input so far.
        dropped: paths of what Responses has no words for.
    """

    def __init__(self) -> None:
        self.items: list[Document] = []
        self.dropped: list[str] = []
        self._custom_calls: set[str] = set()

    def add(self, message: Document, path: str) -> None:
        """Add one message, which has no null members.

        Raises:
            InvalidRequestError: it is malformed, or Responses has no counterpart.
        """
        role = as_text(message.get("role"), f"{path}.role")
        if role == "assistant":
            self._said(message, path)
        elif role == "tool":
            self._output(message, path)
        elif role in ("user", "system", "developer"):
            self.dropped += others(message, ("role", "content"), path)
            content = self._content(message.get("content"), f"{path}.content")
            self.items.append({"type": "message", "role": role, "content": content})
        else:
            refuse(f"{path}.role", "is a role that this model cannot be sent")

    def _said(self, message: Document, path: str) -> None:
        for name, why in _REFUSED.items():
            if name in message:
                refuse(f"{path}.{name}", why)
        self.dropped += others(message, _ASSISTANT, path)
        self._thought(message, path)
        self._spoken(message, path)
        for where, call in as_objects(message.get("tool_calls"), f"{path}.tool_calls"):
            self._called(call, where)

    def _thought(self, message: Document, path: str) -> None:
        blocks = read_blocks(message.get("thinking_blocks"), f"{path}.thinking_blocks")
        text = as_text(message.get("reasoning_content", ""), f"{path}.reasoning_content")
        own = [item for item in map(unseal_item, blocks) if item is not None]
        self.items += own
        if blocks and len(own) < len(blocks):
            self.dropped.append(f"{path}.thinking_blocks")
        if text and not own:
            self.dropped.append(f"{path}.reasoning_content")

    def _spoken(self, message: Document, path: str) -> None:
        content, refusal = message.get("content"), as_text(message.get("refusal", ""), f"{path}.refusal")
        if isinstance(content, str) and not refusal:
            self.items.append({"type": "message", "role": "assistant", "content": content})
            return
        parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else []
        if not isinstance(content, str):
            parts = [self._spoken_part(part, where) for where, part in as_objects(content, f"{path}.content")]
        if refusal:
            parts.append({"type": "refusal", "refusal": refusal})
        if parts:
            self.items.append({"type": "message", "role": "assistant", "content": parts})
        elif not message.get("tool_calls"):
            self.dropped.append(path)

    def _spoken_part(self, part: Document, path: str) -> Document:
        kind = as_text(part.get("type"), f"{path}.type")
        if kind == "refusal":
            self.dropped += others(part, ("type", "refusal"), path)
            return {"type": "refusal", "refusal": as_text(part.get("refusal"), f"{path}.refusal")}
        if kind != "text":
            refuse(f"{path}.type", "is a type of content that this model cannot be sent")
        self.dropped += others(part, ("type", "text"), path)
        return {"type": "output_text", "text": as_text(part.get("text"), f"{path}.text")}

    def _called(self, call: Document, path: str) -> None:
        kind = as_text(call.get("type", "function"), f"{path}.type")
        if kind not in ("function", "custom"):
            refuse(f"{path}.type", "is a type of tool that is not available for this model")
        call_id = as_text(call.get("id"), f"{path}.id")
        text_name = "input" if kind == "custom" else "arguments"
        payload, where = as_object(call.get(kind), f"{path}.{kind}"), f"{path}.{kind}"
        self.dropped += [*others(call, ("id", "type", kind), path), *others(payload, ("name", text_name), where)]
        name = as_text(payload.get("name"), f"{where}.name")
        text = as_text(payload.get(text_name), f"{where}.{text_name}")
        if kind == "custom":
            self._custom_calls.add(call_id)
        item_type = "custom_tool_call" if kind == "custom" else "function_call"
        self.items.append({"type": item_type, "call_id": call_id, "name": name, text_name: text})

    def _output(self, message: Document, path: str) -> None:
        self.dropped += others(message, ("role", "content", "tool_call_id"), path)
        call_id = as_text(message.get("tool_call_id"), f"{path}.tool_call_id")
        item_type = "custom_tool_call_output" if call_id in self._custom_calls else "function_call_output"
        output = self._content(message.get("content", ""), f"{path}.content")
        self.items.append({"type": item_type, "call_id": call_id, "output": output})

    def _content(self, content: Any, path: str) -> str | list[Document]:
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise wrong_type(path, "a string or an array of parts")
        return [self._part(present(part), where) for where, part in as_objects(content, path)]

    def _part(self, part: Document, path: str) -> Document:
        kind = as_text(part.get("type"), f"{path}.type")
        readers: Mapping[str, Callable[[Document, str], Document]] = {
            "text": self._text,
            "image_url": self._image,
            "file": self._file,
        }
        if kind not in readers:
            refuse(f"{path}.type", "is a type of content that this model cannot be sent")
        self.dropped += others(part, ("type", kind, "prompt_cache_breakpoint"), path)
        read = readers[kind](part, path)
        if "prompt_cache_breakpoint" in part:
            where = f"{path}.prompt_cache_breakpoint"
            read["prompt_cache_breakpoint"] = as_object(part["prompt_cache_breakpoint"], where)
        return read

    def _text(self, part: Document, path: str) -> Document:
        return {"type": "input_text", "text": as_text(part.get("text"), f"{path}.text")}

    def _image(self, part: Document, path: str) -> Document:
        where = f"{path}.image_url"
        image = present(as_object(part.get("image_url"), where))
        self.dropped += others(image, ("url", "detail"), where)
        detail = as_text(image.get("detail", "auto"), f"{where}.detail")
        return {"type": "input_image", "image_url": as_text(image.get("url"), f"{where}.url"), "detail": detail}

    def _file(self, part: Document, path: str) -> Document:
        where = f"{path}.file"
        file = present(as_object(part.get("file"), where))
        names = ("filename", "file_data", "file_id")
        self.dropped += others(file, names, where)
        return {
            "type": "input_file",
            **{name: as_text(file[name], f"{where}.{name}") for name in names if name in file},
        }
