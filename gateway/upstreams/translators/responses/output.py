"""The events of a Response as the chunks of a chat completion, and a whole Response as a whole completion.

An upstream that sends few deltas loses nothing: what an item holds at its end and was not sent before is sent then, and
if nothing was sent at all, what the Response holds. Messages and texts of one Response follow each other without a gap,
summaries with an empty line. A reasoning item that can be sent back is sealed into a thinking block.

Thinking blocks carry an `index`, without which the stream helper of openai-python 3.52 cannot add up a list, and
citations come all at once for the same reason. Calls of custom tools go without a `type`: the published chunk allows
`function` only (openai-openapi issue 576), and that helper raises AttributeError when it reads `custom` there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams.translators.base import Call, Document
from gateway.upstreams.translators.fields import (
    as_object,
    as_objects,
    as_text,
    as_whole,
    present,
    reading_answer,
    wrong_type,
)
from gateway.upstreams.translators.responses.failure import upstream_failure
from gateway.upstreams.translators.responses.logprobs import read_logprobs
from gateway.upstreams.translators.responses.seal import read_blocks, seal_item
from gateway.upstreams.translators.responses.usage import as_chat_usage

_SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_Key = tuple[str, int, int]
"""One text of a Response: its kind, the place of its item, its place there."""


class ChatChunks:
    """Turns events into chunks."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._model = call.model
        options = call.request.get("stream_options") or {}
        self._wants_usage = options.get("include_usage") is True
        self._chunks: list[Document] = []
        self._has_begun = False
        self._has_ended = False
        self._sent: dict[_Key, list[str]] = {}
        self._starts: dict[_Key, int] = {}
        self._length = 0
        self._thoughts: dict[int, str] = {}
        self._blocks = 0
        self._calls: dict[int, tuple[int, str]] = {}
        self._citations: list[Document] = []
        self._readers: Mapping[str, Callable[[Document], None]] = {
            "response.created": self._created,
            "response.output_item.added": self._item_added,
            "response.output_text.delta": self._text_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._reasoning_delta,
            "response.function_call_arguments.delta": self._call_delta,
            "response.custom_tool_call_input.delta": self._call_delta,
            "response.output_item.done": self._item_done,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": _failed,
            "error": _broken,
        }

    def feed(self, event: Document) -> list[Document]:
        """Return the chunks that follow from one event; events that say nothing new have none.

        Raises:
            UpstreamGarbledError: the event has no place here.
            UpstreamRefusedError: it says that the upstream failed.
        """
        with reading_answer():
            reader = self._readers.get(as_text(event.get("type"), "type"))
            if reader is not None:
                reader(event)
        chunks, self._chunks = self._chunks, []
        return chunks

    def finish(self) -> list[Document]:
        """Return nothing: the end of the Response was the last event.

        Raises:
            UpstreamGarbledError: there was no such event.
        """
        if not self._has_ended:
            raise UpstreamGarbledError("The upstream's answer ended before it was complete.")
        return []

    def _created(self, event: Document) -> None:
        self._model = as_text(_response(event).get("model") or self._model, "response.model")

    def _text_delta(self, event: Document) -> None:
        key = ("text", _index(event), _index(event, "content_index"))
        self._text(key, as_text(event.get("delta"), "delta"), read_logprobs(event.get("logprobs"), "logprobs", _bytes))

    def _refusal_delta(self, event: Document) -> None:
        key = ("refusal", _index(event), _index(event, "content_index"))
        self._refusal(key, as_text(event.get("delta"), "delta"))

    def _summary_delta(self, event: Document) -> None:
        key = ("summary", _index(event), _index(event, "summary_index"))
        self._thought(key, as_text(event.get("delta"), "delta"))

    def _reasoning_delta(self, event: Document) -> None:
        key = ("content", _index(event), _index(event, "content_index"))
        self._thought(key, as_text(event.get("delta"), "delta"))

    def _call_delta(self, event: Document) -> None:
        self._call_text(_index(event), as_text(event.get("delta"), "delta"))

    def _item_added(self, event: Document) -> None:
        item = as_object(event.get("item"), "item")
        if item.get("type") in ("function_call", "custom_tool_call"):
            self._open_call(_index(event), item)

    def _item_done(self, event: Document) -> None:
        """Send what the item holds and its deltas did not."""
        item = as_object(event.get("item"), "item")
        index, kind = _index(event), item.get("type")
        if kind == "message":
            self._message_done(index, item)
        elif kind == "reasoning":
            self._reasoning_done(index, item)
        elif kind in ("function_call", "custom_tool_call"):
            name = "arguments" if kind == "function_call" else "input"
            self._open_call(index, item)
            self._call_text(index, self._rest(("call", index, 0), as_text(item.get(name), f"item.{name}")))

    def _message_done(self, index: int, item: Document) -> None:
        for place, (path, part) in enumerate(as_objects(item.get("content"), "item.content")):
            if part.get("type") == "refusal":
                key = ("refusal", index, place)
                self._refusal(key, self._rest(key, as_text(part.get("refusal"), f"{path}.refusal")))
            elif part.get("type") == "output_text":
                key = ("text", index, place)
                rest = self._rest(key, as_text(part.get("text"), f"{path}.text"))
                logprobs = [] if key in self._sent else read_logprobs(part.get("logprobs"), f"{path}.logprobs", _bytes)
                self._text(key, rest, logprobs)
                self._cite(part, self._starts[key], path)

    def _cite(self, part: Document, start: int, path: str) -> None:
        """Keep the pages that a text cites; chat has no words for citations of files."""
        for where, source in as_objects(part.get("annotations"), f"{path}.annotations"):
            if source.get("type") == "url_citation":
                page = {name: as_text(source.get(name), f"{where}.{name}") for name in ("url", "title")}
                span = {name: as_whole(source.get(name), f"{where}.{name}") for name in ("start_index", "end_index")}
                moved = {name: place + start for name, place in span.items()}
                self._citations.append({"type": "url_citation", "url_citation": {**page, **moved}})

    def _reasoning_done(self, index: int, item: Document) -> None:
        texts = _texts(item, "summary") or _texts(item, "content")
        for place, text in enumerate(texts):
            key = ("summary" if item.get("summary") else "content", index, place)
            self._thought(key, self._rest(key, text))
        if isinstance(item.get("encrypted_content"), str):
            block = seal_item(item, "\n\n".join(texts))
            self._begin(None)
            self._say({"thinking_blocks": [{"index": self._blocks, **block}]})
            self._blocks += 1

    def _ended(self, event: Document) -> None:
        response = _response(event)
        if not self._has_begun:
            self._created(event)
            for index, (_, item) in enumerate(as_objects(response.get("output"), "response.output")):
                self._item_done({"output_index": index, "item": item})
        self._begin(None)
        if self._citations:
            self._say({"annotations": self._citations})
        self._say({}, finish_reason=self._finish_reason(response))
        if self._wants_usage and response.get("usage") is not None:
            usage = as_chat_usage(as_object(response["usage"], "response.usage"))
            self._chunks.append({**self._envelope(), "choices": [], "usage": usage})
        self._has_ended = True

    def _finish_reason(self, response: Document) -> str:
        details = present(as_object(response.get("incomplete_details"), "response.incomplete_details"))
        if details or response.get("status") == "incomplete":
            return "content_filter" if details.get("reason") == "content_filter" else "length"
        return "tool_calls" if self._calls else "stop"

    def _text(self, key: _Key, piece: str, logprobs: list[Document]) -> None:
        self._begin("")
        self._starts.setdefault(key, self._length)
        self._length += len(piece)
        if piece:
            self._sent.setdefault(key, []).append(piece)
            self._say({"content": piece}, logprobs)

    def _refusal(self, key: _Key, piece: str) -> None:
        if piece:
            self._begin(None)
            self._sent.setdefault(key, []).append(piece)
            self._say({"refusal": piece})

    def _thought(self, key: _Key, piece: str) -> None:
        """Send what the model thought: an item's summary or its full text, whichever comes first."""
        kind, index, _ = key
        if not piece or self._thoughts.setdefault(index, kind) != kind:
            return
        self._begin(None)
        is_next = key not in self._sent and any(other[0] in ("summary", "content") for other in self._sent)
        self._sent.setdefault(key, []).append(piece)
        self._say({"reasoning_content": f"\n\n{piece}" if is_next else piece})

    def _open_call(self, index: int, item: Document) -> None:
        if index in self._calls:
            return
        kind = "custom" if item.get("type") == "custom_tool_call" else "function"
        call_id, name = as_text(item.get("call_id"), "item.call_id"), as_text(item.get("name"), "item.name")
        place = len(self._calls)
        self._calls[index] = (place, kind)
        self._begin(None)
        named = {"id": call_id, **({"type": kind} if kind == "function" else {})}
        self._say({"tool_calls": [{"index": place, **named, kind: {"name": name, _text_name(kind): ""}}]})

    def _call_text(self, index: int, piece: str) -> None:
        if index not in self._calls:
            raise wrong_type("output_index", "that of a call that has begun")
        if piece:
            place, kind = self._calls[index]
            self._sent.setdefault(("call", index, 0), []).append(piece)
            self._say({"tool_calls": [{"index": place, kind: {_text_name(kind): piece}}]})

    def _rest(self, key: _Key, whole: str) -> str:
        sent = "".join(self._sent.get(key, ()))
        return whole[len(sent) :] if whole.startswith(sent) else ""

    def _begin(self, content: str | None) -> None:
        """Send the first chunk if it was not sent yet, with empty content where text follows."""
        if not self._has_begun:
            self._has_begun = True
            self._say({"role": "assistant", "content": content, "refusal": None})

    def _say(self, delta: Document, logprobs: list[Document] | None = None, finish_reason: str | None = None) -> None:
        certainty = {"content": logprobs, "refusal": None} if logprobs else None
        choice = {"index": 0, "delta": delta, "logprobs": certainty, "finish_reason": finish_reason}
        open_usage = {"usage": None} if self._wants_usage else {}
        self._chunks.append({**self._envelope(), "choices": [choice], **open_usage})

    def _envelope(self) -> Document:
        named = {"id": f"chatcmpl-{self._call.answer_id}", "object": "chat.completion.chunk"}
        return {**named, "created": self._call.created, "model": self._model}


def as_completion(call: Call, response: Document) -> Document:
    """Return a Response as a chat completion: what the chunks of the same content add up to.

    Raises:
        UpstreamGarbledError: it is no Response, or one that has not ended.
        UpstreamRefusedError: it failed.
    """
    status = response.get("status", "completed")
    if status not in ("completed", "incomplete", "failed"):
        raise UpstreamGarbledError("The upstream's answer has not ended.")
    if not isinstance(response.get("output"), list) and status != "failed":
        raise UpstreamGarbledError("The upstream's answer has no output.")
    chunks = ChatChunks(call).feed({"type": f"response.{status}", "response": response})
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    logprobs = [entry for choice in choices for entry in (choice["logprobs"] or {}).get("content", ())]
    choice = {
        "index": 0,
        "message": _added_up([choice["delta"] for choice in choices]),
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": choices[-1]["finish_reason"],
    }
    completion = {**chunks[0], "object": "chat.completion", "choices": [choice]}
    completion.pop("usage", None)
    if isinstance(response.get("usage"), dict):
        completion["usage"] = as_chat_usage(response["usage"])
    if response.get("service_tier") in _SERVICE_TIERS:
        completion["service_tier"] = response["service_tier"]
    return completion


def _added_up(deltas: list[Document]) -> Document:
    message: Document = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    for name in ("content", "refusal", "reasoning_content"):
        pieces = [delta[name] for delta in deltas if delta.get(name) is not None]
        if pieces:
            message[name] = "".join(pieces)
    blocks = [block for delta in deltas for block in delta.get("thinking_blocks", ())]
    if blocks:
        message["thinking_blocks"] = read_blocks(blocks, "thinking_blocks")
    for delta in deltas:
        message["annotations"] = delta.get("annotations", message["annotations"])
    if calls := list(_whole_calls(deltas)):
        message["tool_calls"] = calls
    return message


def _whole_calls(deltas: list[Document]) -> Iterator[Document]:
    pieces: dict[int, list[Document]] = {}
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            pieces.setdefault(call["index"], []).append(call)
    for first, *rest in pieces.values():
        kind = "custom" if "custom" in first else "function"
        text = "".join(piece[kind][_text_name(kind)] for piece in rest)
        yield {"id": first["id"], "type": kind, kind: {"name": first[kind]["name"], _text_name(kind): text}}


def _text_name(kind: str) -> str:
    return "input" if kind == "custom" else "arguments"


def _index(event: Document, name: str = "output_index") -> int:
    return as_whole(event.get(name), name)


def _response(event: Document) -> Document:
    response = event.get("response")
    if not isinstance(response, dict):
        raise wrong_type("response", "an object")
    return response


def _texts(item: Document, name: str) -> list[str]:
    return [as_text(part.get("text"), f"{path}.text") for path, part in as_objects(item.get(name), f"item.{name}")]


def _bytes(value: Any, path: str) -> Any:
    """Return a token's bytes, which events of Responses need not say."""
    del path
    return value if isinstance(value, list) else None


def _failed(event: Document) -> NoReturn:
    raise upstream_failure(_response(event).get("error"))


def _broken(event: Document) -> NoReturn:
    nested = event.get("error")
    raise upstream_failure(nested if nested is not None else {**event, "type": "api_error"})
