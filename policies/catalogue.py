"""Every policy and store the settings may ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from policies.base import Sanitiser
from policies.sanitise.size import PromptSize
from policies.settings import GuardSettings
from policies.stores.holds.base import HoldStore, OnExpiry
from policies.stores.holds.journal import JournaledHoldStore
from policies.stores.holds.redis import RedisHoldStore, slot_key
from policies.stores.keys.base import KeyStore
from policies.stores.keys.memory import MemoryKeyStore
from policies.stores.keys.sqlite import SqliteKeyStore

KEY_STORES: Final[dict[str, Callable[[str], KeyStore]]] = {
    "sqlite": lambda path: SqliteKeyStore(Path(path)),
    "memory": lambda _: MemoryKeyStore(),
}
"""Scheme of `state` to the store it means; `memory` is for tests and is not accepted in a settings file."""


def build_sanitiser(settings: GuardSettings) -> Sanitiser:
    """Build the checks of a prompt."""
    return PromptSize(settings.limits)


def open_hold_store(state: str, organisation: str, on_expiry: OnExpiry) -> HoldStore:
    """Open what counts: a journal beside the state file, or Redis. It reads a journal that is there: not on a loop.

    Raises:
        JournalInUseError: another process counts there.
        OSError: it cannot be read or written.
    """
    scheme, _, path = state.partition(":///")
    if scheme == "sqlite":
        return JournaledHoldStore(Path(path).with_suffix(".holds"), time.time, on_expiry)
    connection = RedisConnection(parse_address(state), slot_key=slot_key(organisation))
    return RedisHoldStore(connection, organisation, time.time, on_expiry)


def open_key_store(state: str) -> KeyStore:
    """Open the store that `state` names: `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    scheme, _, path = state.partition(":///")
    return KEY_STORES[scheme](path)
