"""Where the answer to one request is going to be kept."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from gateway.answers.streamed import NotedStream
from gateway.domain.request import ModelRequest

if TYPE_CHECKING:
    from cache.semantic.search import Search

_encode = msgspec.json.Encoder(order="sorted").encode


class Place:
    """Made by a look-up that found nothing.

    Args:
        request: as it was looked up.
        key: the request's, 32 bytes.
        tenant: who shares the answer; see `cache.scope.tenant_of`.
        may_join: whether the answer of an equal request that is under way will do.

    Attributes:
        search: the look-up by meaning, where there was one.
        noted: the stream of the answer, of which what is needed to keep it is noted.
        is_kept: whether the answer was kept.
    """

    __slots__ = ("is_kept", "key", "may_join", "noted", "request", "search", "tenant")

    def __init__(self, request: ModelRequest, key: bytes, tenant: str, *, may_join: bool) -> None:
        self.request, self.key, self.tenant, self.may_join = request, key, tenant, may_join
        self.search: Search | None = None
        self.noted: NotedStream | None = None
        self.is_kept = False


def flight_key(key: bytes, request: ModelRequest, output_limit: int | None) -> bytes:
    """Return the key of requests that can be answered by one and the same call, 32 bytes.

    Besides what decides the answer that is how it travels, and how long it may become.
    """
    if not request.stream and output_limit is None:
        return key
    travels = _encode((request.stream, request.document.get("stream_options"), output_limit))
    return blake2b(travels, digest_size=32, key=key).digest()
