"""Which requests may be answered from an entry of a request that is only alike: what must hold around the text itself.

What must hold of the text is in `cache.verifier.eligible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cache.scope import last_message
from gateway.domain.request import ModelRequest

MOST_TEMPERATURE: Final = 1.0
"""Above it somebody wants surprises (1 is the default of OpenAI and Anthropic, so that most requests say nothing)."""

_TOOL_ROLES: Final = frozenset({"tool", "function"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})


def why_no_likeness(request: ModelRequest, most_temperature: float = MOST_TEMPERATURE) -> str | None:
    """Return why a request is answered only by an entry of the very same request, in a word; None if likeness will do.

    `turn` (the last message is no text of a user), `choices` (several answers, or their certainty, are asked for),
    `temperature`, `tools` (the conversation has calls or results of tools), `parts` (it has pictures, files or sound).
    """
    if last_message(request) is None:
        return "turn"
    document = request.document
    if (document.get("n") or 1) != 1 or document.get("logprobs") or document.get("top_logprobs"):
        return "choices"
    if (document.get("temperature") or 0) > most_temperature:
        return "temperature"
    return _why_not_before(request.messages[:-1])


def _why_not_before(turns: Iterable[Mapping[str, Any]]) -> str | None:
    for turn in turns:
        if turn.get("role") in _TOOL_ROLES or turn.get("tool_calls") or turn.get("function_call"):
            return "tools"
        content = turn.get("content")
        if not isinstance(content, list):
            continue
        for part in content:
            kind = part.get("type", "text")
            if kind in ("tool_use", "tool_result"):
                return "tools"
            if kind not in _TEXTS:
                return "parts"
    return None
