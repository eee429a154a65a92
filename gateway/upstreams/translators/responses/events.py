"""The chunks of a chat completion as the events of a Response.

Items come one after the other, in the order their first piece came: an item closes when one of another kind begins.
Calls may come interleaved, so that a call stays open beside the next one unless its arguments are complete. `usage`
comes after the end, so that the last event is written only in `finish`.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams.translators.base import Call, Document
from gateway.upstreams.translators.fields import (
    as_list,
    as_object,
    as_objects,
    as_text,
    as_whole,
    present,
    reading_answer,
    wrong_type,
)
from gateway.upstreams.translators.responses.failure import upstream_failure
from gateway.upstreams.translators.responses.items import (
    CallItem,
    CustomCallItem,
    Item,
    MessageItem,
    Numbering,
    ReasoningItem,
)
from gateway.upstreams.translators.responses.logprobs import read_logprobs
from gateway.upstreams.translators.responses.object import response_in_progress
from gateway.upstreams.translators.responses.seal import read_blocks
from gateway.upstreams.translators.responses.usage import as_responses_usage

_Item = TypeVar("_Item", MessageItem, ReasoningItem)

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is incomplete, by the chat's `finish_reason`."""


class ResponseEvents:
    """Turns chunks into events; the last one carries the whole Response."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._numbering = Numbering()
        self._response: Document = {}
        self._events: list[Document] = []
        self._open: list[Item] = []
        self._output: list[Document] = []
        self._calls: dict[int, CallItem] = {}
        self._finish_reason: str | None = None
        self._usage: Document | None = None

    def feed(self, event: Document) -> list[Document]:
        """Return the events that follow from one chunk.

        Raises:
            UpstreamGarbledError: it is no chunk, or goes on with a call that was complete.
            UpstreamRefusedError: it says that the upstream failed.
        """
        if event.get("error") is not None:
            raise upstream_failure(event["error"])
        with reading_answer():
            if not self._response:
                self._begin(event)
            self._note(event)
            for path, choice in as_objects(event.get("choices"), "choices"):
                self._choice(choice, path)
        return self._taken()

    def finish(self) -> list[Document]:
        """Return the event that ends the stream.

        Raises:
            UpstreamGarbledError: there was no `finish_reason`.
        """
        if self._finish_reason is None:
            raise UpstreamGarbledError("The upstream's answer ended before it was complete.")
        reason = _INCOMPLETE.get(self._finish_reason)
        if not self._output and reason is None:
            self._message().text("", [])
        self._close_all()
        status = "incomplete" if reason else "completed"
        response = {**self._response, "status": status, "output": list(self._output)}
        if reason:
            response["incomplete_details"] = {"reason": reason}
        if self._usage is not None:
            response["usage"] = as_responses_usage(self._usage)
        self._say(f"response.{status}", response=response)
        return self._taken()

    def _begin(self, chunk: Document) -> None:
        model = chunk.get("model")
        self._response = response_in_progress(
            self._call, model if isinstance(model, str) and model else self._call.model
        )
        self._say("response.created", response=self._response)
        self._say("response.in_progress", response=self._response)

    def _note(self, chunk: Document) -> None:
        """Keep what only the last event tells."""
        if chunk.get("usage") is not None:
            self._usage = as_object(chunk["usage"], "usage")
        if isinstance(chunk.get("service_tier"), str):
            self._response = {**self._response, "service_tier": chunk["service_tier"]}

    def _choice(self, choice: Document, path: str) -> None:
        if choice.get("index") not in (None, 0):
            raise wrong_type(f"{path}.index", "0, since one answer was asked for")
        delta = present(as_object(choice.get("delta"), f"{path}.delta"))
        where = f"{path}.delta"
        self._think(delta, where)
        logprobs = as_object(choice.get("logprobs"), f"{path}.logprobs")
        self._speak(delta, where, read_logprobs(logprobs.get("content"), f"{path}.logprobs.content", as_list))
        for place, call in as_objects(delta.get("tool_calls"), f"{where}.tool_calls"):
            self._call_tool(present(call), place)
        if choice.get("finish_reason") is not None:
            self._finish_reason = as_text(choice["finish_reason"], f"{path}.finish_reason")
            self._close_all()

    def _think(self, delta: Document, path: str) -> None:
        name = "reasoning_content" if "reasoning_content" in delta else "reasoning"
        if text := as_text(delta.get(name, ""), f"{path}.{name}"):
            self._events += self._reasoning().text(text)
        for block in read_blocks(delta.get("thinking_blocks"), f"{path}.thinking_blocks"):
            self._reasoning().block(block)

    def _speak(self, delta: Document, path: str, logprobs: list[Document]) -> None:
        if text := _content(delta.get("content", ""), f"{path}.content"):
            self._events += self._message().text(text, logprobs)
        if refusal := as_text(delta.get("refusal", ""), f"{path}.refusal"):
            self._events += self._message().refusal(refusal)
        for _, annotation in as_objects(delta.get("annotations"), f"{path}.annotations"):
            if (source := _source(annotation)) is not None:
                self._events += self._message().annotation(source)

    def _call_tool(self, call: Document, path: str) -> None:
        kind = "custom" if "custom" in call else "function"
        payload = present(as_object(call.get(kind), f"{path}.{kind}"))
        text_name = "input" if kind == "custom" else "arguments"
        text = as_text(payload.get(text_name, ""), f"{path}.{kind}.{text_name}")
        item = self._called(call, payload, path)
        if text and item not in self._open:
            raise wrong_type(path, "a part of a call that is not complete yet")
        if text:
            self._events += item.piece(text)

    def _called(self, call: Document, payload: Document, path: str) -> CallItem:
        """Return the call that a delta belongs to, opening it where need be.

        Some servers give every call the same `index`: a new id with a name is a new call.
        """
        index = self._index_of(call, payload, path)
        item = self._calls.get(index)
        call_id = as_text(call.get("id", ""), f"{path}.id")
        if item is None or (call_id not in ("", item.call_id) and "name" in payload):
            kind = CustomCallItem if "custom" in call else CallItem
            name = as_text(payload.get("name"), f"{path}.name")
            self._make_room_for_call()
            item = kind(self._numbering, self._call.answer_id, len(self._output), call_id=call_id, name=name)
            self._begin_item(item)
            self._calls[index] = item
        return item

    def _index_of(self, call: Document, payload: Document, path: str) -> int:
        """Return the `index` of a delta; without one, a name begins the next call and the rest is the last one's."""
        if "index" in call:
            return as_whole(call["index"], f"{path}.index")
        return len(self._calls) - (0 if "name" in payload else 1)

    def _make_room_for_call(self) -> None:
        for item in list(self._open):
            if not isinstance(item, CallItem) or item.is_whole():
                self._close(item, "completed")

    def _message(self) -> MessageItem:
        return self._current(MessageItem)

    def _reasoning(self) -> ReasoningItem:
        return self._current(ReasoningItem)

    def _current(self, kind: type[_Item]) -> _Item:
        """Return the open item of a kind, after closing others and opening it where need be."""
        if self._open and isinstance(self._open[-1], kind):
            return self._open[-1]
        self._close_open("completed")
        item = kind(self._numbering, self._call.answer_id, len(self._output))
        self._begin_item(item)
        return item

    def _begin_item(self, item: Item) -> None:
        document = item.document("in_progress")
        self._output.append(document)
        self._open.append(item)
        self._say("response.output_item.added", output_index=item.index, item=document)

    def _close_all(self) -> None:
        """Close what is open at the end: the item that was cut off is incomplete."""
        self._close_open("incomplete" if self._finish_reason in _INCOMPLETE else "completed")

    def _close_open(self, status: str) -> None:
        for item in list(self._open):
            self._close(item, status)

    def _close(self, item: Item, status: str) -> None:
        self._events += item.close()
        self._open.remove(item)
        self._output[item.index] = item.document(status)
        self._say("response.output_item.done", output_index=item.index, item=self._output[item.index])

    def _say(self, kind: str, **members: Any) -> None:
        self._events.append(self._numbering.event(kind, **members))

    def _taken(self) -> list[Document]:
        events, self._events = self._events, []
        return events


def _content(value: Any, path: str) -> str:
    """Return the text of a delta, which a few servers send as parts."""
    if isinstance(value, str):
        return value
    texts = [as_text(part.get("text"), f"{where}.text") for where, part in as_objects(value, path)]
    return "".join(texts)


def _source(annotation: Document) -> Document | None:
    """Return a cited page in the flat form of Responses; chat defines no other annotations."""
    page = annotation.get("url_citation")
    if not isinstance(page, dict) or not isinstance(page.get("url"), str):
        return None
    start, end, title = (page.get(name) for name in ("start_index", "end_index", "title"))
    return {
        "type": "url_citation",
        "url": page["url"],
        "start_index": start if isinstance(start, int) else 0,
        "end_index": end if isinstance(end, int) else 0,
        "title": title if isinstance(title, str) else "",
    }
