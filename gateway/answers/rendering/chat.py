"""A chat completion as its chunks.

The rules that clients break on (openai-python 3.52): `id`, `created` and `model` are the same in all chunks, the first
delta has the role, a call has `index` always and `id`, `type` and name once, `finish_reason` comes once a choice, the
usage comes in a chunk of its own to who asked for it, and all others then say null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.answers.reading import Document, a_text, has_more_than, objects
from gateway.answers.rendering.base import How, argument_pieces, event, json_of, pieces
from gateway.upstreams.sse import DONE, frame

_OF_ANSWER: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "provider"}
)
_REPEATED: Final = ("id", "object", "created", "model", "service_tier", "system_fingerprint", "provider")
_ENDS: Final = ("stop_reason", "native_finish_reason")
"""What stands beside the finish reason: which sequence it was (vLLM), the provider's own word (OpenRouter)."""

_OF_CHOICE: Final = frozenset({"index", "message", "finish_reason", *_ENDS})
_OF_MESSAGE: Final = frozenset({"role", "content", "tool_calls", "reasoning_content", "reasoning"})
_OF_CALL: Final = frozenset({"id", "type", "index", "function", "custom"})
_TEXT_NAMES: Final = {"function": "arguments", "custom": "input"}
_THOUGHTS: Final = ("reasoning_content", "reasoning")


class ChatRenderer:
    """Renders chat completions; those with logprobs, audio, refusals, citations or signatures it does not."""

    def says_all(self, document: Document) -> bool:
        """Tell whether chunks would say it all; see `Renderer.says_all`."""
        choices = document.get("choices")
        if has_more_than(document, _OF_ANSWER) or not isinstance(choices, list):
            return False
        return all(isinstance(choice, dict) and _says_all(choice) for choice in choices)

    def events(self, document: Document, how: How, *, wants_usage: bool) -> Iterator[bytes]:
        """Yield the chunks; see `Renderer.events`."""
        named: Document = {name: document[name] for name in _REPEATED if name in document}
        named["object"] = "chat.completion.chunk"
        head = json_of(named)[:-1] + b',"choices":[{"index":'
        tail = b',"usage":null}' if wants_usage else b"}"
        for choice in document["choices"]:
            start = head + b'%d,"delta":' % choice.get("index", 0)
            end = b',"logprobs":null,"finish_reason":null}]' + tail
            for delta in _deltas(choice["message"], how):
                yield b"data: " + start + delta + end + b"\n\n"
            yield b"data: " + start + b"{}," + _ending(choice) + b"}]" + tail + b"\n\n"
        if wants_usage and document.get("usage") is not None:
            yield event({**named, "choices": [], "usage": document["usage"]})
        yield frame(DONE)


def _says_all(choice: Document) -> bool:
    message = choice.get("message")
    if not isinstance(message, dict) or type(choice.get("index", 0)) is not int:
        return False
    if has_more_than(choice, _OF_CHOICE) or has_more_than(message, _OF_MESSAGE):
        return False
    names = ("content", *_THOUGHTS)
    is_text = all(message.get(name) is None or isinstance(message[name], str) for name in names)
    calls = message.get("tool_calls") or []
    return is_text and isinstance(calls, list) and all(isinstance(one, dict) and _is_whole(one) for one in calls)


def _is_whole(call: Document) -> bool:
    kind = call.get("type", "function")
    if has_more_than(call, _OF_CALL) or kind not in _TEXT_NAMES or not isinstance(call.get("id"), str):
        return False
    made = call.get(kind)
    if not isinstance(made, dict) or has_more_than(made, frozenset({"name", _TEXT_NAMES[kind]})):
        return False
    return isinstance(made.get("name"), str) and isinstance(made.get(_TEXT_NAMES[kind]), str)


def _deltas(message: Document, how: How) -> Iterator[bytes]:
    """Yield the deltas of a choice as JSON: the role, what was thought, what is said, calls."""
    content = message.get("content")
    yield json_of(
        {"role": message.get("role") or "assistant", "content": None if content is None else "", "refusal": None}
    )
    for name in _THOUGHTS:
        for piece in pieces(a_text(message.get(name)), how):
            yield json_of({name: piece})
    for piece in pieces(content or "", how):
        yield b'{"content":' + json_of(piece) + b"}"
    for place, call in enumerate(objects(message.get("tool_calls"))):
        yield from map(json_of, _deltas_of_call(place, call, how))


def _deltas_of_call(place: int, call: Document, how: How) -> Iterator[Document]:
    """Yield a call: who it is first, then its text alone.

    A custom call goes without its type: the published chunk allows `function` only (openai-openapi issue 576).
    """
    kind = call.get("type", "function")
    name = _TEXT_NAMES[kind]
    named = {"type": kind} if kind == "function" else {}
    first = {"index": place, "id": call["id"], **named, kind: {"name": call[kind]["name"], name: ""}}
    yield {"tool_calls": [first]}
    for piece in argument_pieces(call[kind][name], how):
        yield {"tool_calls": [{"index": place, kind: {name: piece}}]}


def _ending(choice: Document) -> bytes:
    """Return the members that say why a choice ended."""
    told = {"logprobs": None, "finish_reason": choice.get("finish_reason")}
    told |= {name: choice[name] for name in _ENDS if choice.get(name) is not None}
    return json_of(told)[1:-1]
