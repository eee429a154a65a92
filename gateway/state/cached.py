"""Where a cache keeps what outlives the process; opened only when it is asked for, so that no cache costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from cache.backends.redis import RedisBackend
from cache.backends.sqlite import SqliteBackend
from cache.base import Backend
from cache.sealed import ANSWERS, EVENTS
from cache.semantic.logs.base import EntryLog
from cache.semantic.logs.redis import RedisEntryLog
from cache.semantic.logs.sqlite import SqliteEntryLog
from gateway.flights.leases import Leases
from gateway.flights.local import Flights
from gateway.flights.shared import SharedFlights
from gateway.redis.address import RedisAddress
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from gateway.sealing import Sealer

SealerOf = Callable[[bytes], Sealer]
"""Returns what seals content of one use; `StateSettings.sealer`."""

_ANSWERS_TIMEOUT_S: Final = 1.0
"""Answers may be megabytes long, yet a request waits no longer than this for a Redis that hangs, and that once: until
it is well again the cache is a miss at once."""

_TAIL_TIMEOUT_S: Final = 2.0
"""Reads of the log wait on Redis for news, and need more patience than that."""


class CacheStores(Protocol):
    """Opens what a cache keeps outside the process; None where it has nothing but this process's memory.

    Every call opens anew, connects to nothing and makes no file until something is kept or read, and may be made by any
    thread; the first takes 10 ms for the ciphers. What was opened is closed by who opened it, before the state is.
    """

    def open_answers(self, max_bytes: int) -> Backend | None:
        """Open what keeps answers, bounded to a number of bytes over all replicas."""

    def open_entry_log(self) -> EntryLog | None:
        """Open what tells a later process, and other replicas, by what answers are found."""

    def open_flights(self, local: Flights) -> SharedFlights | None:
        """Let equal requests of all replicas share calls; those of one process do by `local`, which is not closed."""


class MemoryCacheStores:
    """Keeps nothing: without a key to seal it with, an answer does not leave the process."""

    def open_answers(self, max_bytes: int) -> None:
        """Open nothing; see `CacheStores.open_answers`."""

    def open_entry_log(self) -> None:
        """Open nothing; see `CacheStores.open_entry_log`."""

    def open_flights(self, local: Flights) -> None:
        """Open nothing; see `CacheStores.open_flights`."""


class FileCacheStores:
    """Keeps a cache in files of one process.

    Args:
        path: of the state's file; those of the cache stand beside it, named after it.
        sealer_of: returns what seals one use.
    """

    def __init__(self, path: Path, sealer_of: SealerOf) -> None:
        self._path, self._sealer_of = path, sealer_of

    def open_answers(self, max_bytes: int) -> SqliteBackend:
        """Open `NAME.cache.db`; see `CacheStores.open_answers`."""
        return SqliteBackend(beside(self._path, "cache"), max_bytes, self._sealer_of(ANSWERS))

    def open_entry_log(self) -> SqliteEntryLog:
        """Open `NAME.semantic.db`; see `CacheStores.open_entry_log`."""
        return SqliteEntryLog(beside(self._path, "semantic"), self._sealer_of(EVENTS))

    def open_flights(self, local: Flights) -> None:
        """Open nothing, as there are no others; see `CacheStores.open_flights`."""


class SharedCacheStores:
    """Keeps a cache on the Redis that replicas share.

    Args:
        address: where. Answers and the log have connections of their own: they are long, and reads of the log wait.
        connection: tells which replica makes a call; closed by its owner.
        organisation: whose cache.
        sealer_of: returns what seals one use, under keys that all replicas have.
    """

    def __init__(
        self, address: RedisAddress, connection: RedisConnection, organisation: str, sealer_of: SealerOf
    ) -> None:
        self._address, self._connection = address, connection
        self._organisation, self._sealer_of = organisation, sealer_of

    def open_answers(self, max_bytes: int) -> RedisBackend:
        """Prepare a backend; see `CacheStores.open_answers`."""
        sealer = self._sealer_of(ANSWERS).prepare()
        return RedisBackend(self._connect(_ANSWERS_TIMEOUT_S), self._organisation, max_bytes, sealer)

    def open_entry_log(self) -> RedisEntryLog:
        """Prepare a log; see `CacheStores.open_entry_log`."""
        connection, tail = self._connect(_ANSWERS_TIMEOUT_S), self._connect(_TAIL_TIMEOUT_S)
        return RedisEntryLog(connection, tail, self._organisation, self._sealer_of(EVENTS).prepare())

    def open_flights(self, local: Flights) -> SharedFlights:
        """Prepare leases; see `CacheStores.open_flights`."""
        return SharedFlights(local, Leases(self._connection, self._organisation, lease_s=local.settings.lease_s))

    def _connect(self, timeout_s: float) -> RedisConnection:
        return RedisConnection(self._address, slot_key=slot_key(self._organisation), command_timeout_s=timeout_s)


def beside(path: Path, what: str) -> Path:
    """Return the path of a further file of a state: `tierway.cache.db` for `tierway.db`."""
    return path.with_name(f"{path.stem}.{what}{path.suffix or '.db'}")
