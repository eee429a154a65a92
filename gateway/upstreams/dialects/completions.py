"""OpenAI's legacy completions: chat's framing around texts."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from gateway.domain.completions import CompletionsRequest
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.upstreams.dialects.base import NULL, EventReader, decode, is_there
from gateway.upstreams.dialects.chat import ChatDialect
from gateway.upstreams.errors import in_band
from gateway.upstreams.metering import read_usage


class _Choice(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_CHUNK: Final = msgspec.json.Decoder(_Chunk)


class CompletionsDialect(ChatDialect):
    """How requests to continue a text are sent, and their answers read: plain ones as those of chat."""

    path = "/completions"

    def reader(self, request: ModelRequest, secret: Secret | None) -> EventReader:
        """Return what reads a stream."""
        return CompletionsReader(wants_usage=cast(CompletionsRequest, request).wants_usage, secret=secret)


class CompletionsReader:
    """Reads the chunks of one stream."""

    event = b""
    response_id = ""

    def __init__(self, *, wants_usage: bool, secret: Secret | None) -> None:
        self._wants_usage = wants_usage
        self._secret = secret
        self.usage: Usage | None = None
        self.generated_bytes = 0
        self.finished = False

    def take(self, payload: bytes) -> bool:
        """Read one chunk; that of usage goes to those who asked for it. See `EventReader.take`."""
        chunk = decode(_CHUNK, payload, "The upstream sent a chunk that is not a JSON object.")
        if is_there(chunk.error):
            raise in_band(chunk.error, self._secret)
        for choice in chunk.choices or ():
            self.generated_bytes += len(choice.text or "")
            self.finished = self.finished or choice.finish_reason is not None
        usage = read_usage(chunk.usage)
        self.usage = usage or self.usage
        return usage is None or bool(chunk.choices) or self._wants_usage
