"""Reading a request's body: bounded in size, in time and after inflation."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import zstandard
from litestar.types import Receive

from gateway.domain.errors import (
    InvalidRequestError,
    RequestTooLargeError,
    UnsupportedMediaError,
)
from gateway.edge.wire import Wire
from gateway.settings import ServerSettings
from gateway.upstreams.transport import Upload

_OFF_LOOP_BYTES: Final = 64 * 1024
"""Bodies longer than this, compressed or inflated, are inflated in a thread: about a millisecond's work."""

_MAX_GZIP_MEMBERS: Final = 1024
"""Each member copies what follows it: a body of empty ones would take hours. Writers in blocks of 64 KiB need 512."""


async def read_body(wire: Wire, receive: Receive, headers: Mapping[bytes, bytes], settings: ServerSettings) -> bytes:
    """Read the body of one request, inflated.

    Args:
        wire: its connection, which may have all of the body.
        receive: the ASGI callable for what is still to come.
        headers: the request's, names in lower case.
        settings: the bounds.

    Raises:
        UnsupportedMediaError: it is not announced as JSON, or compressed in a way we do not read.
        RequestTooLargeError: it is too long, as announced, as sent or as inflated.
        RequestTimeoutError: it stopped arriving.
        InvalidRequestError: its compression is broken.
    """
    kind = headers.get(b"content-type")
    if kind is not None and kind != b"application/json" and not _is_json(kind):
        raise UnsupportedMediaError("The content type must be application/json.")
    limit = int(settings.body_limit_mb * 2**20)
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    body = wire.take_body()
    if body is None:
        body = await _receive_all(receive, limit)
    if len(body) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else await _inflate(body, encoding, limit)


def receive_upload(wire: Wire, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes | Upload:
    """Return a body that is passed on unread: whole where it has arrived, in pieces otherwise.

    `body_limit_mb` does not bound it, as no more than a piece is held at a time; the request's deadline does.

    Raises:
        RequestTimeoutError: it stopped arriving; raised while it is read.
    """
    body = wire.take_body()
    if body is not None:
        return body
    length = headers.get(b"content-length", b"")
    return Upload(_pieces(receive), int(length) if length.isdigit() else None)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """Yield what arrives; the wire ends a body that stops or is too slow.

    Raises:
        InvalidRequestError: the caller left. A body that is passed on must not end as if it were whole.
    """
    more = True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequestError("The caller left before the body was complete.")
        yield message.get("body", b"")
        more = bool(message.get("more_body"))


async def _receive_all(receive: Receive, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(receive):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
    return b"".join(pieces)


async def _inflate(body: bytes, encoding: bytes, limit: int) -> bytes:
    name = encoding.strip().lower()
    if name == b"identity":
        return body
    inflate = {b"gzip": _gunzip, b"x-gzip": _gunzip, b"zstd": _unzstd}.get(name)
    if inflate is None:
        raise UnsupportedMediaError("The content encoding must be gzip, zstd or identity.")
    try:
        if len(body) > _OFF_LOOP_BYTES:
            text = await asyncio.to_thread(inflate, body, limit + 1)
        else:
            text = inflate(body, min(limit, _OFF_LOOP_BYTES) + 1)
            if len(text) > _OFF_LOOP_BYTES:
                text = await asyncio.to_thread(inflate, body, limit + 1)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise InvalidRequestError(f"The body is not valid {name.decode()}.", code="invalid_encoding") from error
    if len(text) > limit:
        raise _too_large(limit)
    return text


def _too_large(limit: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"The request body is larger than {limit} bytes.")


def _is_json(kind: bytes) -> bool:
    name = kind.partition(b";")[0].strip().lower()
    return name == b"application/json" or (name.startswith(b"application/") and name.endswith(b"+json"))


def _gunzip(body: bytes, most: int) -> bytes:
    """Inflate up to `most` bytes; members that follow one another are read as one (RFC 1952, section 2.2)."""
    pieces: list[bytes] = []
    left = most
    while body and left > 0:
        if len(pieces) == _MAX_GZIP_MEMBERS:
            raise EOFError
        inflater = zlib.decompressobj(wbits=31)
        piece = inflater.decompress(body, left)
        if not inflater.eof and len(piece) < left:
            raise EOFError
        pieces.append(piece)
        left -= len(piece)
        body = inflater.unused_data
    return b"".join(pieces)


def _unzstd(body: bytes, most: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(body, read_across_frames=True) as reader:
        return reader.read(most)
