"""The text of an answer, as a judge is shown it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway.domain.document import without_lone_surrogates
from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import Shape
from gateway.upstreams.sse import EventSplitter

Part = Mapping[str, Any]


def answer_text(body: bytes, shape: Shape) -> str | None:
    """Return what a plain answer says, a refusal included.

    Args:
        body: the answer's JSON.
        shape: its form; only chat, responses and messages have a text.

    Returns:
        The text; None where there is none (it only calls tools) or it cannot be read.
    """
    reader = _OF_ANSWERS.get(shape)
    document = None if reader is None else _decoded(body)
    return None if reader is None or document is None else _joined(reader(document))


def streamed_text(events: bytes, shape: Shape) -> str | None:
    """Return what a stream of server-sent events said from its first block to its last; see `answer_text`."""
    reader = _OF_EVENTS.get(shape)
    if reader is None:
        return None
    splitter = EventSplitter()
    try:
        payloads = splitter.feed(events) + splitter.finish()
    except UpstreamGarbledError:
        return None
    documents = (_decoded(payload) for payload in payloads if payload.startswith(b"{"))
    return _joined([text for document in documents if document is not None for text in reader(document)])


def text_of_content(content: Any, placeholder: Callable[[str], str] = lambda _: "") -> str:
    """Return the text of a message's content, which may be a string, a list of parts or anything else.

    Args:
        placeholder: makes the text that stands for a part without one, from the part's type.
    """
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in _objects(content):
        told = _texts_of(part)
        texts += told or [placeholder(str(part.get("type", "part"))[:40])]
    return "\n".join(text for text in texts if text)


def _decoded(body: bytes) -> Part | None:
    try:
        try:
            document = msgspec.json.decode(body)
        except msgspec.DecodeError:
            document = msgspec.json.decode(without_lone_surrogates(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _joined(texts: Iterable[str]) -> str | None:
    return "".join(texts) or None


def _objects(value: Any) -> list[Part]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: Any) -> Part:
    return value if isinstance(value, dict) else {}


def _texts_of(part: Part) -> list[str]:
    """Return the text of a part, else its refusal, else nothing."""
    return [part[name] for name in ("text", "refusal") if isinstance(part.get(name), str)][:1]


def _of_message(message: Part) -> Iterable[str]:
    """Yield the texts of a chat message, or of the part of one that a stream brings."""
    content = message.get("content")
    if isinstance(content, str) and content:
        yield content
    elif isinstance(content, list):
        for part in _objects(content):
            yield from _texts_of(part)
    else:
        yield from _texts_of({"refusal": message.get("refusal")})


def _of_completion(answer: Part) -> Iterable[str]:
    return _of_message(_object(next(iter(_objects(answer.get("choices"))), {}).get("message")))


def _of_response(answer: Part) -> Iterable[str]:
    for item in _objects(answer.get("output")):
        if item.get("type") == "message":
            for part in _objects(item.get("content")):
                yield from _texts_of(part)


def _of_anthropic(answer: Part) -> Iterable[str]:
    for block in _objects(answer.get("content")):
        if block.get("type") == "text":
            yield from _texts_of(block)


def _of_chunk(event: Part) -> Iterable[str]:
    for choice in _objects(event.get("choices")):
        if choice.get("index", 0) == 0:
            yield from _of_message(_object(choice.get("delta")))


def _of_response_event(event: Part) -> Iterable[str]:
    if event.get("type") in ("response.output_text.delta", "response.refusal.delta"):
        yield from _texts_of({"text": event.get("delta")})


def _of_message_event(event: Part) -> Iterable[str]:
    delta = _object(event.get("delta"))
    if event.get("type") == "content_block_delta" and delta.get("type") == "text_delta":
        yield from _texts_of(delta)


_OF_ANSWERS: Final[Mapping[Shape, Callable[[Part], Iterable[str]]]] = {
    "chat": _of_completion,
    "responses": _of_response,
    "messages": _of_anthropic,
}
_OF_EVENTS: Final[Mapping[Shape, Callable[[Part], Iterable[str]]]] = {
    "chat": _of_chunk,
    "responses": _of_response_event,
    "messages": _of_message_event,
}
