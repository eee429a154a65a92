"""The items of a Response while they are written: each turns what the model adds into events.

An item takes its text in pieces and ends with `close`; at any time `document` is the item as far as it has come. The
order of events is that of OpenAI's streaming reference (2026-11).
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.responses.seal import seal_blocks


class Numbering:
    """Gives each event of a stream its number."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, **members: Any) -> Document:
        """Return an event of a type such as `response.created`."""
        number = self._next
        self._next += 1
        return {"type": kind, "sequence_number": number, **members}


class Item(Protocol):
    """What the three kinds of items have in common."""

    index: int

    def document(self, status: str) -> Document:
        """Return the item as it stands, with `in_progress`, `completed` or `incomplete`."""

    def close(self) -> list[Document]:
        """Return the events that end what is open inside the item, without its own."""


class _Part:
    """A text or a refusal inside a message."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.annotations: list[Document] = []
        self.logprobs: list[Document] = []

    def document(self) -> Document:
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
        }


class MessageItem:
    """A message of the assistant: texts and refusals, of which the last may be open."""

    def __init__(self, numbering: Numbering, answer_id: str, index: int) -> None:
        self.index = index
        self.id = f"msg_{answer_id}_{index}"
        self._numbering = numbering
        self._parts: list[_Part] = []
        self._is_open = False

    def document(self, status: str) -> Document:
        """Return the item as it stands."""
        content = [part.document() for part in self._parts]
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}

    def text(self, piece: str, logprobs: list[Document]) -> list[Document]:
        """Add to the text."""
        events = self._open("output_text")
        part = self._parts[-1]
        if piece:
            part.pieces.append(piece)
            part.logprobs += logprobs
            events.append(self._event("response.output_text.delta", delta=piece, logprobs=logprobs))
        return events

    def refusal(self, piece: str) -> list[Document]:
        """Add to the refusal."""
        events = self._open("refusal")
        self._parts[-1].pieces.append(piece)
        return [*events, self._event("response.refusal.delta", delta=piece)]

    def annotation(self, annotation: Document) -> list[Document]:
        """Add a source to the text."""
        events = self._open("output_text")
        known = self._parts[-1].annotations
        kind = "response.output_text.annotation.added"
        event = self._event(kind, annotation_index=len(known), annotation=annotation)
        known.append(annotation)
        return [*events, event]

    def close(self) -> list[Document]:
        """End the open part."""
        if not self._is_open:
            return []
        self._is_open = False
        part = self._parts[-1].document()
        if part["type"] == "refusal":
            end = self._event("response.refusal.done", refusal=part["refusal"])
        else:
            end = self._event("response.output_text.done", text=part["text"], logprobs=part["logprobs"])
        return [end, self._event("response.content_part.done", part=part)]

    def _open(self, kind: str) -> list[Document]:
        if self._is_open and self._parts[-1].kind == kind:
            return []
        events = self.close()
        self._parts.append(_Part(kind))
        self._is_open = True
        return [*events, self._event("response.content_part.added", part=self._parts[-1].document())]

    def _event(self, kind: str, **members: Any) -> Document:
        content_index = len(self._parts) - 1
        return self._numbering.event(
            kind, item_id=self.id, output_index=self.index, content_index=content_index, **members
        )


class ReasoningItem:
    """What the model thought: one summary, and the thinking blocks sealed."""

    def __init__(self, numbering: Numbering, answer_id: str, index: int) -> None:
        self.index = index
        self.id = f"rs_{answer_id}_{index}"
        self._numbering = numbering
        self._pieces: list[str] = []
        self._blocks: list[Document] = []

    def document(self, status: str) -> Document:
        """Return the item as it stands; the API gives reasoning no status."""
        del status
        document: Document = {"id": self.id, "type": "reasoning", "summary": []}
        blocks = self._blocks
        if text := "".join(self._pieces):
            document["summary"] = [{"type": "summary_text", "text": text}]
            # Clients that keep nothing stored send only sealed reasoning back, so what nobody signed is sealed too.
            blocks = blocks or [{"type": "thinking", "thinking": text, "signature": ""}]
        if blocks:
            document["encrypted_content"] = seal_blocks(blocks)
        return document

    def text(self, piece: str) -> list[Document]:
        """Add to the summary."""
        events = []
        if not self._pieces:
            empty = {"type": "summary_text", "text": ""}
            events = [self._event("response.reasoning_summary_part.added", part=empty)]
        self._pieces.append(piece)
        return [*events, self._event("response.reasoning_summary_text.delta", delta=piece)]

    def block(self, block: Document) -> None:
        """Add a whole thinking block."""
        self._blocks.append(block)

    def close(self) -> list[Document]:
        """End the summary."""
        if not self._pieces:
            return []
        text = "".join(self._pieces)
        part = {"type": "summary_text", "text": text}
        return [
            self._event("response.reasoning_summary_text.done", text=text),
            self._event("response.reasoning_summary_part.done", part=part),
        ]

    def _event(self, kind: str, **members: Any) -> Document:
        return self._numbering.event(kind, item_id=self.id, output_index=self.index, summary_index=0, **members)


class CallItem:
    """A call of a function, or of a custom tool.

    Attributes:
        call_id: what its output will refer to.
    """

    def __init__(self, numbering: Numbering, answer_id: str, index: int, *, call_id: str, name: str) -> None:
        self.index = index
        self.id = f"fc_{answer_id}_{index}"
        self.call_id = call_id or f"call_{answer_id}_{index}"
        self.name = name
        self._numbering = numbering
        self._pieces: list[str] = []

    def document(self, status: str) -> Document:
        """Return the item as it stands."""
        named = {"call_id": self.call_id, "name": self.name, "arguments": "".join(self._pieces)}
        return {"id": self.id, "type": "function_call", "status": status, **named}

    def piece(self, text: str) -> list[Document]:
        """Add to the arguments."""
        self._pieces.append(text)
        return [self._event("response.function_call_arguments.delta", delta=text)]

    def is_whole(self) -> bool:
        """Tell whether nothing can be missing: the arguments are JSON."""
        try:
            msgspec.json.decode("".join(self._pieces))
        except (ValueError, RecursionError):
            return False
        return True

    def close(self) -> list[Document]:
        """End the arguments."""
        text = "".join(self._pieces)
        return [self._event("response.function_call_arguments.done", name=self.name, arguments=text)]

    def _event(self, kind: str, **members: Any) -> Document:
        return self._numbering.event(kind, item_id=self.id, output_index=self.index, **members)


class CustomCallItem(CallItem):
    """A call of a custom tool, whose input is any text."""

    def __init__(self, numbering: Numbering, answer_id: str, index: int, *, call_id: str, name: str) -> None:
        super().__init__(numbering, answer_id, index, call_id=call_id, name=name)
        self.id = f"ctc_{answer_id}_{index}"

    def document(self, status: str) -> Document:
        """Return the item as it stands; the API gives calls of custom tools no status."""
        del status
        named = {"call_id": self.call_id, "name": self.name, "input": "".join(self._pieces)}
        return {"id": self.id, "type": "custom_tool_call", **named}

    def piece(self, text: str) -> list[Document]:
        """Add to the input."""
        self._pieces.append(text)
        return [self._event("response.custom_tool_call_input.delta", delta=text)]

    def is_whole(self) -> bool:
        """Tell whether nothing can be missing, which a free text never shows."""
        return False

    def close(self) -> list[Document]:
        """End the input."""
        return [self._event("response.custom_tool_call_input.done", input="".join(self._pieces))]
