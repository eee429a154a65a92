"""Turn chat completions, whole or in chunks, into what the Messages API answers."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams.translators.base import Call, Document
from gateway.upstreams.translators.fields import (
    as_object,
    as_objects,
    as_text,
    as_whole,
    raise_failure,
    reading_answer,
)
from gateway.upstreams.translators.messages.tool_calls import RAW_ARGUMENTS, read_arguments

_STOPS: Final = {
    "content_filter": "refusal",
    "function_call": "tool_use",
    "length": "max_tokens",
    "stop": "end_turn",
    "tool_calls": "tool_use",
}


def message(call: Call, completion: Document) -> Document:
    """Return a `chat.completion` as a Message.

    The words of a refusal are its text, so that clients which only look there show them. Reasoning that came
    without a signature is a thinking block with an empty one.

    Raises:
        UpstreamGarbledError: a member is missing or of the wrong type.
        UpstreamRefusedError: it is an error.
    """
    raise_failure(completion)
    with reading_answer():
        choice = _first_choice(completion)
        if choice is None:
            raise UpstreamGarbledError("The upstream's answer has no choice.")
        said = as_object(choice.get("message"), "choices[0].message")
        content = _content(call, said)
        refusal = _text(said, "refusal")
        ending = _ending(call, choice, refusal, has_calls=any(block["type"] == "tool_use" for block in content))
        usage = _usage(completion.get("usage"))
    return {**_opening(call, completion.get("model")), "content": content, **ending, "usage": usage}


def _first_choice(document: Document) -> Document | None:
    """Return the choice of index 0; no other was asked for."""
    for _, choice in as_objects(document.get("choices"), "choices"):
        if choice.get("index") in (0, None):
            return choice
    return None


def _opening(call: Call, model: Any) -> Document:
    named = model if isinstance(model, str) and model else call.model
    return {"id": f"msg_{call.answer_id}", "type": "message", "role": "assistant", "model": named}


def _text(holder: Document, name: str) -> str:
    """Return a text member, empty if it is absent or null."""
    value = holder.get(name)
    return "" if value is None else as_text(value, name)


def _reasoning(holder: Document) -> str:
    """Return the reasoning of a message or delta, by either of the two names servers have for it."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(holder.get(name), str) and holder[name]:
            return as_text(holder[name], name)
    return ""


def _content(call: Call, said: Document) -> list[Document]:
    blocks = [_thought(block, path) for path, block in as_objects(said.get("thinking_blocks"), "thinking_blocks")]
    if not blocks and (reasoning := _reasoning(said)):
        blocks = [{"type": "thinking", "thinking": reasoning, "signature": ""}]
    texts = [_spoken(said.get("content")), _text(said, "refusal")]
    blocks += [{"type": "text", "text": text} for text in texts if text]
    for index, (path, made) in enumerate(as_objects(said.get("tool_calls"), "tool_calls")):
        function = as_object(made.get("function"), f"{path}.function")
        name = as_text(function.get("name"), f"{path}.function.name")
        arguments = read_arguments(_text(function, "arguments"))
        blocks.append({**_tool_use(call, _text(made, "id"), name, index), "input": arguments})
    return blocks


def _spoken(content: Any) -> str:
    """Return the text of an answer, which a few servers send in parts."""
    if not isinstance(content, list):
        return "" if content is None else as_text(content, "content")
    return "".join(_text(part, "text") for _, part in as_objects(content, "content"))


def _thought(block: Document, path: str) -> Document:
    kind = as_text(block.get("type"), f"{path}.type")
    if kind == "redacted_thinking":
        return {"type": kind, "data": as_text(block.get("data"), f"{path}.data")}
    return {"type": "thinking", "thinking": _text(block, "thinking"), "signature": _text(block, "signature")}


def _tool_use(call: Call, identifier: str, name: str, index: int) -> Document:
    return {"type": "tool_use", "id": identifier or f"toolu_{call.answer_id}_{index}", "name": name, "input": {}}


def _ending(call: Call, choice: Document, refusal: str, *, has_calls: bool) -> Document:
    """Return the three members that say why an answer ended."""
    finish = as_text(choice.get("finish_reason"), "choices[0].finish_reason")
    stop = _STOPS.get(finish, "end_turn")
    if has_calls and stop == "end_turn":
        stop = "tool_use"
    if refusal:
        stop = "refusal"
    # Which sequence it was is no part of OpenAI's shape, but vLLM says it, beside the finish reason.
    matched = choice.get("stop_reason")
    sequences = call.request.get("stop_sequences")
    if stop == "end_turn" and isinstance(matched, str) and isinstance(sequences, list) and matched in sequences:
        return {"stop_reason": "stop_sequence", "stop_sequence": matched, "stop_details": None}
    details = {"type": "refusal", "category": None, "explanation": refusal or None} if stop == "refusal" else None
    return {"stop_reason": stop, "stop_sequence": None, "stop_details": details}


def _usage(usage: Any) -> Document:
    """Return the tokens as Anthropic counts them: input is what was neither read from nor written to a cache."""
    counts = as_object(usage, "usage")
    details = as_object(counts.get("prompt_tokens_details"), "usage.prompt_tokens_details")
    read, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    made: Document = {
        "input_tokens": max(_count(counts, "prompt_tokens") - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(counts, "completion_tokens"),
    }
    thought = as_object(counts.get("completion_tokens_details"), "usage.completion_tokens_details")
    if thought.get("reasoning_tokens") is not None:
        made["output_tokens_details"] = {"thinking_tokens": _count(thought, "reasoning_tokens")}
    return made


def _count(counts: Document, name: str) -> int:
    value = counts.get(name)
    return 0 if value is None else as_whole(value, f"usage.{name}")


class _ToolCall:
    """A tool call under way: what came of it, and how much of that was not sent on yet."""

    def __init__(self) -> None:
        self.identifier = ""
        self.name = ""
        self.is_closed = False
        self._unsent: list[str] = []
        self._sent: list[str] = []
        self._is_whole: bool | None = None

    def take(self, arguments: str) -> None:
        """Add what came."""
        self._unsent.append(arguments)

    def give(self) -> str:
        """Return what was not sent on yet, and count it as sent."""
        text = "".join(self._unsent)
        if text:
            self._sent.append(text)
            self._is_whole = None
        self._unsent = []
        return text

    def is_whole(self) -> bool:
        """Return whether the arguments sent are a complete JSON object, to which nothing can be added."""
        if self._is_whole is None:
            text = "".join(self._sent).strip()
            self._is_whole = text.endswith("}") and RAW_ARGUMENTS not in read_arguments(text)
        return self._is_whole


class MessageStream:
    """Turns the chunks of one chat completion into the events of a Message; see `StreamTranslator`.

    Blocks of a Message follow one another while the tool calls of a chat may come interleaved. So one call is passed
    on as it comes, and what belongs after it waits until its arguments are a complete object, or until the end.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._has_begun = False
        self._index = -1
        self._open = ""
        self._calls: dict[int, _ToolCall] = {}
        self._live: int | None = None
        self._later: list[tuple[str, Any]] = []
        self._usage: Any = None
        self._refusal: list[str] = []
        self._end: Document | None = None

    def feed(self, event: Document) -> list[Document]:
        """Return the events that follow from a chunk.

        Raises:
            UpstreamGarbledError: the chunk is malformed.
            UpstreamRefusedError: it is an error.
        """
        raise_failure(event)
        with reading_answer():
            events = self._begin(event)
            if event.get("usage") is not None:
                _usage(event["usage"])
                self._usage = event["usage"]
            choice = _first_choice(event)
            if choice is None or self._end is not None:
                return events
            events += self._extend(as_object(choice.get("delta"), "choices[0].delta"))
            if choice.get("finish_reason") is not None:
                as_text(choice["finish_reason"], "choices[0].finish_reason")
                self._end = choice
                events += [*self._flush(), *self._close()]
            return events

    def finish(self) -> list[Document]:
        """Return the last two events, which wait for the usage chunk.

        Raises:
            UpstreamGarbledError: no chunk said why the answer ended.
        """
        if self._end is None:
            raise UpstreamGarbledError("The upstream's stream ended before its answer was complete.")
        with reading_answer():
            ending = _ending(self._call, self._end, "".join(self._refusal), has_calls=bool(self._calls))
            usage = _usage(self._usage)
        return [{"type": "message_delta", "delta": ending, "usage": usage}, {"type": "message_stop"}]

    def _begin(self, chunk: Document) -> list[Document]:
        if self._has_begun:
            return []
        self._has_begun = True
        ending = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        opening = _opening(self._call, chunk.get("model"))
        return [{"type": "message_start", "message": {**opening, "content": [], **ending, "usage": _usage(None)}}]

    def _extend(self, delta: Document) -> list[Document]:
        events: list[Document] = []
        if reasoning := _reasoning(delta):
            events += self._say_in_turn("thinking", reasoning)
        for path, block in as_objects(delta.get("thinking_blocks"), "thinking_blocks"):
            events += self._say_in_turn("block", _thought(block, path))
        if text := _spoken(delta.get("content")):
            events += self._say_in_turn("text", text)
        if refusal := _text(delta, "refusal"):
            self._refusal.append(refusal)
            events += self._say_in_turn("text", refusal)
        for path, piece in as_objects(delta.get("tool_calls"), "tool_calls"):
            events += self._call_on(piece, path)
        return events

    def _say_in_turn(self, kind: str, said: Any) -> list[Document]:
        """Pass on text, thinking or a block of it after what was said before, unless a tool call keeps it waiting."""
        self._later.append((kind, said))
        return [] if self._is_held() else self._say_what_waits()

    def _say_what_waits(self) -> list[Document]:
        waiting, self._later = self._later, []
        events: list[Document] = []
        for kind, said in waiting:
            events += self._conclude(said) if kind == "block" else self._say(kind, said)
        return events

    def _say(self, kind: str, text: str) -> list[Document]:
        """Add to the text or the thinking under way, or start one."""
        events: list[Document] = []
        if self._open != kind:
            events = [
                *self._close(),
                self._start(kind, {kind: "", **({"signature": ""} if kind == "thinking" else {})}),
            ]
        return [*events, self._delta({"type": f"{kind}_delta", kind: text})]

    def _conclude(self, block: Document) -> list[Document]:
        """Sign the thinking under way, or send a block of which nothing was seen yet."""
        if block["type"] == "redacted_thinking":
            return [*self._close(), self._start("redacted_thinking", {"data": block["data"]}), *self._close()]
        events = [] if self._open == "thinking" else self._say("thinking", block["thinking"])
        if block["signature"]:
            events.append(self._delta({"type": "signature_delta", "signature": block["signature"]}))
        return [*events, *self._close()]

    def _call_on(self, piece: Document, path: str) -> list[Document]:
        index = self._place(piece)
        call = self._calls.setdefault(index, _ToolCall())
        function = as_object(piece.get("function"), f"{path}.function")
        call.identifier = call.identifier or _text(piece, "id")
        call.name = call.name or _text(function, "name")
        if arguments := _text(function, "arguments"):
            if call.is_closed and arguments.strip():
                raise UpstreamGarbledError("The upstream goes on with a tool call that was complete.")
            call.take(arguments)
        if index != self._live and self._is_held():
            return []
        return self._send(index)

    def _place(self, piece: Document) -> int:
        """Return a call's index; a few servers leave it out and send each call whole, under its id."""
        index = piece.get("index")
        if index is not None:
            return as_whole(index, "index")
        known = [at for at, call in self._calls.items() if call.identifier and call.identifier == piece.get("id")]
        if known or (not piece.get("id") and self._calls):
            return known[0] if known else max(self._calls)
        return max(self._calls, default=-1) + 1

    def _send(self, index: int) -> list[Document]:
        """Pass on what there is of a call; it waits for its name, without which a block cannot start."""
        call = self._calls[index]
        if not call.name or call.is_closed:
            return []
        events: list[Document] = []
        if self._live != index:
            block = _tool_use(self._call, call.identifier, call.name, index)
            events = [*self._close(), self._start(block.pop("type"), block)]
            self._live = index
        text = call.give()
        return [*events, self._delta({"type": "input_json_delta", "partial_json": text})] if text else events

    def _is_held(self) -> bool:
        """Return whether a call under way keeps others waiting."""
        return self._live is not None and not self._calls[self._live].is_whole()

    def _flush(self) -> list[Document]:
        """Return what waited for the end: the other calls in their order, then what was said after them."""
        events: list[Document] = []
        for index in sorted(self._calls):
            if not self._calls[index].name:
                raise UpstreamGarbledError("The upstream calls a tool without a name.")
            events += self._send(index)
        return [*events, *self._close(), *self._say_what_waits()]

    def _start(self, kind: str, members: Document) -> Document:
        self._index += 1
        self._open = kind
        return {"type": "content_block_start", "index": self._index, "content_block": {"type": kind, **members}}

    def _delta(self, delta: Document) -> Document:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _close(self) -> list[Document]:
        if self._live is not None:
            self._calls[self._live].is_closed = True
            self._live = None
        if not self._open:
            return []
        self._open = ""
        return [{"type": "content_block_stop", "index": self._index}]
