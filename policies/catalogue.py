"""Every policy and store the settings may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from policies.stores.keys.base import KeyStore
from policies.stores.keys.memory import MemoryKeyStore
from policies.stores.keys.sqlite import SqliteKeyStore


def _redis_keys(address: str, organisation: str) -> KeyStore:
    # Imported here because the client costs 0.2 s and 20 MB, which one process by itself does not need.
    from gateway.redis.address import parse_address  # noqa: PLC0415
    from policies.stores.keys.redis import RedisKeyStore  # noqa: PLC0415

    return RedisKeyStore(parse_address(address), organisation)


KEY_STORES: Final[dict[str, Callable[[str, str], KeyStore]]] = {
    "sqlite": lambda address, _: SqliteKeyStore(Path(address.partition(":///")[2])),
    "redis": _redis_keys,
    "memory": lambda *_: MemoryKeyStore(),
}
"""Kind of state to the store it means; `memory` is for tests and is not accepted in a settings file."""


def open_key_store(address: str, organisation: str) -> KeyStore:
    """Open the store of keys at the address that `state` names.

    Raises:
        ValueError: it is no address.
    """
    scheme = address.partition(":")[0]
    return KEY_STORES.get(scheme, _redis_keys)(address, organisation)
