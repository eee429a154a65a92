"""Inspections of requests whose answers tests guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.messages import read_messages
from gateway.domain.responses import read_responses
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import plan_for
from policies.sanitise.redaction.redactor import Redactor
from policies.sanitise.settings import GuardSettings, OutputActions

MAIL = "ann.smith@firm.org"
QUOTED = 'pass"word\\of\nann'
AWS = "AKIA" + "Q3ZK7TNV2M5XWBHR"
"""A key of the form that AWS gives out; put together here so that no scanner of sources reports it."""


def inspection_of(*, masked: Iterable[tuple[str, str]] = (), trusted: str = "", **settings: Any) -> Inspection:
    """Return the inspection of a request in which values were replaced.

    Args:
        masked: rule and value of each.
        trusted: its system message.
        settings: of the guard; `output` takes a mapping.
    """
    if isinstance(settings.get("output"), dict):
        settings["output"] = OutputActions(**settings["output"])
    inspection = Inspection(plan_for([GuardSettings(**settings)]))
    for rule, value in masked:
        placeholder(inspection, rule, value)
    inspection.trusted = (trusted,) if trusted else ()
    return inspection


def placeholder(inspection: Inspection, rule: str, value: str) -> str:
    """Return what stands for a value in a request, masked at the first call."""
    detector = "secrets" if rule == "secret" else "personal"
    redactor: Redactor = inspection.redactor
    return redactor.mask(value, [Finding(detector, rule, 0, len(value), 0.9)])


Document = dict[str, Any]

_SAID: Final = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
CHAT: Final = read_chat(_SAID)
MESSAGES: Final = read_messages(_SAID)
RESPONSES: Final = read_responses(b'{"model":"m","input":"Hi"}')
COMPLETIONS: Final = read_completions(b'{"model":"m","prompt":"Hi"}')


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield a text in pieces of some length."""
    return (text[at : at + size] for at in range(0, len(text), size))


def chat_events(content: Iterable[str] = (), arguments: Iterable[str] = (), **member: Iterable[str]) -> list[Document]:
    """Return the chunks of an answer that says something, and may then call a tool.

    Args:
        content: pieces of what it says.
        arguments: pieces of what it asks of the tool `weather`; no call where there are none.
        member: pieces of another member of the message.
    """
    deltas: list[Document] = [{"role": "assistant", "content": ""}]
    deltas += [{name: piece} for name, parts in member.items() for piece in parts]
    deltas += [{"content": piece} for piece in content]
    asked = list(arguments)
    if asked:
        made = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        deltas.append({"tool_calls": [made]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in asked]
    chunks = [_chunk(delta, None) for delta in deltas]
    return [*chunks, _chunk({}, "tool_calls" if asked else "stop"), _usage_chunk()]


def _chunk(delta: Document, finish: str | None) -> Document:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice]}


def _usage_chunk() -> Document:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return {**_chunk({}, None), "choices": [], "usage": usage}


def message_events(
    content: Iterable[str] = (), arguments: Iterable[str] = (), thinking: Iterable[str] = ()
) -> list[Document]:
    """Return the events of a Message; see `chat_events`."""
    events: list[Document] = [{"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {}}}]
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    blocks = (
        ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking", list(thinking)),
        ({"type": "text", "text": ""}, "text_delta", "text", list(content)),
        (tool, "input_json_delta", "partial_json", list(arguments)),
    )
    index = 0
    for block, kind, member, parts in blocks:
        if not parts:
            continue
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: part}} for part in parts
        ]
        events.append({"type": "content_block_stop", "index": index})
        index += 1
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}
    return [*events, {"type": "ping"}, end, {"type": "message_stop"}]


def response_events(
    content: Iterable[str] = (), arguments: Iterable[str] = (), summary: Iterable[str] = ()
) -> list[Document]:
    """Return the events of a Response; see `chat_events`."""
    said, asked, thought = list(content), list(arguments), list(summary)
    output: list[Document] = []
    events: list[Document] = [{"type": "response.created", "response": {"id": "resp_1", "output": []}}]
    if thought:
        item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "".join(thought)}]}
        names = {"item_id": "rs_1", "summary_index": 0}
        events += _item_events(output, item, "response.reasoning_summary_text", thought, "text", names)
    if said:
        part = {"type": "output_text", "text": "".join(said), "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
        names = {"item_id": "msg_1", "content_index": 0}
        events += _item_events(output, item, "response.output_text", said, "text", names)
    if asked:
        item = {"type": "function_call", "id": "fc_1", "call_id": "c_1", "name": "weather", "arguments": "".join(asked)}
        names = {"item_id": "fc_1"}
        events += _item_events(output, item, "response.function_call_arguments", asked, "arguments", names)
    whole = {"id": "resp_1", "status": "completed", "output": output, "usage": {"output_tokens": 4}}
    events.append({"type": "response.completed", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(
    output: list[Document], item: Document, base: str, parts: list[str], member: str, names: Document
) -> list[Document]:
    index = len(output)
    output.append(item)
    where = {**names, "output_index": index}
    nothing: Document = {"arguments": "", "content": [], "summary": []}
    empty = {name: nothing.get(name, value) for name, value in item.items()}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": empty},
        *({"type": f"{base}.delta", **where, "delta": part} for part in parts),
        {"type": f"{base}.done", **where, member: "".join(parts)},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def completion_events(text: Iterable[str]) -> list[Document]:
    """Return the chunks of a legacy completion."""
    told = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m"}
    parts = [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None} for piece in text]
    end = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
    return [{**told, "choices": [choice]} for choice in (*parts, end)]
