"""Reading a request's body: bounded in size, in time and after inflation."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final

import zstandard
from litestar.types import Receive

from gateway.domain.errors import (
    InvalidRequestError,
    RequestTimeoutError,
    RequestTooLargeError,
    UnsupportedMediaError,
)
from gateway.settings import ServerSettings

_OFF_LOOP_BYTES: Final = 64 * 1024
"""Compressed bodies longer than this are inflated in a thread: about a millisecond's work."""


class BodyReader:
    """Reads the body of one request; see `Exchange.read_body`.

    Args:
        receive: the ASGI callable.
        headers: the request's, names in lower case.
        settings: the bounds.
    """

    __slots__ = ("_headers", "_limit", "_receive", "_timeout_s")

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], settings: ServerSettings) -> None:
        self._receive = receive
        self._headers = headers
        self._limit = int(settings.body_limit_mb * 2**20)
        self._timeout_s = settings.body_timeout_s

    async def __call__(self) -> bytes:
        """Return the body, inflated.

        Raises:
            UnsupportedMediaError: it is not announced as JSON, or compressed in a way we do not read.
            RequestTooLargeError: it is too long, as announced, as sent or as inflated.
            RequestTimeoutError: it stopped arriving.
            InvalidRequestError: its compression is broken.
        """
        kind = self._headers.get(b"content-type")
        if kind is not None and not _is_json(kind):
            raise UnsupportedMediaError("The content type must be application/json.")
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limit:
            raise self._too_large()
        message = await self._receive()
        body: bytes = message.get("body", b"")  # type: ignore[assignment]  # a disconnect has none
        if message.get("more_body"):
            body = await self._read_on(body)
        if len(body) > self._limit:
            raise self._too_large()
        encoding = self._headers.get(b"content-encoding")
        return body if encoding is None else await self._inflate(body, encoding)

    async def _read_on(self, first: bytes) -> bytes:
        pieces, size, more = [first], len(first), True
        while more:
            try:
                async with asyncio.timeout(self._timeout_s):
                    message = await self._receive()
            except TimeoutError as error:
                raise RequestTimeoutError("The request body stopped arriving.") from error
            piece: bytes = message.get("body", b"")  # type: ignore[assignment]
            pieces.append(piece)
            size += len(piece)
            if size > self._limit:
                raise self._too_large()
            more = bool(message.get("more_body"))
        return b"".join(pieces)

    async def _inflate(self, body: bytes, encoding: bytes) -> bytes:
        name = encoding.strip().lower()
        if name == b"identity":
            return body
        inflate = {b"gzip": _gunzip, b"x-gzip": _gunzip, b"zstd": _unzstd}.get(name)
        if inflate is None:
            raise UnsupportedMediaError("The content encoding must be gzip, zstd or identity.")
        try:
            if len(body) > _OFF_LOOP_BYTES:
                text = await asyncio.to_thread(inflate, body, self._limit + 1)
            else:
                text = inflate(body, self._limit + 1)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise InvalidRequestError(f"The body is not valid {name.decode()}.", code="invalid_encoding") from error
        if len(text) > self._limit:
            raise self._too_large()
        return text

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(f"The request body is larger than {self._limit} bytes.")


def _is_json(kind: bytes) -> bool:
    name = kind.partition(b";")[0].strip().lower()
    return name == b"application/json" or (name.startswith(b"application/") and name.endswith(b"+json"))


def _gunzip(body: bytes, most: int) -> bytes:
    """Inflate up to `most` bytes; members that follow one another are read as one (RFC 1952, section 2.2)."""
    pieces, left = [], most
    while body and left > 0:
        inflater = zlib.decompressobj(wbits=31)
        piece = inflater.decompress(body, left)
        if not inflater.eof and len(piece) < left:
            raise EOFError
        pieces.append(piece)
        left -= len(piece)
        body = inflater.unused_data
    return b"".join(pieces)


def _unzstd(body: bytes, most: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(body) as reader:
        return reader.read(most)


