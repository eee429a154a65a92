"""The Response object around an answer: what it echoes of the request, with the API's defaults."""

from __future__ import annotations

from typing import Any, Final

from gateway.upstreams.translators.base import Call, Document
from gateway.upstreams.translators.fields import present

_DEFAULTS: Final[Document] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
"""Members that are echoed as sent and their values when they were not (OpenAI's API reference, 2026-11)."""


def response_in_progress(call: Call, model: str) -> Document:
    """Return the Response as its first event carries it: no output, and no `usage`, which may not be null."""
    given = present(call.request)
    echoed = {name: given.get(name, default) for name, default in _DEFAULTS.items()}
    if "user" in given:
        echoed["user"] = given["user"]
    return {
        "id": f"resp_{call.answer_id}",
        "object": "response",
        "created_at": call.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        **echoed,
        "reasoning": _reasoning(given.get("reasoning")),
        "text": _text(given.get("text")),
        "tools": [_tool(tool) for tool in given.get("tools", [])],
    }


def _reasoning(given: Any) -> Document:
    return {"effort": None, "summary": None, **(given or {})}


def _text(given: Any) -> Document:
    """Return the echo of `text`; null members are left out, as the published schema wants it."""
    text = present(given or {})
    return {**text, "format": present(text.get("format") or {"type": "text"})}


def _tool(tool: Document) -> Document:
    """Return the echo of a tool. A function shows both members that the published schema requires."""
    if tool.get("type") == "function":
        return {**tool, "parameters": tool.get("parameters"), "strict": tool.get("strict")}
    return present(tool)
