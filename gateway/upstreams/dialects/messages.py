"""Anthropic's Messages, and its count of tokens."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.dialects.base import NULL, Answer, EventReader, decode, is_there, size_of
from gateway.upstreams.errors import in_band
from gateway.upstreams.metering import MessagesUsage, read_messages_usage


class _Answer(msgspec.Struct):
    type: str = ""
    content: msgspec.Raw = NULL
    model: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Event(msgspec.Struct):
    type: str = ""
    message: _Answer | None = None
    delta: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Type of error to status (docs.claude.com, "Errors", 2026-11)."""

_BYTES_A_TOKEN: Final = 4
"""OpenAI's rule of thumb for English; the deltas of a cut stream are a few words each, with their names around."""

_ANSWER: Final = msgspec.json.Decoder(_Answer)
_EVENT: Final = msgspec.json.Decoder(_Event)


class MessagesDialect:
    """How requests for a message are sent, and their answers read."""

    path = "/v1/messages"
    ends_with_done = False

    def edits(self, request: ModelRequest) -> dict[str, bytes]:  # noqa: ARG002  the seam's signature
        """Change nothing: usage is always told. See `Dialect.edits`."""
        return {}

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read a plain answer; see `Dialect.read`."""
        answer = decode(_ANSWER, body, "The upstream's answer is not the JSON object of a message.")
        if is_there(answer.error) or answer.type == "error":
            raise in_band(answer.error, secret, STATUSES)
        usage = read_messages_usage(answer.usage)
        return Answer(None if usage is None else usage.as_usage(), answer.model or "", size_of(answer.content))

    def reader(self, request: ModelRequest, secret: Secret | None) -> MessagesReader:  # noqa: ARG002  as above
        """Return what reads a stream."""
        return MessagesReader(secret)


class MessagesReader:
    """Reads the events of one stream. Its usage comes in two parts: that of the prompt first, that of the end last."""

    response_id = ""

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret
        self._usage: MessagesUsage | None = None
        self._is_final = False
        self.generated_bytes = 0
        self.finished = False
        self.event = b""

    @property
    def usage(self) -> Usage | None:
        """What was reported; of a stream that was cut, the prompt as reported and the rest by its size."""
        if self._usage is None or self._is_final:
            return None if self._usage is None else self._usage.as_usage()
        reported = self._usage.as_usage()
        generated = max(reported.output_tokens, self.generated_bytes // _BYTES_A_TOKEN)
        return msgspec.structs.replace(reported, output_tokens=generated, provenance="counted")

    def take(self, payload: bytes) -> bool:
        """Read one event; all of them go to the caller, `ping` too. See `EventReader.take`."""
        event = decode(_EVENT, payload, "The upstream sent an event that is not a JSON object.")
        if event.type == "error" or is_there(event.error):
            raise in_band(event.error, self._secret, STATUSES)
        self.event = event.type.encode()
        if event.message is not None:
            self._usage = read_messages_usage(event.message.usage)
        elif event.type == "content_block_delta":
            self.generated_bytes += size_of(event.delta)
        elif event.type == "message_delta":
            later = read_messages_usage(event.usage)
            if later is not None:
                self._is_final = True
                self._usage = later if self._usage is None else self._usage.updated(later)
        elif event.type == "message_stop":
            self.finished = True
        return True


class CountTokensDialect:
    """How requests for a token count are sent. Nothing is generated and nothing is billed."""

    path = "/v1/messages/count_tokens"
    ends_with_done = False

    def edits(self, request: ModelRequest) -> dict[str, bytes]:  # noqa: ARG002  the seam's signature
        """Change nothing; see `Dialect.edits`."""
        return {}

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read an answer; see `Dialect.read`."""
        answer = decode(_ANSWER, body, "The upstream's answer is not the JSON object of a token count.")
        if is_there(answer.error):
            raise in_band(answer.error, secret, STATUSES)
        return Answer(NO_USAGE, "", None)

    def reader(self, request: ModelRequest, secret: Secret | None) -> EventReader:  # noqa: ARG002  as above
        """Refuse: a count is never streamed."""
        raise UpstreamGarbledError("The upstream answered a request for a token count with a stream.")
