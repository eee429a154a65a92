"""Keeps what the router has learned over a restart, and lets replicas tell each other of providers' limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Final, Protocol

from gateway.domain.errors import StageUnavailableError
from gateway.redis.connection import RedisConnection, pack
from gateway.redis.slot import slot_key

log = logging.getLogger("tierway")

_FORGOTTEN_S: Final = 30
"""Seconds after which what replicas said is dropped: as long as they are silent there is nothing to be told."""

_MOST_BYTES: Final = 4 * 2**20
"""What is read of a file at most; calibrations take a few hundred kilobytes."""


class LearningStore(Protocol):
    """Where learning is kept. Nothing here raises: what cannot be kept is learned again."""

    async def load(self) -> bytes | None:
        """Return what was saved last, None where nothing was."""

    async def save(self, learned: bytes) -> None:
        """Keep what was learned."""

    async def swap(self, told: bytes) -> list[bytes]:
        """Tell the other replicas something, and return what they have told."""


class FileLearning:
    """Keeps learning in a file beside the state of one process.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> bytes | None:
        """Return what was saved last; see `LearningStore.load`."""
        return await asyncio.to_thread(self._read)

    async def save(self, learned: bytes) -> None:
        """Keep what was learned, whole or not at all; see `LearningStore.save`."""
        await asyncio.to_thread(self._write, learned)

    async def swap(self, told: bytes) -> list[bytes]:  # noqa: ARG002  the seam's signature
        """Return nothing: there are no others."""
        return []

    def _read(self) -> bytes | None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            return file.read(_MOST_BYTES)
        return None

    def _write(self, learned: bytes) -> None:
        new = self._path.with_suffix(self._path.suffix + ".new")
        try:
            new.write_bytes(learned)
            new.replace(self._path)
        except OSError as error:
            log.warning("what the router learned was not kept: %s", error.strerror)


class SharedLearning:
    """Keeps learning on the Redis that replicas share; the last one to save wins, as all see the same traffic.

    Args:
        connection: not closed with this.
        organisation: whose traffic.
    """

    def __init__(self, connection: RedisConnection, organisation: str) -> None:
        self._redis = connection
        prefix = slot_key(organisation).encode()
        self._learned, self._told = prefix + b"router:learned", prefix + b"router:told"
        self._name = os.urandom(8).hex().encode()

    async def load(self) -> bytes | None:
        """Return what was saved last; see `LearningStore.load`."""
        with contextlib.suppress(StageUnavailableError):
            found = await self._redis.call(pack("GET", self._learned))
            return found if isinstance(found, bytes) else None
        return None

    async def save(self, learned: bytes) -> None:
        """Keep what was learned; see `LearningStore.save`."""
        with contextlib.suppress(StageUnavailableError):
            await self._redis.call(pack("SET", self._learned, learned))

    async def swap(self, told: bytes) -> list[bytes]:
        """Tell the others something; see `LearningStore.swap`."""
        try:
            await self._redis.call(pack("HSET", self._told, self._name, told))
            await self._redis.call(pack("EXPIRE", self._told, _FORGOTTEN_S))
            pairs = await self._redis.call(pack("HGETALL", self._told))
        except StageUnavailableError:
            return []
        others = zip(pairs[::2], pairs[1::2], strict=True)
        return [value for name, value in others if name != self._name]
