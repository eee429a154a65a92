"""OpenAI's embeddings."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.errors import UpstreamGarbledError
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from gateway.upstreams.dialects.base import NULL, Answer, EventReader, decode, is_there
from gateway.upstreams.errors import in_band
from gateway.upstreams.metering import read_usage


class _Answer(msgspec.Struct):
    data: msgspec.Raw = NULL
    model: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class EmbeddingsDialect:
    """How requests for embeddings are sent, and their answers read."""

    path = "/embeddings"
    ends_with_done = False

    def edits(self, request: ModelRequest) -> dict[str, bytes]:  # noqa: ARG002  the seam's signature
        """Change nothing; see `Dialect.edits`."""
        return {}

    def read(self, body: bytes, secret: Secret | None) -> Answer:
        """Read an answer; see `Dialect.read`."""
        answer = decode(_ANSWER, body, "The upstream's answer is not the JSON object of an embeddings list.")
        if is_there(answer.error):
            raise in_band(answer.error, secret)
        return Answer(read_usage(answer.usage), answer.model or "", None)

    def reader(self, request: ModelRequest, secret: Secret | None) -> EventReader:  # noqa: ARG002  as above
        """Refuse: embeddings are never streamed."""
        raise UpstreamGarbledError("The upstream answered a request for embeddings with a stream.")
