"""What of a request is scored: the last thing the user said, and a few counts of what surrounds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.domain.request import ModelRequest

_PARTS: Final = 32
"""How many parts are looked at of a message's beginning, and of its end."""


class Prompt(msgspec.Struct, frozen=True, gc=False):
    """What is scored.

    Attributes:
        text: the last message of the user.
        system: the instructions before the conversation.
        turns: messages of the user, at least 1.
        context_characters: length of everything said besides `text` and `system`.
        tools: how many the model may call.
        has_schema: whether the answer has to fit a schema.
        attachments: parts that are not text.
    """

    text: str
    system: str = ""
    turns: int = 1
    context_characters: int = 0
    tools: int = 0
    has_schema: bool = False
    attachments: int = 0


def prompt_of(request: ModelRequest) -> Prompt:
    """Return what is scored of a request of any shape. Content of an unexpected form counts as empty."""
    text, system = "", ""
    turns = characters = attachments = 0
    for message in request.messages:
        if not isinstance(message, Mapping):
            continue
        said, others = _said(message.get("content"))
        attachments += others
        role = message.get("role")
        if role in {"system", "developer"}:
            system = system or said
        elif role == "user":
            turns += 1
            characters += len(text)
            text = said
        else:
            characters += len(said)
    document = request.document if isinstance(request.document, Mapping) else {}
    return Prompt(
        text=text,
        system=system,
        turns=max(1, turns),
        context_characters=characters,
        tools=_count(document.get("tools")) or _count(document.get("functions")),
        has_schema=_has_schema(document),
        attachments=attachments,
    )


def _said(content: Any) -> tuple[str, int]:
    """Return a message's text, and how many of its parts are something else."""
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        return "", 0
    others = 0
    texts: list[str] = []
    for part in content if len(content) <= 2 * _PARTS else content[:_PARTS] + content[-_PARTS:]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others += 1
    return "\n".join(texts) if len(texts) != 1 else texts[0], others


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _has_schema(document: Mapping[str, Any]) -> bool:
    return any(_is_schema(form) for form in _forms(document))


def _forms(document: Mapping[str, Any]) -> Iterator[Any]:
    """Yield where the shapes say what form an answer takes."""
    yield document.get("response_format")
    for name in ("text", "output_config"):
        holder = document.get(name)
        if isinstance(holder, Mapping):
            yield holder.get("format")
    yield document.get("output_format")


def _is_schema(form: Any) -> bool:
    return isinstance(form, Mapping) and form.get("type") in {"json_schema", "json_object"}
