"""Turn what the Messages API answers, whole or in events, into chat completions."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams.translators.base import Call, Document
from gateway.upstreams.translators.fields import as_object, as_objects, as_text, as_whole, raise_failure, reading_answer
from gateway.upstreams.translators.messages.tool_calls import write_arguments

_FINISHES: Final = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
_DECLINED: Final = "The model declined to answer."
"""What a refusal says that came without an explanation."""


def completion(call: Call, message: Document) -> Document:
    """Return a Message as a `chat.completion`.

    Blocks that a chat has no place for are left out: the tools that make them are not offered.

    Raises:
        UpstreamGarbledError: a member is missing or of the wrong type.
        UpstreamRefusedError: it is an error.
    """
    raise_failure(message)
    with reading_answer():
        answer, stop = _message(call, message)
        choice = {"index": 0, "message": answer, "logprobs": None, "finish_reason": _FINISHES.get(stop, "stop")}
        made = _frame(call, "chat.completion", message.get("model"))
        usage = {"usage": _usage(message["usage"])} if message.get("usage") is not None else {}
    return {**made, "choices": [choice], **usage}


def _frame(call: Call, kind: str, model: Any) -> Document:
    named = model if isinstance(model, str) and model else call.model
    return {"id": f"chatcmpl-{call.answer_id}", "object": kind, "created": call.created, "model": named}


def _message(call: Call, message: Document) -> tuple[Document, str]:
    """Return the chat message, and why it ends in the words of the Messages API."""
    texts: list[str] = []
    thoughts: list[Document] = []
    calls: list[Document] = []
    if not isinstance(message.get("content"), list):
        raise UpstreamGarbledError("The upstream's answer has no content.")
    for path, block in as_objects(message["content"], "content"):
        kind = as_text(block.get("type"), f"{path}.type")
        if kind == "text":
            texts.append(as_text(block.get("text"), f"{path}.text"))
        elif kind == "tool_use":
            arguments = write_arguments(as_object(block.get("input"), f"{path}.input"), path)
            calls.append(_tool_call(call, block, len(calls), path, arguments))
        elif kind in ("thinking", "redacted_thinking"):
            thoughts.append(_thought(block, path))
    stop = as_text(message.get("stop_reason"), "stop_reason")
    refusal = _refusal(message) if stop == "refusal" else None
    content = "".join(texts) if texts or not (calls or refusal) else None
    answer: Document = {"role": "assistant", "content": content, "refusal": refusal}
    if thoughts:
        reasoning = "".join(thought.get("thinking", "") for thought in thoughts)
        answer |= {**({"reasoning_content": reasoning} if reasoning else {}), "thinking_blocks": thoughts}
    return {**answer, **({"tool_calls": calls} if calls else {})}, stop


def _tool_call(call: Call, block: Document, index: int, path: str, arguments: str) -> Document:
    given = block.get("id")
    return {
        "id": as_text(given, f"{path}.id") if given else f"call_{call.answer_id}_{index}",
        "type": "function",
        "function": {"name": as_text(block.get("name"), f"{path}.name"), "arguments": arguments},
    }


def _thought(block: Document, path: str) -> Document:
    if block["type"] == "redacted_thinking":
        return {"type": "redacted_thinking", "data": as_text(block.get("data"), f"{path}.data")}
    signature = block.get("signature")
    return {
        "type": "thinking",
        "thinking": as_text(block.get("thinking"), f"{path}.thinking"),
        "signature": as_text("" if signature is None else signature, f"{path}.signature"),
    }


def _refusal(holder: Document) -> str:
    explanation = as_object(holder.get("stop_details"), "stop_details").get("explanation")
    return explanation if isinstance(explanation, str) and explanation else _DECLINED


def _usage(usage: Any) -> Document:
    """Return the tokens as a chat counts them: a prompt includes what was read from and written to the cache."""
    counts = as_object(usage, "usage")
    read, written = _count(counts, "cache_read_input_tokens"), _count(counts, "cache_creation_input_tokens")
    prompt = _count(counts, "input_tokens") + read + written
    output = _count(counts, "output_tokens")
    details = as_object(counts.get("output_tokens_details"), "usage.output_tokens_details")
    made: Document = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    made["prompt_tokens_details"] = {"cached_tokens": read, "cache_write_tokens": written}
    if details.get("thinking_tokens") is not None:
        made["completion_tokens_details"] = {"reasoning_tokens": _count(details, "thinking_tokens")}
    return made


def _count(counts: Document, name: str) -> int:
    value = counts.get(name)
    return 0 if value is None else as_whole(value, f"usage.{name}")


class _Block:
    """A content block under way."""

    def __init__(self, start: Document) -> None:
        self.start = start
        self.kind: str = start["type"]
        self.position = 0
        self.has_arguments = False
        self.thinking = start.get("thinking") or ""
        self.signature = start.get("signature") or ""


class CompletionStream:
    """Turns the events of one Message into `chat.completion.chunk` documents; see `StreamTranslator`.

    The finish reason is held back until `message_stop`, so that a stream which breaks off before it has none.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._frame = _frame(call, "chat.completion.chunk", None)
        options = call.request.get("stream_options")
        self._wants_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._blocks: dict[int, _Block] = {}
        self._calls = self._thoughts = 0
        self._usage: Document = {}
        self._stop: str | None = None
        self._has_begun = self._has_ended = False

    def feed(self, event: Document) -> list[Document]:
        """Return the chunks that follow from an event; events of unknown types have none.

        Raises:
            UpstreamGarbledError: the event is malformed or out of order.
            UpstreamRefusedError: it is an error.
        """
        raise_failure(event)
        with reading_answer():
            kind = as_text(event.get("type"), "type")
            if kind == "message_start":
                return self._begin(as_object(event.get("message"), "message"))
            read = {
                "content_block_start": self._open,
                "content_block_delta": self._extend,
                "content_block_stop": self._close,
                "message_delta": self._note,
                "message_stop": self._end,
            }.get(kind)
            if read is None or self._has_ended:
                return []
            if not self._has_begun:
                raise UpstreamGarbledError("The upstream's stream does not begin with a message.")
            return read(event)

    def finish(self) -> list[Document]:
        """Return nothing: the last chunks went out with `message_stop`.

        Raises:
            UpstreamGarbledError: it has not come.
        """
        if not self._has_ended:
            raise UpstreamGarbledError("The upstream's stream ended before its message was complete.")
        return []

    def _begin(self, message: Document) -> list[Document]:
        if self._has_begun:
            raise UpstreamGarbledError("The upstream's stream begins twice.")
        self._has_begun = True
        self._frame = _frame(self._call, "chat.completion.chunk", message.get("model"))
        self._count(message.get("usage"))
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _open(self, event: Document) -> list[Document]:
        start = as_object(event.get("content_block"), "content_block")
        as_text(start.get("type"), "content_block.type")
        block = self._blocks[as_whole(event.get("index"), "index")] = _Block(start)
        if block.kind == "tool_use":
            block.position = self._calls
            self._calls += 1
            opened = _tool_call(self._call, start, block.position, "content_block", "")
            return [self._chunk({"tool_calls": [{"index": block.position, **opened}]})]
        if block.kind == "text" and start.get("text"):
            return [self._chunk({"content": as_text(start["text"], "content_block.text")})]
        if block.kind == "thinking":
            as_text(block.signature, "content_block.signature")
            if as_text(block.thinking, "content_block.thinking"):
                return [self._chunk({"reasoning_content": block.thinking})]
        return []

    def _extend(self, event: Document) -> list[Document]:
        block, delta = self._block(event), as_object(event.get("delta"), "delta")
        kind = as_text(delta.get("type"), "delta.type")
        if kind == "text_delta" and block.kind == "text":
            return [self._chunk({"content": as_text(delta.get("text"), "delta.text")})]
        if kind == "input_json_delta" and block.kind == "tool_use":
            return self._argue(block, as_text(delta.get("partial_json"), "delta.partial_json"))
        if kind == "thinking_delta" and block.kind == "thinking":
            thinking = as_text(delta.get("thinking"), "delta.thinking")
            block.thinking += thinking
            return [self._chunk({"reasoning_content": thinking})] if thinking else []
        if kind == "signature_delta" and block.kind == "thinking":
            block.signature += as_text(delta.get("signature"), "delta.signature")
        return []

    def _argue(self, block: _Block, text: str) -> list[Document]:
        if not text:
            return []
        block.has_arguments = True
        return [self._chunk({"tool_calls": [{"index": block.position, "function": {"arguments": text}}]})]

    def _close(self, event: Document) -> list[Document]:
        block = self._block(event)
        del self._blocks[event["index"]]
        if block.kind == "tool_use" and not block.has_arguments:
            return self._argue(block, write_arguments(as_object(block.start.get("input"), "input"), "input"))
        if block.kind in ("thinking", "redacted_thinking"):
            whole = {**block.start, "thinking": block.thinking, "signature": block.signature}
            # openai 3.52 raises RuntimeError when it adds up lists of objects that have no index.
            indexed = {"index": self._thoughts, **_thought(whole, "content_block")}
            self._thoughts += 1
            return [self._chunk({"thinking_blocks": [indexed]})]
        return []

    def _note(self, event: Document) -> list[Document]:
        self._count(event.get("usage"))
        delta = as_object(event.get("delta"), "delta")
        if delta.get("stop_reason") is None:
            return []
        self._stop = as_text(delta["stop_reason"], "delta.stop_reason")
        return [self._chunk({"refusal": _refusal(delta)})] if self._stop == "refusal" else []

    def _end(self, _event: Document) -> list[Document]:
        if self._stop is None or self._blocks:
            raise UpstreamGarbledError("The upstream's message ends before it is complete.")
        self._has_ended = True
        last = self._chunk({}, _FINISHES.get(self._stop, "stop"))
        return [last, {**self._frame, "choices": [], "usage": _usage(self._usage)}] if self._wants_usage else [last]

    def _block(self, event: Document) -> _Block:
        block = self._blocks.get(as_whole(event.get("index"), "index"))
        if block is None:
            raise UpstreamGarbledError("The upstream's stream goes on with a block that has not begun.")
        return block

    def _count(self, usage: Any) -> None:
        """Take in a usage object: counts are cumulative, and the later ones may name only what has changed."""
        named = {name: count for name, count in as_object(usage, "usage").items() if count is not None}
        _usage(named)
        self._usage |= named

    def _chunk(self, delta: Document, finish: str | None = None) -> Document:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._frame, "choices": [choice], **({"usage": None} if self._wants_usage else {})}
