"""The seam of a renderer, and how texts are cut into pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, Protocol

import msgspec

from gateway.answers.reading import Document
from gateway.upstreams.sse import frame, named_frame

How = Literal["natural", "at_once"]
"""Word by word, as a model does, or each text in one piece."""

_WORD: Final = re.compile(r"\s{0,24}\S{1,24}|\s{1,24}")
"""A word with the space before it, as tokenizers cut; long ones and long gaps in pieces."""

_ARGUMENTS_PIECE: Final = 16
"""Characters of arguments in one piece, about four tokens."""

json_of: Final = msgspec.json.Encoder().encode
"""Writes JSON without spaces, as providers do."""


class Renderer(Protocol):
    """Turns a whole answer of one shape into its stream."""

    def says_all(self, document: Document) -> bool:
        """Tell whether the events would say all that the answer does, in the way its clients read."""

    def events(self, document: Document, how: How, *, wants_usage: bool) -> Iterator[bytes]:
        """Yield the events, framed; the last one ends the stream.

        Args:
            document: of which `says_all` is true.
            how: in which pieces.
            wants_usage: whether the caller asked for the usage, where a shape tells it only to who asks.
        """


def pieces(text: str, how: How) -> Iterator[str]:
    """Yield a text in pieces; nothing for an empty one."""
    if how == "at_once":
        if text:
            yield text
        return
    for found in _WORD.finditer(text):
        yield found.group()


def argument_pieces(text: str, how: How) -> Iterator[str]:
    """Yield the arguments of a call in pieces; nothing for empty ones."""
    size = _ARGUMENTS_PIECE if how == "natural" else max(len(text), 1)
    for start in range(0, len(text), size):
        yield text[start : start + size]


def event(document: Document) -> bytes:
    """Return an event without a name."""
    return frame(json_of(document))


def named_event(document: Document) -> bytes:
    """Return an event that bears the name of its type."""
    return named_frame(document["type"].encode(), json_of(document))
