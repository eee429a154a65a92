"""A Response as its events, in the order of OpenAI's streaming reference (2026-11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.answers.reading import Document, has_more_than
from gateway.answers.rendering.base import How, argument_pieces, named_event, pieces

_OF_ITEM: Final = {
    "message": frozenset({"id", "type", "status", "role", "content", "phase"}),
    "reasoning": frozenset({"id", "type", "status", "summary"}),
    "function_call": frozenset({"id", "type", "status", "call_id", "name", "arguments", "namespace"}),
    "custom_tool_call": frozenset({"id", "type", "status", "call_id", "name", "input"}),
}
_OF_PART: Final = frozenset({"type", "text"})
_OF_CALL: Final = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
"""By kind of call: the member that is its text, and what its events are called."""


class ResponsesRenderer:
    """Renders Responses of messages, calls and summaries of reasoning.

    Those with sealed reasoning, citations, logprobs, refusals or results of hosted tools it does not.
    """

    def says_all(self, document: Document) -> bool:
        """Tell whether events would say it all; see `Renderer.says_all`."""
        output = document.get("output")
        return isinstance(output, list) and all(isinstance(item, dict) and _says_all(item) for item in output)

    def events(self, document: Document, how: How, *, wants_usage: bool) -> Iterator[bytes]:
        """Yield the events; see `Renderer.events`. Usage is always told."""
        del wants_usage
        for number, event in enumerate(_events(document, how)):
            yield named_event({"type": event.pop("type"), "sequence_number": number, **event})


def _says_all(item: Document) -> bool:
    kind = item.get("type")
    known = _OF_ITEM.get(kind) if isinstance(kind, str) else None
    if known is None or has_more_than(item, known) or not isinstance(item.get("id"), str):
        return False
    if kind == "message":
        return _are_texts(item.get("content"), "output_text")
    if kind == "reasoning":
        return _are_texts(item.get("summary"), "summary_text")
    return isinstance(item.get(_OF_CALL[str(kind)][0]), str)


def _are_texts(parts: Any, kind: str) -> bool:
    """Tell whether some parts are texts and nothing but texts."""
    return isinstance(parts, list) and all(
        isinstance(part, dict)
        and part.get("type") == kind
        and isinstance(part.get("text"), str)
        and not has_more_than(part, _OF_PART)
        for part in parts
    )


def _events(document: Document, how: How) -> Iterator[Document]:
    begun = {name: value for name, value in document.items() if name not in ("usage", "completed_at")}
    begun |= {"status": "in_progress", "output": []}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(document["output"]):
        yield from _events_of(index, item, how)
    yield {"type": "response.completed", "response": document}


def _events_of(index: int, item: Document, how: How) -> Iterator[Document]:
    kind = item["type"]
    place = {"item_id": item["id"], "output_index": index}
    emptied: Document = {"content": []} if kind == "message" else {"summary": []}
    if kind in _OF_CALL:
        emptied = {_OF_CALL[kind][0]: ""}
    status = {"status": "in_progress"} if "status" in item else {}
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **emptied, **status}}
    if kind == "message":
        yield from _message(place, item["content"], how)
    elif kind == "reasoning":
        yield from _summary(place, item["summary"], how)
    else:
        yield from _call(place, item, how)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _message(place: Document, parts: list[Document], how: How) -> Iterator[Document]:
    for at, part in enumerate(parts):
        here = {**place, "content_index": at}
        yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
        for piece in pieces(part["text"], how):
            yield {"type": "response.output_text.delta", **here, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **here, "part": part}


def _summary(place: Document, parts: list[Document], how: How) -> Iterator[Document]:
    for at, part in enumerate(parts):
        here = {**place, "summary_index": at}
        yield {"type": "response.reasoning_summary_part.added", **here, "part": {**part, "text": ""}}
        for piece in pieces(part["text"], how):
            yield {"type": "response.reasoning_summary_text.delta", **here, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **here, "part": part}


def _call(place: Document, item: Document, how: How) -> Iterator[Document]:
    name, events = _OF_CALL[item["type"]]
    for piece in argument_pieces(item[name], how):
        yield {"type": f"{events}.delta", **place, "delta": piece}
    named = {"name": item["name"]} if name == "arguments" and "name" in item else {}
    yield {"type": f"{events}.done", **place, **named, name: item[name]}
