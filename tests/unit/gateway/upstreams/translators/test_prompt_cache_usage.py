from __future__ import annotations

from typing import Any

import pytest

from gateway.upstreams.translators.base import Call, Document, StreamTranslator, Translator
from gateway.upstreams.translators.messages.chat_to_messages import ChatToMessages
from gateway.upstreams.translators.messages.messages_to_chat import MessagesToChat
from gateway.upstreams.translators.responses.chat_to_responses import ChatToResponses
from gateway.upstreams.translators.responses.responses_to_chat import ResponsesToChat

# The same 20 tokens in three shapes: 7 read from a provider's cache, 3 written to it.
DETAILS = {"cached_tokens": 7, "cache_write_tokens": 3}
CHAT = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22, "prompt_tokens_details": DETAILS}
RESPONSES = {"input_tokens": 20, "output_tokens": 2, "total_tokens": 22, "input_tokens_details": DETAILS}
PARTS = {"input_tokens": 10, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3}
MESSAGES = {**PARTS, "output_tokens": 2}

COMPLETION = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": CHAT,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}  # fmt: skip
CHUNKS: list[Document] = [
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"id": "c", "model": "m", "choices": [], "usage": CHAT},
]
MESSAGE = {
    "id": "a", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "usage": MESSAGES,
    "content": [{"type": "text", "text": "hi"}],
}  # fmt: skip
EVENTS: list[Document] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "usage": {**PARTS, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
RESPONSE: Document = {
    "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "usage": RESPONSES,
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
}  # fmt: skip


def told(usage: Document) -> Document:
    """Return what is told of caches, whatever the shape."""
    flat = {**usage, **usage.get("prompt_tokens_details", {}), **usage.get("input_tokens_details", {})}
    return {name: flat[name] for name in (*DETAILS, *PARTS, "prompt_tokens") if name in flat}


IN_CHAT = {"prompt_tokens": 20, **DETAILS}
IN_RESPONSES = {"input_tokens": 20, **DETAILS}


def call(**members: Any) -> Call:
    return Call(request={"model": "m", **members}, model="m", answer_id="x", created=1)


PLAIN: list[tuple[Translator, Document, Document]] = [
    (ChatToMessages(), MESSAGE, IN_CHAT),
    (ChatToResponses(), RESPONSE, IN_CHAT),
    (MessagesToChat(), COMPLETION, PARTS),
    (ResponsesToChat(), COMPLETION, IN_RESPONSES),
]


@pytest.mark.parametrize(("translator", "answer", "expected"), PLAIN)
def test_a_plain_answer_tells_what_a_provider_cached(
    translator: Translator, answer: Document, expected: Document
) -> None:
    assert told(translator.answer(call(messages=[], input="x"), answer)["usage"]) == expected


def last_usage(stream: StreamTranslator, events: list[Document]) -> Document:
    made = [one for event in events for one in stream.feed(event)] + stream.finish()
    found: list[Document] = [one.get("response", one).get("usage") for one in made]
    return next(usage for usage in reversed(found) if usage)


STREAMED: list[tuple[Translator, list[Document], Document]] = [
    (ChatToMessages(), EVENTS, IN_CHAT),
    (ChatToResponses(), [{"type": "response.completed", "response": RESPONSE}], IN_CHAT),
    (MessagesToChat(), CHUNKS, PARTS),
    (ResponsesToChat(), CHUNKS, IN_RESPONSES),
]


@pytest.mark.parametrize(("translator", "events", "expected"), STREAMED)
def test_a_stream_tells_what_a_provider_cached(
    translator: Translator, events: list[Document], expected: Document
) -> None:
    asked = call(messages=[], input="x", stream=True, stream_options={"include_usage": True})

    assert told(last_usage(translator.stream(asked), events)) == expected


def test_members_about_openais_cache_go_between_its_shapes() -> None:
    members = {"prompt_cache_key": "k", "prompt_cache_retention": "24h"}

    there = ChatToResponses().request(
        {"model": "m", "messages": [{"role": "user", "content": "x"}], **members}, max_output_tokens=9
    )
    back = ResponsesToChat().request({"model": "m", "input": "x", **members}, max_output_tokens=9)

    assert members.items() <= there.document.items()
    assert members.items() <= back.document.items()


def test_members_about_openais_cache_are_named_where_they_mean_nothing() -> None:
    made = ChatToMessages().request(
        {"model": "m", "messages": [{"role": "user", "content": "x"}], "prompt_cache_key": "k"}, max_output_tokens=9
    )

    assert "prompt_cache_key" in made.dropped
