"""A request to OpenAI's legacy completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.chat import wants_usage
from gateway.domain.document import (
    OPTIONAL_COUNT,
    OPTIONAL_FLAG,
    OPTIONAL_NUMBER,
    OPTIONAL_OBJECT,
    OPTIONAL_TEXT,
    TEXT,
    Judged,
    Level,
    check_members,
    read_document,
    require,
)
from gateway.domain.request import ModelRequest

_JUDGED: Final[Mapping[str, Judged]] = {
    "model": TEXT,
    "prompt": Judged((str, list, type(None)), "a string or an array"),
    "suffix": OPTIONAL_TEXT,
    "stream": OPTIONAL_FLAG,
    "stream_options": OPTIONAL_OBJECT,
    "max_tokens": OPTIONAL_COUNT,
    "n": OPTIONAL_COUNT,
    "best_of": OPTIONAL_COUNT,
    "temperature": OPTIONAL_NUMBER,
    "user": OPTIONAL_TEXT,
}
_LEVELS: Final = (Level("", _JUDGED),)


class CompletionsRequest(ModelRequest):
    """One request to continue a text.

    Attributes:
        wants_usage: whether the caller asked for the usage chunk of a stream.
    """

    __slots__ = ("wants_usage",)
    shape = "completions"

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        super().__init__(body, document, is_faithful=is_faithful)
        prompt = document.get("prompt")
        texts = [prompt] if isinstance(prompt, str) else [text for text in prompt or () if isinstance(text, str)]
        texts += [suffix] if (suffix := document.get("suffix")) else []
        self.messages = [{"role": "user", "content": text} for text in texts]
        self.max_output_tokens = document.get("max_tokens")
        self.wants_usage = wants_usage(document)


def read_completions(body: bytes) -> CompletionsRequest:
    """Read a request to continue a text.

    Raises:
        InvalidRequestError: as `read_chat` does.
    """
    document, is_faithful = read_document(body, _LEVELS)
    check_members(document, _JUDGED, _JUDGED.keys())
    require(document, "model")
    return CompletionsRequest(body, document, is_faithful=is_faithful)
