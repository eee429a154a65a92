"""The seam between shapes: a caller of one is served by an upstream that speaks another.

Chat is the shape in the middle: every other shape has a file to it and one from it, and what is neither goes through
both. So that nothing is lost on that way, an assistant message or delta of the chat shape may carry two members that
OpenAI does not define and that others made common: `reasoning_content`, the reasoning as text, and `thinking_blocks`,
the blocks of the Messages API with their signatures (`{"type": "thinking", "thinking": str, "signature": str}` or
`{"type": "redacted_thinking", "data": str}`). In a stream each block comes whole, once, in the delta that ends it, with
an `index`, without which OpenAI's Python client cannot join two of them.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

Document = dict[str, Any]
"""A decoded JSON object."""

SEAL: Final = "tw1."
"""What reasoning starts with that one shape put into a text of another; no provider's own signature does."""


class Translated(msgspec.Struct, frozen=True):
    """A request in the upstream's shape.

    Attributes:
        document: it, complete but for the model's name, which is still the caller's.
        dropped: paths of the caller's members that the other shape has no words for and that do not change what
            the answer is: `seed`, `messages[2].name`.
    """

    document: Document
    dropped: tuple[str, ...] = ()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is translated for.

    Attributes:
        request: the caller's document.
        model: the name of the model that answers, for answers that do not say it.
        answer_id: lower-case hex digits that every made-up id of this answer is built from.
        created: seconds since the epoch.
    """

    request: Document
    model: str
    answer_id: str
    created: int


class StreamTranslator(Protocol):
    """Turns one stream of events into another. Events are decoded payloads; framing and `[DONE]` are not seen here."""

    def feed(self, event: Document) -> list[Document]:
        """Return the caller's events that follow from one of the upstream's.

        Raises:
            UpstreamGarbledError: the event has no place here.
            UpstreamRefusedError: the event says that the upstream failed.
        """

    def finish(self) -> list[Document]:
        """Return the events that end the caller's stream, once the upstream's has ended.

        Raises:
            UpstreamGarbledError: it ended before the answer was complete.
        """


class Translator(Protocol):
    """Serves callers of one shape by upstreams of another."""

    def request(self, document: Document, *, max_output_tokens: int) -> Translated:
        """Return the caller's request in the upstream's shape; the caller's document is left as it is.

        Args:
            document: what the caller sent, or its equal in the caller's shape.
            max_output_tokens: what to ask for where the upstream's shape demands a bound and the caller set none.

        Raises:
            InvalidRequestError: a member is of the wrong type, or its meaning cannot be kept (code
                `unsupported_parameter`, `param` says which).
        """

    def answer(self, call: Call, answer: Document) -> Document:
        """Return the upstream's plain answer in the caller's shape.

        Raises:
            UpstreamGarbledError: it lacks what an answer must have.
            UpstreamRefusedError: it says that the upstream failed.
        """

    def stream(self, call: Call) -> StreamTranslator:
        """Start translating a stream."""
