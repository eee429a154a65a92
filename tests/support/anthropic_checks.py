"""The types of Anthropic's own client, to hold requests, answers and events against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from anthropic.types.parsed_message import ParsedMessage
from pydantic import BaseModel, TypeAdapter

_PLAIN: Final[TypeAdapter[Any]] = TypeAdapter(MessageCreateParamsNonStreaming)
_STREAMED: Final[TypeAdapter[Any]] = TypeAdapter(MessageCreateParamsStreaming)
_EVENT: Final[TypeAdapter[Any]] = TypeAdapter(RawMessageStreamEvent)


def check_message_request(document: dict[str, Any]) -> None:
    """Fail unless a request fits the client's types and has no member that they do not know.

    `temperature`, `top_p` and `top_k` are still taken by the API, and gone from the types.
    """
    adapter = _STREAMED if document.get("stream") else _PLAIN
    typed = {name: value for name, value in document.items() if name not in ("temperature", "top_p", "top_k")}
    assert _plain(adapter.validate_python(typed)) == typed


def check_message(document: dict[str, Any]) -> Message:
    """Return an answer as the client reads it, or fail."""
    message = Message.model_validate(document)
    assert _plain(message) == document
    return message


def check_events(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the client's accumulator makes of the events of a stream, or fail.

    Beside the types, the order is held against the documented one: blocks one after another inside one message.
    """
    snapshot: ParsedMessage[None] | None = None
    pieces: dict[int, bytes] = {}
    for event in events:
        typed = _EVENT.validate_python(event)
        assert _plain(typed) == event
        snapshot = accumulate_event(event=typed, current_snapshot=snapshot, json_bufs=pieces)
    _check_order(events)
    assert snapshot is not None
    return snapshot.model_dump(mode="json", exclude_unset=True, exclude={"parsed_output"})


def _check_order(events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    is_open, index = False, -1
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            is_open, index = True, index + 1
        else:
            assert is_open
            is_open = event["type"] != "content_block_stop"
        assert event["index"] == index
    assert not is_open


def _plain(value: Any) -> Any:
    """Return plain JSON; arrays of typed dictionaries are only validated as they are read."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, value.model_extra
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value
