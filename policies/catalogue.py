"""Every policy and store the settings may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from policies.base import Sanitiser
from policies.rate_limit import ConcurrencyLimit
from policies.sanitise.size import PromptSize
from policies.settings import GuardSettings, Limits
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


def build_limiter(limits: Limits) -> ConcurrencyLimit:
    """Build what reserves capacity."""
    return ConcurrencyLimit(limits)


def open_key_store(state: str) -> KeyStore:
    """Open the store that `state` names: `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    scheme, _, path = state.partition(":///")
    return KEY_STORES[scheme](path)
