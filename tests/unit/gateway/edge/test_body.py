from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
import zstandard

from gateway.domain.errors import (
    InvalidRequestError,
    RequestTooLargeError,
    UnsupportedMediaError,
)
from gateway.edge.body import read_body
from gateway.settings import ServerSettings

LIMIT = 100_000
SETTINGS = ServerSettings(body_limit_mb=LIMIT / 2**20, body_timeout_s=10)


class Connection:
    """The part of a connection that holds a body which has arrived whole, or has not."""

    def __init__(self, body: bytes | None) -> None:
        self._body = body

    def take_body(self) -> bytes | None:
        return self._body


class Messages:
    """What the server hands over, piece by piece; after the last there is silence."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.given = 0

    async def __call__(self) -> Any:
        if not self._pieces:
            await asyncio.Event().wait()
        self.given += 1
        piece = self._pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}


async def read(body: bytes | None, *pieces: bytes, settings: ServerSettings = SETTINGS, **headers: bytes) -> bytes:
    """Read a body that is there, or one that comes in pieces."""
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    wire: Any = Connection(body)
    return await read_body(wire, Messages(*pieces), named, settings)


async def test_a_body_that_is_there_is_taken() -> None:
    assert await read(b"{}") == b"{}"


async def test_a_body_that_comes_in_pieces_is_joined() -> None:
    assert await read(None, b"{", b"", b"}") == b"{}"


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b"application/vnd.x+json",
        b" application/json ",
    ],
)
async def test_json_may_be_announced_in_every_spelling(kind: bytes) -> None:
    assert await read(b"{}", content_type=kind) == b"{}"


@pytest.mark.parametrize("kind", [b"text/plain", b"multipart/form-data", b"application/jsonx", b"text/json", b""])
async def test_other_content_types_are_refused(kind: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        await read(b"{}", content_type=kind)


async def test_a_body_of_the_limit_is_taken() -> None:
    assert len(await read(b"x" * LIMIT)) == LIMIT


async def test_a_body_over_the_limit_is_refused() -> None:
    with pytest.raises(RequestTooLargeError):
        await read(b"x" * (LIMIT + 1))


async def test_a_body_announced_over_the_limit_is_refused_unread() -> None:
    messages = Messages(b"x")
    wire: Any = Connection(None)

    with pytest.raises(RequestTooLargeError):
        await read_body(wire, messages, {b"content-length": b"%d" % (LIMIT + 1)}, SETTINGS)

    assert messages.given == 0


async def test_a_body_that_grows_over_the_limit_is_not_read_to_its_end() -> None:
    messages = Messages(*[b"x" * 40_000] * 10)
    wire: Any = Connection(None)

    with pytest.raises(RequestTooLargeError):
        await read_body(wire, messages, {}, SETTINGS)

    assert messages.given == 3


async def test_a_body_whose_caller_left_is_no_whole_body() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    wire: Any = Connection(None)
    with pytest.raises(InvalidRequestError):
        await read_body(wire, gone, {}, SETTINGS)


@pytest.mark.parametrize("size", [0, 1, 1000, LIMIT])
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [(b"gzip", gzip.compress), (b"x-gzip", gzip.compress), (b" GZIP ", gzip.compress), (b"zstd", zstandard.compress),
     (b"identity", bytes)],
)  # fmt: skip
async def test_compressed_bodies_are_inflated(encoding: bytes, compress: Any, size: int) -> None:
    body = b"x" * size

    assert await read(compress(body), content_encoding=encoding) == body


async def test_a_long_compressed_body_is_inflated() -> None:
    body = bytes(range(256)) * 390
    compressed = gzip.compress(body, compresslevel=0, mtime=0)
    assert len(compressed) > 64 * 1024

    assert await read(compressed, content_encoding=b"gzip") == body


async def test_gzip_members_that_follow_one_another_are_one_body() -> None:
    assert (
        await read(gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), content_encoding=b"gzip")
        == b"onetwo"
    )


@pytest.mark.parametrize(("encoding", "compress"), [(b"gzip", gzip.compress), (b"zstd", zstandard.compress)])
@pytest.mark.parametrize("size", [LIMIT + 1, 50 * 2**20])
async def test_a_body_that_inflates_over_the_limit_is_refused(encoding: bytes, compress: Any, size: int) -> None:
    with pytest.raises(RequestTooLargeError):
        await read(compress(b"x" * size), content_encoding=encoding)


@pytest.mark.parametrize(
    "body", [b"{}", gzip.compress(b"{}" * 50, mtime=0)[:-9], gzip.compress(b"{}", mtime=0) + b"trailing", b"\x1f\x8b"]
)
async def test_broken_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await read(body, content_encoding=b"gzip")

    assert caught.value.code == "invalid_encoding"


async def test_broken_zstd_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        await read(b"{}", content_encoding=b"zstd")


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"", b"nonsense"])
async def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        await read(b"{}", content_encoding=encoding)


async def test_a_body_of_very_many_empty_gzip_members_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        await read(gzip.compress(b"", mtime=0) * 4000, content_encoding=b"gzip")
