"""A server that embeds: an OpenAI-compatible `/embeddings`, asked through a callable."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from cache.embedders.recent import Recent, key_of
from cache.embedders.settings import RemoteEmbedder
from gateway.domain.embedding import EmbedderLateError, EmbedderUnavailableError, TextTooLongError
from gateway.domain.errors import GatewayError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.domain.embedding import Vectors

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends the body of a request for embeddings and returns the body of the answer; raises a `GatewayError`."""


class _Row(msgspec.Struct):
    index: int
    embedding: list[float] | str


class _Answer(msgspec.Struct):
    data: list[_Row]


_DECODER: Final = msgspec.json.Decoder(_Answer)


class HttpEmbedder:
    """Embeds by asking a server; see `Embedder`. For one event loop.

    Args:
        settings: model and bounds.
        ask: reaches the server.
        server: names it in the identity, such as the upstream's name.

    Attributes:
        late: calls that were refused or gave up for lack of time.
    """

    def __init__(self, settings: RemoteEmbedder, ask: Ask, server: str) -> None:
        self._settings, self._ask = settings, ask
        self.identity = f"{server}/{settings.model}@{settings.revision}+{settings.dimension}"
        self.dimension = settings.dimension
        self.is_multilingual = settings.multilingual
        self.recent = Recent(settings.recent)
        self.late = 0
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._waiting = 0

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> Vectors:
        """Return a vector for each text; see `Embedder.embed`. The call is cancelled when the budget is over."""
        self._check(texts)
        keys = [key_of(text) for text in texts]
        found = {key: vector for key in keys if (vector := self.recent.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            rows = await self._within(list(missing.values()), budget_s or self._settings.budget_ms / 1000)
            for key, row in zip(missing, rows, strict=True):
                found[key] = row
                self.recent.put(key, row)
        return np.stack([found[key] for key in keys]) if keys else np.empty((0, self.dimension), np.float32)

    def _check(self, texts: Sequence[str]) -> None:
        longest = max(map(len, texts), default=0)
        if longest > self._settings.max_characters:
            raise TextTooLongError(f"{longest} characters, at most {self._settings.max_characters} are sent")

    async def _within(self, texts: list[str], budget_s: float) -> Vectors:
        if self._waiting >= self._settings.max_waiting:
            self.late += 1
            raise EmbedderLateError(f"{self._waiting} calls wait already")
        limit = asyncio.timeout(budget_s)
        self._waiting += 1
        is_waiting = True
        try:
            async with limit, self._slots:
                self._waiting -= 1
                is_waiting = False
                return self._read(await self._ask(self._body(texts)), len(texts))
        except TimeoutError as error:
            if not limit.expired():
                raise EmbedderUnavailableError("the connection timed out") from error
            self.late += 1
            raise EmbedderLateError(f"no answer within {budget_s * 1000:.0f} ms") from error
        except GatewayError as error:
            raise EmbedderUnavailableError(f"the embedding server failed: {error.code}") from error
        finally:
            self._waiting -= is_waiting

    def _body(self, texts: list[str]) -> bytes:
        body: dict[str, object] = {"model": self._settings.model, "input": texts, "encoding_format": "float"}
        if self._settings.asks_dimension:
            body["dimensions"] = self.dimension
        return msgspec.json.encode(body)

    def _read(self, body: bytes, count: int) -> Vectors:
        """Return the rows of an answer, unit-norm."""
        try:
            rows = sorted(_DECODER.decode(body).data, key=lambda row: row.index)
            if [row.index for row in rows] != list(range(count)):
                raise EmbedderUnavailableError(f"{len(rows)} embeddings for {count} texts, or of other ones")
            vectors = np.stack([_vector(row.embedding) for row in rows])
        except (msgspec.DecodeError, ValueError) as error:  # binascii.Error is a ValueError
            raise EmbedderUnavailableError("the embedding server's answer cannot be read") from error
        if vectors.shape[1] != self.dimension:
            raise EmbedderUnavailableError(f"vectors of {vectors.shape[1]} numbers, expected {self.dimension}")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise EmbedderUnavailableError("a vector without a direction")
        unit: Vectors = (vectors / lengths).astype(np.float32)
        return unit


def _vector(embedding: list[float] | str) -> NDArray[np.float64]:
    """Read one embedding: numbers, or base64 of little-endian float32, which some servers send unasked."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
    return np.array(embedding, np.float64)
