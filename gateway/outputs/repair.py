"""Asks once more for an answer that did not fit: the same request, the answer, and what is wrong with it."""

from __future__ import annotations

from copy import copy
from typing import Any, Final, TypeVar

import msgspec

from gateway.domain.document import without_lone_surrogates
from gateway.domain.request import ModelRequest
from gateway.domain.responses import ResponsesRequest
from gateway.outputs.answers import read_texts
from gateway.outputs.expectation import Fault

MAX_ANSWER_CHARS: Final = 100_000
"""How much of the answer is sent back: some 30,000 tokens."""

_Message = dict[str, Any]
_Kind = TypeVar("_Kind", bound=ModelRequest)

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def repair_request(request: _Kind, reply_body: bytes, fault: Fault) -> _Kind:
    """Return the request that asks for a corrected answer, plain.

    What the caller sent is kept to the byte (but half surrogate pairs in what was said: they become U+FFFD); the
    answer, cut at `MAX_ANSWER_CHARS`, and a message that says what is wrong with it are put at its end. A stored
    conversation has the question and the answer already.

    Args:
        request: what was asked: a chat, Responses or Messages request.
        reply_body: the answer to it, in the same shape.
        fault: what `Expectation.check` found in it.
    """
    said = _said(request, reply_body, fault)
    member, before = "messages", request.document.get("messages")
    if isinstance(request, ResponsesRequest):
        member, before = "input", [] if request.conversation_id is not None else request.document.get("input")
    edits = {member: _extended(request.body, member, said) if before else msgspec.json.encode(said)}
    document = {**request.document, member: _listed(before) + said}
    for name, value in (("stream", False), ("stream_options", None)):
        if request.document.get(name):
            edits[name], document[name] = msgspec.json.encode(value), value
    again = copy(request)
    again.body, again.document = request.edited(edits), document
    again.messages = [*request.messages, *said]
    again.stream = False
    return again


def complaint(fault: Fault) -> str:
    """Return the message that says what is wrong with an answer and asks for a better one."""
    lines = [f"- at {problem.pointer or 'the top'}: {problem.message}" for problem in fault.problems]
    if len({problem.pointer for problem in fault.problems}) < len(lines):
        lines.append("Where several lines name one place, they may stand for alternatives.")
    schema = ["The JSON must fit this JSON Schema:", fault.schema] if fault.schema else []
    start = "Your last answer does not have the form that was asked for:"
    end = "Answer again with the corrected JSON only: no other words before or after it, and no Markdown."
    return "\n".join([start, *lines, *schema, end])


def _said(request: ModelRequest, reply_body: bytes, fault: Fault) -> list[_Message]:
    """Return the messages to add. An empty answer is not sent back: the Messages API takes none."""
    texts = [text.text for text in read_texts(reply_body, request.shape)[1] if text.index == fault.index]
    answer = texts[0][:MAX_ANSWER_CHARS] if texts else ""
    ask = {"role": "user", "content": complaint(fault)}
    if not answer.strip() or (isinstance(request, ResponsesRequest) and request.conversation_id is not None):
        return [ask]
    return [{"role": "assistant", "content": answer}, ask]


def _extended(body: bytes, member: str, said: list[_Message]) -> bytes:
    """Return a body's messages or input items, as they stand there, with messages added."""
    try:
        there = _MEMBERS.decode(body)
    except msgspec.DecodeError:
        there = _MEMBERS.decode(without_lone_surrogates(body))
    given = bytes(there[member])
    if not given.startswith(b"["):
        given = msgspec.json.encode(_listed(msgspec.json.decode(given)))
    start = given[:-1].rstrip()
    return start + (b"" if start == b"[" else b",") + msgspec.json.encode(said)[1:]


def _listed(given: Any) -> list[Any]:
    """Return a request's messages or input items; a text alone is what the user says."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return list(given or ())
