"""Every renderer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.answers.rendering.base import Renderer
from gateway.answers.rendering.chat import ChatRenderer
from gateway.answers.rendering.messages import MessagesRenderer
from gateway.answers.rendering.responses import ResponsesRenderer
from gateway.domain.request import Shape

RENDERERS: Final[Mapping[Shape, Renderer]] = {
    "chat": ChatRenderer(),
    "responses": ResponsesRenderer(),
    "messages": MessagesRenderer(),
}
"""By shape of request. A new one is one line here."""
