"""Every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.request import Shape
from gateway.upstreams.dialects.base import Dialect
from gateway.upstreams.dialects.chat import ChatDialect
from gateway.upstreams.dialects.completions import CompletionsDialect
from gateway.upstreams.dialects.embeddings import EmbeddingsDialect
from gateway.upstreams.dialects.messages import CountTokensDialect, MessagesDialect
from gateway.upstreams.dialects.responses import CompactDialect, InputTokensDialect, ResponsesDialect

DIALECTS: Final[Mapping[Shape, Dialect]] = {
    "chat": ChatDialect(),
    "responses": ResponsesDialect(),
    "input_tokens": InputTokensDialect(),
    "compact": CompactDialect(),
    "messages": MessagesDialect(),
    "count_tokens": CountTokensDialect(),
    "embeddings": EmbeddingsDialect(),
    "completions": CompletionsDialect(),
}
"""By shape of request. A new one is one line here."""
