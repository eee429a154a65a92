"""A request to a model, whatever its shape: what the gateway judges of it, and the bytes it forwards."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Literal, Self

from gateway.domain.document import replace_members
from gateway.domain.rewriting import Path, replace_texts, replaced_in

Shape = Literal["chat", "responses", "input_tokens", "compact", "messages", "count_tokens", "embeddings", "completions"]
"""The forms of request and answer: OpenAI's chat completions, Responses with its token count and compaction,
embeddings and legacy completions, and Anthropic's Messages with its token count."""


class ModelRequest:
    """What requests of every shape have in common.

    Attributes:
        body: the JSON document as received (inflated if it was compressed).
        document: the same, decoded; half surrogate pairs read as U+FFFD.
        model: the requested model name.
        messages: what is said to the model, as chat messages: each with a `role`; `content` is a string, a list of
            parts or None. For shapes other than chat it is a view, made for those who judge.
        stream: whether the caller asked for server-sent events.
        max_output_tokens: the longest answer the caller wants, or None.
        is_faithful: whether `document` holds all that `body` does: no repeated name, no half surrogate pair.
    """

    __slots__ = ("body", "document", "is_faithful", "max_output_tokens", "messages", "model", "stream")
    shape: ClassVar[Shape]
    limits: ClassVar[tuple[str, ...]] = ("max_tokens",)
    """The members that bound an answer's length; the first is the one to add."""

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        self.body = body
        self.document = document
        self.is_faithful = is_faithful
        self.model: str = document["model"]
        self.stream = document.get("stream") is True
        self.messages: list[dict[str, Any]] = []
        self.max_output_tokens: int | None = None

    @property
    def may_be_shared(self) -> bool:
        """Whether the same request deserves the same answer again: nothing is kept of it, and nothing else counts."""
        return True

    @property
    def is_whole(self) -> bool:
        """Whether the body holds all of the prompt, rather than continuing what whoever answers has kept."""
        return True

    @property
    def most_output_tokens(self) -> int | None:
        """How long the answer may get at most by the request's own members, whichever of them the upstream reads."""
        if len(self.limits) == 1:
            return self.max_output_tokens
        given = [value for name in self.limits if (value := self.document.get(name)) is not None]
        return max(given) if given else self.max_output_tokens

    def limited(self, tokens: int) -> Self:
        """Return the request with an answer of at most so many tokens."""
        edits = {name: tokens for name in self.limits if (self.document.get(name) or 0) > tokens}
        if not edits and self.most_output_tokens is not None:
            return self
        edits = edits or {self.limits[0]: tokens}
        body = self.edited({name: b"%d" % value for name, value in edits.items()})
        limited = copy(self)
        limited.body, limited.document = body, {**self.document, **edits}
        asked = self.max_output_tokens
        limited.max_output_tokens = tokens if asked is None else min(asked, tokens)
        return limited

    def rewritten(self, texts: Mapping[Path, str]) -> Self:
        """Return the request with the strings at some places replaced; every other byte stays as it came.

        Args:
            texts: place in the document, such as `("messages", 0, "content")`, to new text.
        """
        body, document = replace_texts(self.body, texts), replaced_in(self.document, texts)
        return type(self)(body, document, is_faithful=self.is_faithful)

    def edited(self, edits: Mapping[str, bytes]) -> bytes:
        """Return the body with top-level members replaced, or put first where they are absent.

        Args:
            edits: member name to its new JSON value. Every other byte stays as received.
        """
        return replace_members(self.body, edits)
