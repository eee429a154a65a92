"""OpenAI's chat completions."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from gateway.domain.chat import ChatRequest, edits_for_usage
from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.upstreams.dialects.base import NULL, Answer, EventReader, decode, is_there, size_of
from gateway.upstreams.errors import in_band
from gateway.upstreams.metering import read_usage

_EMPTY_DELTA_BYTES: Final = len('{"content":""}')
_QUOTE: Final = b'"'[0]
_ARRAY: Final = b"["[0]


class _Answer(msgspec.Struct):
    choices: msgspec.Raw = NULL
    model: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Choice(msgspec.Struct):
    delta: msgspec.Raw = NULL
    finish_reason: msgspec.Raw = NULL


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)


class ChatDialect:
    """How chat requests are sent, and their answers read."""

    path = "/chat/completions"
    ends_with_done = True

    def edits(self, request: ModelRequest) -> dict[str, bytes]:
        """Ask for the usage of a stream; see `Dialect.edits`."""
        return edits_for_usage(request.document) if request.stream else {}

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read a plain answer; see `Dialect.read`."""
        answer = decode(_ANSWER, body, "The upstream's answer is not the JSON object of a completion.")
        if is_there(answer.error):
            raise in_band(answer.error, secret)
        if is_there(answer.choices) and memoryview(answer.choices)[0] != _ARRAY:
            raise UpstreamGarbledError("The upstream's answer has 'choices' that are no list.")
        return Answer(read_usage(answer.usage), answer.model or "", size_of(answer.choices))

    def reader(self, request: ModelRequest, secret: Secret | None) -> EventReader:
        """Return what reads a stream."""
        return ChatReader(wants_usage=cast(ChatRequest, request).wants_usage, secret=secret)


class ChatReader:
    """Reads the chunks of one stream."""

    __slots__ = ("_secret", "_wants_usage", "event", "finished", "generated_bytes", "response_id", "usage")

    def __init__(self, *, wants_usage: bool, secret: Secret | None) -> None:
        self._wants_usage = wants_usage
        self._secret = secret
        self.usage: Usage | None = None
        self.generated_bytes = 0
        self.finished = False
        self.event = b""
        self.response_id = ""

    def take(self, payload: bytes) -> bool:
        """Read one chunk; that of usage goes to those who asked for it. See `EventReader.take`."""
        chunk = decode(_CHUNK, payload, "The upstream sent a chunk that is not a JSON object.")
        if is_there(chunk.error):
            raise in_band(chunk.error, self._secret)
        choices = chunk.choices
        if choices:
            for choice in choices:
                self.generated_bytes += max(len(memoryview(choice.delta)) - _EMPTY_DELTA_BYTES, 0)
                if memoryview(choice.finish_reason)[0] == _QUOTE:
                    self.finished = True
        if is_there(chunk.usage):
            usage = read_usage(chunk.usage)
            if usage is not None:
                self.usage = usage
                return bool(choices) or self._wants_usage
        return True
