"""A conversation as its transcript tells it: what names it, and what its user has said.

Nothing is kept between requests, so that every replica sees the same conversation, also after a restart. What the
provider keeps and the body does not hold cannot be told from it: such a request has the key of its session, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import msgspec

from gateway.domain.request import ModelRequest
from gateway.domain.responses import ResponsesRequest
from router.needs import IMAGE_TOKENS, medium_of

HEAD: Final = 3000
"""Characters of a long text's beginning that tell it from others; as many as the scorer reads."""

TAIL: Final = 1000
"""Characters of its end."""

MOST_PARTS: Final = 16
"""Parts of a message that tell it from others."""

MOST_TURNS: Final = 32
"""Turns that are scored: the first, which says what the conversation is about, and the last ones. A hard turn in the
middle counts for so long."""

_SINGLE: Final = frozenset({"embeddings", "completions"})
"""Shapes that have no conversations."""

_INSTRUCTIONS: Final = frozenset({"system", "developer"})


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What the user said once.

    Attributes:
        text: without images and other media; not blank.
        position: of its message among those of the request.
    """

    text: str
    position: int


def conversation_key(request: ModelRequest, caller_id: str, session: str | None = None) -> bytes:
    """Return 16 bytes that stay the same as a conversation grows; none for a request that belongs to no known one.

    The key is made of the session's name, else of the stored conversation's, else of the instructions and the first
    message of the user. Two conversations of a caller that begin alike share a key, and a client that cuts off the
    beginning gets another one: a session's name prevents both.

    Args:
        request: of any shape.
        caller_id: keeps callers apart.
        session: the caller's own name for the conversation.
    """
    if session is not None:
        return _digest(caller_id, "session", (session,))
    if request.shape in _SINGLE:
        return b""
    if isinstance(request, ResponsesRequest) and not request.is_whole:
        stored = request.conversation_id
        return _digest(caller_id, "stored", (stored,)) if stored else b""
    beginning = list(_beginning(request.messages))
    return _digest(caller_id, "begun", beginning) if beginning else b""


def user_turns(request: ModelRequest, most: int = MOST_TURNS) -> list[Turn]:
    """Return what the user said, oldest first: the first turn and the last ones.

    Results of tools are no turns, nor are messages without text, nor what was said before the same turn's last message:
    no model has answered to that. Once one has, a turn is the same however much follows it.

    Args:
        request: of any shape.
        most: how many to return, >= 2.
    """
    messages = request.messages
    found = list(islice(_turns(messages, reversed(range(len(messages)))), most))
    if len(found) == most:
        found[-1] = next(_turns(messages, range(len(messages))))
    found.reverse()
    return found


class Prefixes:
    """Estimates how much was said before some messages, walking over the transcript once.

    Args:
        messages: of a request, each with a `role` and a `content`.
    """

    __slots__ = ("_messages", "_position", "_quarters")

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = messages
        self._position = self._quarters = 0

    def tokens_before(self, position: int) -> int:
        """Return the tokens of all messages before one.

        Args:
            position: of the message; not before the one that was asked for last.
        """
        for message in islice(self._messages, self._position, position):
            self._quarters += _quarters(message.get("content"))
        self._position = position
        return self._quarters // 4


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text: four ASCII characters each, or two where there are other letters."""
    return _quarters(text) // 4


def ends_of(text: str) -> str:
    """Return a long text's two ends and its length, which tell it from others; a shorter text as it is."""
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]}{len(text)}{text[-TAIL:]}"


def _beginning(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what comes up to the user's first message with content; what stands further down may be new."""
    for message in messages:
        role, content = message["role"], message.get("content")
        if content and (role == "user" or role in _INSTRUCTIONS):
            if type(content) is str:
                yield ends_of(content)
            else:
                yield from map(_gist, islice(content, MOST_PARTS))
            if role == "user":
                return


def _gist(part: Mapping[str, Any]) -> str:
    """Return what tells a part from others. Members beside it may change: clients move marks for prompt caches on."""
    text = part.get("text")
    if text is None:
        medium = medium_of(part)
        text = "" if medium is None else medium[1]
    return ends_of(text)


def _digest(caller_id: str, kind: str, pieces: Iterable[str]) -> bytes:
    """Hash pieces so that no two lists of them look the same."""
    marked = "".join([f"{len(piece)}:{piece}" for piece in (caller_id, kind, *pieces)])
    return blake2b(marked.encode("utf-8", "replace"), digest_size=16).digest()


def _turns(messages: Sequence[Mapping[str, Any]], positions: Iterable[int]) -> Iterator[Turn]:
    for position in positions:
        text = _said(messages[position])
        if text and not (position + 1 < len(messages) and _said(messages[position + 1])):
            yield Turn(text, position)


def _said(message: Mapping[str, Any]) -> str:
    """Return what the user says in a message, nothing where it is somebody else's or blank."""
    if message["role"] != "user":
        return ""
    content = message.get("content")
    text = content if type(content) is str else _text(content)
    return "" if text.isspace() else text


def _text(content: Sequence[Mapping[str, Any]] | None) -> str:
    """Return the text of a message's parts; a single one is not copied."""
    texts = [text for part in content or () if (text := part.get("text"))]
    return texts[0] if len(texts) == 1 else "\n".join(texts)


def _quarters(content: Any) -> int:
    """Estimate a content's size in quarters of tokens."""
    if type(content) is str:
        return len(content) if content.isascii() else 2 * len(content)
    return sum(map(_quarters_of_part, content or ()))


def _quarters_of_part(part: Mapping[str, Any]) -> int:
    text = part.get("text")
    if text is not None:
        return _quarters(text)
    medium = medium_of(part)
    return 4 * IMAGE_TOKENS if medium is not None and medium[0] == "vision" else 0
