"""Vectors of many texts at once, for a command that may wait: from an artefact, or from a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

from cache.embedders.remote import Ask, HttpEmbedder
from cache.embedders.settings import RemoteEmbedder
from gateway.domain.embedding import TextTooLongError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH: Final = 64
"""Texts of one request to a server: below the least that known ones take."""

_PATIENCE_S: Final = 120.0


class Vectors(Protocol):
    """What turns texts into vectors."""

    @property
    def identity(self) -> str:
        """Return which model it is, as its embedder would when serving."""

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32, rows unit-norm; zeros for a text too long: nothing resembles it, as when serving.

        Raises:
            EmbedderUnavailableError: there are none.
            OSError: the server cannot be reached, or refuses.
        """


class LocalVectors:
    """The vectors of an artefact.

    Args:
        artefact: its folder.

    Raises:
        ArtefactError: it is not whole.
    """

    def __init__(self, artefact: Path) -> None:
        from cache.embedders.encoder import Encoder  # noqa: PLC0415  a server's vectors need no runtime

        self._encoder = Encoder(artefact)
        self.identity = self._encoder.meta.identity

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return their vectors; see `Vectors.of`."""
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> NDArray[np.float32]:
        try:
            return self._encoder.encode(text)
        except TextTooLongError:
            return np.zeros(self._encoder.meta.dimension, np.float32)


class RemoteVectors:
    """The vectors of a server.

    Args:
        settings: as the gateway has them.
        ask: reaches the server.
        server: as in `HttpEmbedder`.
    """

    def __init__(self, settings: RemoteEmbedder, ask: Ask, server: str) -> None:
        self._settings = settings
        self._embedder = HttpEmbedder(settings, ask, server)
        self.identity = self._embedder.identity

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return their vectors; see `Vectors.of`."""
        return asyncio.run(self._all(texts))

    async def _all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(texts), self._settings.dimension), np.float32)
        short = [at for at, text in enumerate(texts) if len(text) <= self._settings.max_characters]
        for start in range(0, len(short), BATCH):
            part = short[start : start + BATCH]
            found[part] = await self._embedder.embed([texts[at] for at in part], budget_s=_PATIENCE_S)
        return found


def asking(url: str, api_key: str) -> Ask:
    """Return what sends a request to a server.

    Args:
        url: http or https, without the `/embeddings`.
        api_key: sent as a bearer token; empty for none.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no http or https address")
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {api_key}"} if api_key else {})}

    async def ask(body: bytes) -> bytes:
        request = Request(f"{url.rstrip('/')}/embeddings", body, headers)  # noqa: S310  the scheme was looked at
        try:
            with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310, ASYNC210  as above; a command may block
                read: bytes = answer.read()
        except HTTPError as error:
            with error:  # it holds the connection
                raise OSError(f"{url} answered {error.code} {error.reason}") from None
        return read

    return ask
