"""Refuses prompts that are larger than policy allows, before they cost anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.domain.chat import ChatRequest, without_lone_surrogates
from gateway.domain.errors import PromptRejectedError
from policies.settings import PromptLimits

_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "image"})


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None


_CONTENT: Final = msgspec.json.Decoder(str | list[_Part] | None)


class PromptSize:
    """Counts messages, characters and images.

    Args:
        limits: the most of each.
    """

    def __init__(self, limits: PromptLimits) -> None:
        self._limits = limits

    def check(self, request: ChatRequest) -> None:
        """Let a request pass; see `Sanitiser.check`.

        A body has at least one byte a character, and an image's name in it or an escape that could hide one:
        an ordinary prompt is passed without being read.
        """
        limits = self._limits
        if len(request.messages) > limits.messages:
            raise _too_much(len(request.messages), "messages", limits.messages)
        body = request.body
        if len(body) <= limits.characters and b"image" not in body and b"\\u00" not in body:
            return
        characters = images = 0
        for part in _parts(request):
            characters += len(part.text or "")
            images += part.type in _IMAGE_KINDS
        if characters > limits.characters:
            raise _too_much(characters, "characters", limits.characters)
        if images > limits.images:
            raise _too_much(images, "images", limits.images)


def _parts(request: ChatRequest) -> Iterator[_Part]:
    for message in request.messages:
        content = message.get("content")
        if content is None:
            continue
        try:
            decoded = _CONTENT.decode(content)
        except msgspec.DecodeError:
            decoded = _forgiving(bytes(content))
        if isinstance(decoded, str):
            yield _Part(text=decoded)
        elif decoded:
            yield from decoded


def _forgiving(content: bytes) -> list[_Part]:
    """Read content with half surrogates, or parts of odd types, as far as it can be judged."""
    try:
        parts = msgspec.json.decode(without_lone_surrogates(content), type=list[dict[str, object]])
    except msgspec.DecodeError:
        return [_Part(text=content.decode("utf-8", "replace"))]
    return [_Part(type=str(part.get("type")), text=str(part.get("text") or "")) for part in parts]


def _too_much(found: int, what: str, limit: int) -> PromptRejectedError:
    message = f"The prompt has {found} {what}; the limit is {limit}."
    return PromptRejectedError(message, code="prompt_too_large", param="messages")
