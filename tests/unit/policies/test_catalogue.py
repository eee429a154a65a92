from __future__ import annotations

from pathlib import Path

import pytest

from policies.catalogue import open_key_store
from policies.stores.keys.base import KeyRecord
from policies.stores.keys.memory import MemoryKeyStore


def test_keys_may_be_kept_in_memory() -> None:
    assert isinstance(open_key_store("memory:///", "acme"), MemoryKeyStore)


@pytest.mark.parametrize("is_absolute", [True, False])
def test_the_state_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_absolute: bool) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_key_store(f"sqlite:///{tmp_path}/keys.db" if is_absolute else "sqlite:///keys.db", "acme")

    store.add(KeyRecord(id="key_1", team="search", name="ci", digest=b"1", created_at=1.0))
    store.close()

    assert (tmp_path / "keys.db").exists()
