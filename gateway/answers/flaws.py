"""Why an answer must not be given again: it failed, was cut off, refused, or says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.answers.reading import Document, a_text, an_object, objects, texts
from gateway.domain.request import Shape


class Verdict(msgspec.Struct, frozen=True):
    """What is to be known of a complete answer before it is kept; see `Record`."""

    flaw: str = ""
    calls_tools: bool = False


_FINISHES: Final = {
    "stop": "", "tool_calls": "", "function_call": "", "length": "truncated", "content_filter": "filtered",
}  # fmt: skip
"""By `finish_reason` of chat and completions; any other is `unfinished`."""

_STOPS: Final = {
    "end_turn": "", "stop_sequence": "", "tool_use": "", "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated", "refusal": "refused",
}  # fmt: skip
"""By `stop_reason` of Messages (docs.claude.com, "Handling stop reasons", 2026-11)."""

_INCOMPLETE: Final = {"max_output_tokens": "truncated", "content_filter": "filtered"}
"""By `incomplete_details.reason` of Responses."""

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
"""Items of Responses that the caller has to answer."""


def judge(document: Document, shape: Shape) -> Verdict:
    """Judge a complete answer by its plain form."""
    judged = _JUDGES.get(shape)
    if judged is None:
        return Verdict("shape")
    if document.get("error") or document.get("type") == "error":
        return Verdict("error")
    return judged(document)


def _of_chat(document: Document) -> Verdict:
    choices = objects(document.get("choices"))
    verdicts = [_of_choice(choice, an_object(choice.get("message"))) for choice in choices]
    flaws = [verdict.flaw for verdict in verdicts if verdict.flaw]
    flaw = flaws[0] if flaws else "" if choices else "empty"
    return Verdict(flaw, any(verdict.calls_tools for verdict in verdicts))


def _of_choice(choice: Document, message: Document) -> Verdict:
    flaw = _FINISHES.get(a_text(choice.get("finish_reason")), "unfinished")
    calls = bool(message.get("tool_calls") or message.get("function_call"))
    content = message.get("content")
    parts = objects(content)
    if not flaw and (message.get("refusal") or texts(parts, "refusal")):
        flaw = "refused"
    says = content.strip() if isinstance(content, str) else texts(parts, "text") or message.get("audio")
    if not flaw and not calls and not says:
        flaw = "empty"
    return Verdict(flaw, calls)


def _of_completion(document: Document) -> Verdict:
    choices = objects(document.get("choices"))
    flaws = [_FINISHES.get(a_text(choice.get("finish_reason")), "unfinished") for choice in choices]
    if not choices or not all(a_text(choice.get("text")).strip() for choice in choices):
        flaws.append("empty")
    return Verdict(next((flaw for flaw in flaws if flaw), ""))


def _of_response(document: Document) -> Verdict:
    status = document.get("status", "completed")
    items = objects(document.get("output"))
    calls = any(item.get("type") in _CALLS for item in items)
    if status == "failed":
        return Verdict("error")
    if status == "incomplete":
        reason = a_text(an_object(document.get("incomplete_details")).get("reason"))
        return Verdict(_INCOMPLETE.get(reason, "unfinished"))
    if status != "completed":
        return Verdict("unfinished")
    if any(item.get("type") not in {"message", "reasoning", *_CALLS} for item in items):
        return Verdict("hosted_tools")
    parts = [part for item in items if item.get("type") == "message" for part in objects(item.get("content"))]
    if any(part.get("type") == "refusal" for part in parts):
        return Verdict("refused")
    says = any(text.strip() for text in texts(parts, "text"))
    return Verdict("" if says or calls else "empty", calls)


def _of_message(document: Document) -> Verdict:
    flaw = _STOPS.get(a_text(document.get("stop_reason")), "unfinished")
    blocks = objects(document.get("content"))
    kinds = {block.get("type") for block in blocks}
    calls = "tool_use" in kinds
    if not flaw and (kinds - {"text", "tool_use", "thinking", "redacted_thinking"} or document.get("container")):
        flaw = "hosted_tools"
    says = any(text.strip() for text in texts(blocks, "text"))
    return Verdict(flaw or ("" if says or calls else "empty"), calls)


_JUDGES: Final[Mapping[Shape, Callable[[Any], Verdict]]] = {
    "chat": _of_chat,
    "completions": _of_completion,
    "responses": _of_response,
    "messages": _of_message,
}
