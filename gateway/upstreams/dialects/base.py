"""The seam of a dialect, and how its documents are read."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from gateway.domain.document import without_lone_surrogates
from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage

NULL: Final = msgspec.Raw(b"null")
"""An absent member. `Raw | None` would be no choice: msgspec then accepts nothing but null."""

_N: Final = b"n"[0]


class Answer(msgspec.Struct, frozen=True):
    """What is read of a plain answer.

    Attributes:
        usage: as the provider reports it, or None.
        model: the model's name in it, empty if it has none.
        generated_bytes: how much of it was generated, for estimates; None where nothing is.
        response_id: the id of a response.
    """

    usage: Usage | None
    model: str = ""
    generated_bytes: int | None = 0
    response_id: str = ""


class EventReader(Protocol):
    """Reads the events of one stream as they pass.

    Attributes:
        generated_bytes: how much has been generated so far, for estimates.
        finished: whether the answer is complete, so that the stream may end here.
        event: the name of the newest event, empty where events have none.
        response_id: the id of a response, once known.
    """

    generated_bytes: int
    finished: bool
    event: bytes
    response_id: str

    @property
    def usage(self) -> Usage | None:
        """As the provider reports it, or None before it did."""

    def take(self, payload: bytes) -> bool:
        """Read one event and tell whether it goes to the caller.

        Raises:
            UpstreamError: the event says that the upstream failed.
            UpstreamGarbledError: it is no JSON object.
        """


class Dialect(Protocol):
    """How requests of one shape are sent, and their answers read.

    Attributes:
        path: the path of the operation below the upstream's base URL.
        ends_with_done: whether a stream ends with `[DONE]`, rather than with an event that says so.
    """

    path: str
    ends_with_done: bool

    def edits(self, request: ModelRequest) -> dict[str, bytes]:
        """Return what is changed in the body on its way to the upstream, besides the model's name."""

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read a plain answer.

        Raises:
            UpstreamError: it says that the upstream failed.
            UpstreamGarbledError: it is not what an answer of this shape must be.
        """

    def reader(self, request: ModelRequest, secret: Secret | None) -> EventReader:
        """Return what reads a stream."""


def is_there(value: msgspec.Raw) -> bool:
    """Tell a value from null; JSON has no other value that starts with an n."""
    return memoryview(value)[0] != _N


def size_of(value: msgspec.Raw) -> int:
    """Return the length of a value in bytes."""
    return len(memoryview(value))


def decode(decoder: msgspec.json.Decoder[Any], text: bytes, message: str) -> Any:
    """Decode, forgiving what JSON allows and strict decoders refuse: half a surrogate pair.

    Raises:
        UpstreamGarbledError: with `message`.
    """
    try:
        try:
            return decoder.decode(text)
        except msgspec.DecodeError:
            return decoder.decode(without_lone_surrogates(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamGarbledError(message) from error
