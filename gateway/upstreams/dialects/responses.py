"""OpenAI's Responses."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.dialects.base import NULL, Answer, decode, is_there, size_of
from gateway.upstreams.errors import in_band
from gateway.upstreams.metering import read_responses_usage

_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The events that end a stream; the last one tells of a failure in its response, which travels on as it is."""


class _Answer(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    output: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = NULL
    delta: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_EVENT: Final = msgspec.json.Decoder(_Event)


class ResponsesDialect:
    """How requests for a response are sent, and their answers read."""

    path = "/responses"
    ends_with_done = False

    def edits(self, request: ModelRequest) -> dict[str, bytes]:  # noqa: ARG002  the seam's signature
        """Change nothing: the last event carries the usage. See `Dialect.edits`."""
        return {}

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read a plain answer; see `Dialect.read`. A response that failed has an `error` of its own and is one."""
        answer = decode(_ANSWER, body, "The upstream's answer is not the JSON object of a response.")
        if is_there(answer.error) and answer.object != "response":
            raise in_band(answer.error, secret)
        usage = read_responses_usage(answer.usage)
        return Answer(usage, answer.model or "", size_of(answer.output), answer.id or "")

    def reader(self, request: ModelRequest, secret: Secret | None) -> ResponsesReader:  # noqa: ARG002  as above
        """Return what reads a stream."""
        return ResponsesReader(secret)


class InputTokensDialect(ResponsesDialect):
    """How requests for a token count are sent. Nothing is generated and nothing is billed."""

    path = "/responses/input_tokens"

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read an answer; see `Dialect.read`."""
        super().read(body, secret)
        return Answer(NO_USAGE, "", None)


class CompactDialect(ResponsesDialect):
    """How requests for a compaction are sent: they answer with output items and usage, as responses do."""

    path = "/responses/compact"


class ResponsesReader:
    """Reads the events of one stream."""

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret
        self.usage: Usage | None = None
        self.generated_bytes = 0
        self.finished = False
        self.event = b""
        self.response_id = ""

    def take(self, payload: bytes) -> bool:
        """Read one event; all of them go to the caller. See `EventReader.take`."""
        event = decode(_EVENT, payload, "The upstream sent an event that is not a JSON object.")
        if event.type in ("error", "") and is_there(event.error):
            raise in_band(event.error, self._secret)
        if event.type == "error":
            raise in_band(msgspec.Raw(payload), self._secret)
        self.event = event.type.encode()
        if is_there(event.delta):
            self.generated_bytes += size_of(event.delta) - 2
        if is_there(event.response):
            response = decode(_ANSWER, bytes(event.response), "The upstream sent a response that is no JSON object.")
            self.response_id = response.id or self.response_id
            self.usage = read_responses_usage(response.usage) or self.usage
        self.finished = self.finished or event.type in _ENDS
        return True
