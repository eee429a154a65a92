"""Refuses prompts that are larger than policy allows, before they cost anything."""

from __future__ import annotations

from typing import Final

from gateway.domain.errors import PromptRejectedError
from gateway.domain.request import ModelRequest
from policies.settings import PromptLimits

_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "image"})


class PromptSize:
    """Counts messages, characters and images.

    Args:
        limits: the most of each.
    """

    def __init__(self, limits: PromptLimits) -> None:
        self._limits = limits

    def check(self, request: ModelRequest) -> None:
        """Let a request pass; see `Sanitiser.check`."""
        if request.shape == "embeddings":  # its texts are not one prompt; the body's limit bounds them
            return
        limits = self._limits
        if len(request.messages) > limits.messages:
            raise _too_much(len(request.messages), "messages", limits.messages)
        characters = images = 0
        for message in request.messages:
            content = message.get("content")
            if type(content) is str:
                characters += len(content)
            elif content:
                for part in content:
                    characters += len(part.get("text", ""))
                    images += part.get("type") in _IMAGE_KINDS
        if characters > limits.characters:
            raise _too_much(characters, "characters", limits.characters)
        if images > limits.images:
            raise _too_much(images, "images", limits.images)


def _too_much(found: int, what: str, limit: int) -> PromptRejectedError:
    message = f"The prompt has {found} {what}; the limit is {limit}."
    return PromptRejectedError(message, code="prompt_too_large", param="messages")
