"""The events of a Response as a whole one, which the last of them carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.answers.assembly.base import Assembled
from gateway.answers.reading import Document
from gateway.domain.usage import Usage

_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


def assemble_response(events: Sequence[Document], usage: Usage) -> Assembled | None:
    """Return the whole Response; see `Assembler`."""
    del usage
    for event in reversed(events):
        if event.get("type") in _ENDS and isinstance(event.get("response"), dict):
            return Assembled(event["response"], is_exact=True)
    return None
