"""The embedder that the settings mean, for all who need one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cache.calibration.table import UNMEASURED, Table, TableError, folder_for, table_for
from cache.calibration.table import table as packaged
from cache.embedders.artefact import ArtefactError, default_root, find_artefact
from cache.embedders.settings import LocalEmbedder
from cache.settings import EmbeddingUpstream
from gateway.domain.embedding import Embedder, EmbedderUnavailableError
from gateway.domain.errors import UpstreamGarbledError, UpstreamUnreachableError
from gateway.upstreams.base import RelayCall, RelaySupport, Upstream
from gateway.upstreams.transport import Patience

MODULES: Final = ("onnxruntime", "tokenizers", "usearch")
"""What the semantic extra installs."""

_PROBE: Final = "How long should an egg boil?"
_PROBE_S: Final = 10.0
_MOST_BYTES: Final = 8 * 2**20
_JSON: Final = ((b"content-type", b"application/json"),)
_HTTP_OK: Final = 200

Wanted = str | EmbeddingUpstream
"""What the settings say: the name or the path of a model, or a server."""

FindUpstream = Callable[[str], Upstream | None]


def why_no_embedder(wanted: Wanted) -> str | None:
    """Return why there can be no embedder here, None where there may be one. Reads no file but the model's folder."""
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} is missing: install the semantic extra, or run `make setup-semantic`"
    if isinstance(wanted, str):
        try:
            find_artefact(wanted, default_root())
        except ArtefactError as error:
            return str(error)
    return None


class Opened(NamedTuple):
    """An embedder that serves.

    Attributes:
        table: the thresholds that were measured with it, `UNMEASURED` where nobody has.
    """

    embedder: Embedder
    table: Table


class SharedEmbedder:
    """The one embedder of the process: the cache and the guard ask the same. For one event loop.

    Args:
        find_upstream: returns an upstream by its name, as it is when it is asked.
    """

    def __init__(self, find_upstream: FindUpstream) -> None:
        self._find_upstream = find_upstream
        self._wanted: Wanted | None = None
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()

    async def open(self, wanted: Wanted) -> Opened:
        """Return the embedder that the settings want; it is loaded when it is first wanted, half a second if local.

        Raises:
            EmbedderUnavailableError: it cannot be had now.
        """
        async with self._opening:
            if self._opened is None or self._wanted != wanted:
                opened = await open_embedder(wanted, self._find_upstream)
                self.close()
                self._wanted, self._opened = wanted, opened
            return self._opened

    def measured(self) -> Embedder | None:
        """Return the embedder if it is there, and the one that this release was measured with."""
        if self._opened is None or self._opened.embedder.identity != packaged().embedder:
            return None
        return self._opened.embedder

    def close(self) -> None:
        """Let go of it."""
        opened, self._opened = self._opened, None
        close = (
            getattr(opened.embedder, "close", None) if opened is not None else None
        )  # one in this process has threads
        if close is not None:
            close()


async def open_embedder(wanted: Wanted, find_upstream: FindUpstream) -> Opened:
    """Load an embedder; about half a second for a local one.

    Args:
        wanted: which one.
        find_upstream: returns an upstream by its name, as it is when it is asked.

    Raises:
        EmbedderUnavailableError: it cannot be had now.
    """
    # Imported here because numpy takes 0.1 s and 20 MB.
    from cache.embedders.onnx import OnnxEmbedder  # noqa: PLC0415
    from cache.embedders.remote import HttpEmbedder  # noqa: PLC0415

    if isinstance(wanted, str):
        local = OnnxEmbedder(LocalEmbedder(model=wanted))
        await local.load()
        return Opened(local, _table_of(local.identity, find_artefact(wanted, default_root())))
    asking = _Asking(wanted, find_upstream)
    if not wanted.dimension:
        wanted = msgspec.structs.replace(wanted, dimension=await asking.dimension())
    remote = HttpEmbedder(wanted, asking, wanted.upstream)
    return Opened(remote, _table_of(remote.identity, folder_for(remote.identity, default_root())))


def _table_of(identity: str, folder: Path) -> Table:
    try:
        return table_for(identity, folder) or UNMEASURED
    except TableError as error:
        raise EmbedderUnavailableError(str(error)) from error


class _Row(msgspec.Struct):
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


class _Asking:
    """Sends requests for embeddings to an upstream of the settings."""

    def __init__(self, settings: EmbeddingUpstream, find_upstream: FindUpstream) -> None:
        self._settings, self._find_upstream = settings, find_upstream

    async def __call__(self, body: bytes) -> bytes:
        """Return the body of the answer; see `cache.embedders.remote.Ask`."""
        upstream = self._find_upstream(self._settings.upstream)
        task = asyncio.current_task()
        if not isinstance(upstream, RelaySupport) or task is None:
            raise UpstreamUnreachableError(f"the upstream '{self._settings.upstream}' serves no embeddings")
        patience = Patience(task)
        patience.allow(_PROBE_S)
        call = RelayCall(method="POST", path="/embeddings", query=b"", headers=_JSON, body=body, patience=patience)
        try:
            return await _read(upstream, call)
        finally:
            patience.end()

    async def dimension(self) -> int:
        """Return how long the vectors are that come."""
        body = msgspec.json.encode({"model": self._settings.model, "input": [_PROBE], "encoding_format": "float"})
        try:
            return len(msgspec.json.decode(await self(body), type=_Answer).data[0].embedding)
        except Exception as error:
            raise EmbedderUnavailableError(f"'{self._settings.upstream}' gives no embeddings: {error}") from error


async def _read(upstream: RelaySupport, call: RelayCall) -> bytes:
    reply = await upstream.relay(call)
    try:
        chunks, size = [], 0
        async for chunk in reply.chunks():
            chunks.append(chunk)
            size += len(chunk)
            if size > _MOST_BYTES:
                raise UpstreamGarbledError("the answer with embeddings is too long")
        if reply.status != _HTTP_OK:
            raise UpstreamGarbledError(f"the answer with embeddings has status {reply.status}")
        return b"".join(chunks)
    finally:
        await reply.close()
