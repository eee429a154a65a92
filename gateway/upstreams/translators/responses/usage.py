"""The tokens an answer consumed, in the words of chat completions and in those of Responses."""

from __future__ import annotations

from typing import Any

from gateway.upstreams.translators.base import Document


def as_responses_usage(usage: Document) -> Document:
    """Return the `usage` of a chat completion as that of a Response; what is no count reads as 0."""
    sent, generated = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    sent_details, details = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return {
        "input_tokens": sent,
        "input_tokens_details": {
            "cached_tokens": _count(sent_details, "cached_tokens"),
            "cache_write_tokens": _count(sent_details, "cache_write_tokens"),
        },
        "output_tokens": generated,
        "output_tokens_details": {"reasoning_tokens": _count(details, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens") or sent + generated,
    }


def as_chat_usage(usage: Document) -> Document:
    """Return the `usage` of a Response as that of a chat completion; what is no count reads as 0."""
    sent, generated = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    sent_details, details = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return {
        "prompt_tokens": sent,
        "completion_tokens": generated,
        "total_tokens": _count(usage, "total_tokens") or sent + generated,
        "prompt_tokens_details": {
            "cached_tokens": _count(sent_details, "cached_tokens"),
            "cache_write_tokens": _count(sent_details, "cache_write_tokens"),
        },
        "completion_tokens_details": {"reasoning_tokens": _count(details, "reasoning_tokens")},
    }


def _count(counts: Any, name: str) -> int:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
