"""Refuses prompts that are larger than policy allows, before they cost anything."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.errors import PromptRejectedError
from gateway.domain.request import ModelRequest
from policies.sanitise.plan import SizeLimits

BYTES_A_TOKEN: Final = 4
"""Of ordinary text; what `tokens` is estimated by."""

_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "image"})
_ATTACHMENT_KINDS: Final = frozenset({"file", "input_file", "document", "input_audio"})


def check_size(request: ModelRequest, limits: SizeLimits) -> None:
    """Let a request pass that is not too large. The texts of embeddings are not one prompt: the body's limit holds.

    Raises:
        PromptRejectedError: there is too much of something.
    """
    if limits.depth is not None and _is_deeper(request.document, limits.depth):
        too_deep = f"The request is nested more than {limits.depth} levels deep."
        raise PromptRejectedError(too_deep, code="prompt_too_large")
    if request.shape == "embeddings":
        return
    _refuse_more(len(request.messages), "messages", limits.messages)
    characters = images = attachments = 0
    for message in request.messages:
        content = message.get("content")
        if type(content) is str:
            characters += len(content)
        elif content:
            for part in content:
                characters += len(part.get("text", ""))
                kind = part.get("type")
                images += kind in _IMAGE_KINDS
                attachments += kind in _ATTACHMENT_KINDS
    _refuse_more(characters, "characters", limits.characters)
    _refuse_more(images, "images", limits.images)
    if limits.attachments is not None:
        _refuse_more(attachments, "attachments", limits.attachments)
    if limits.tokens is not None:
        _refuse_more(_tokens(request), "tokens", limits.tokens)


def _tokens(request: ModelRequest) -> int:
    """Return how many tokens the texts have, as they are estimated: a token is four bytes, rounded up once."""
    length = 0
    for message in request.messages:
        content = message.get("content")
        parts = content or ()
        texts: list[str] = [content] if isinstance(content, str) else [part.get("text", "") for part in parts]
        length += sum(len(text) if text.isascii() else len(text.encode(errors="replace")) for text in texts)
    return -(-length // BYTES_A_TOKEN)


def _is_deeper(document: Any, most: int) -> bool:
    """Tell whether objects and arrays stand inside each other more than so many times."""
    layer = [document]
    for _ in range(most):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True


def _refuse_more(found: int, what: str, limit: int) -> None:
    if found > limit:
        message = f"The prompt has {found} {what}; the limit is {limit}."
        raise PromptRejectedError(message, code="prompt_too_large", param="messages")
