"""Every key store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.stores.keys.base import KeyExistsError, KeyRecord, KeyStore
from policies.stores.keys.sqlite import SqliteKeyStore
from tests.support.members import KEY_STORES


@pytest.fixture(params=KEY_STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    made = KEY_STORES[request.param](tmp_path)
    yield made
    made.close()


def record(number: int = 1, **fields: Any) -> KeyRecord:
    defaults = {
        "id": f"key_{number}",
        "team": "search",
        "name": f"name-{number}",
        "digest": bytes([number]) * 32,
        "created_at": 1000.0 + number,
    }
    return KeyRecord(**{**defaults, **fields})


def test_a_new_store_is_empty(store: KeyStore) -> None:
    assert list(store.load()) == []
    assert store.revoke("key_1", 5.0) is False


def test_what_is_added_is_loaded_whole(store: KeyStore) -> None:
    full = record(expires_at=2000.5, models=("auto", "gpt-*"), metadata={"owner": "ümlaut \U0001f600", "": "x"})

    store.add(full)

    assert list(store.load()) == [full]


def test_keys_are_loaded_in_the_order_they_were_made(store: KeyStore) -> None:
    records = [record(number) for number in (1, 2, 3)]

    for one in records:
        store.add(one)

    assert list(store.load()) == records


def test_a_name_is_taken_once_in_a_team(store: KeyStore) -> None:
    store.add(record(1, name="ci"))

    with pytest.raises(KeyExistsError, match="search/ci"):
        store.add(record(2, name="ci"))

    assert list(store.load()) == [record(1, name="ci")]


def test_a_name_may_be_taken_in_every_team(store: KeyStore) -> None:
    store.add(record(1, name="ci", team="a"))
    store.add(record(2, name="ci", team="b"))

    assert len(store.load()) == 2


def test_the_name_of_a_revoked_key_is_free_again(store: KeyStore) -> None:
    store.add(record(1, name="ci"))
    store.revoke("key_1", 5.0)

    store.add(record(2, name="ci"))

    assert [one.revoked_at for one in store.load()] == [5.0, None]


def test_a_revoked_key_stays_with_its_time(store: KeyStore) -> None:
    store.add(record())

    assert store.revoke("key_1", 5.5) is True
    assert [one.revoked_at for one in store.load()] == [5.5]


def test_a_key_is_revoked_once(store: KeyStore) -> None:
    store.add(record())
    store.revoke("key_1", 5.0)

    assert store.revoke("key_1", 6.0) is False
    assert [one.revoked_at for one in store.load()] == [5.0]


def test_only_the_key_that_is_named_is_revoked(store: KeyStore) -> None:
    store.add(record(1))
    store.add(record(2))

    assert store.revoke("nobody", 5.0) is False
    store.revoke("key_2", 5.0)

    assert [one.revoked_at for one in store.load()] == [None, 5.0]


def test_the_version_changes_with_every_change(store: KeyStore) -> None:
    versions = [store.version()]
    store.add(record(1))
    versions.append(store.version())
    store.add(record(2))
    versions.append(store.version())
    store.revoke("key_1", 5.0)
    versions.append(store.version())

    assert len(set(versions)) == 4


def test_the_version_stays_while_nothing_changes(store: KeyStore) -> None:
    store.add(record())
    before = store.version()

    store.load()
    store.revoke("nobody", 5.0)

    assert store.version() == before


def test_a_refused_key_leaves_the_version(store: KeyStore) -> None:
    store.add(record(1, name="ci"))
    before = store.version()

    with pytest.raises(KeyExistsError):
        store.add(record(2, name="ci"))

    assert store.version() == before


def test_closing_twice_is_harmless(store: KeyStore) -> None:
    store.add(record())

    store.close()
    store.close()


def test_a_file_is_made_with_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    store = SqliteKeyStore(path)
    store.load()
    store.version()
    assert not path.exists()

    store.add(record())

    assert path.exists()
    store.close()


def test_keys_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    store = SqliteKeyStore(path)
    store.add(record(1, models=("a",), metadata={"b": "c"}))
    store.add(record(2))
    store.revoke("key_2", 5.0)
    before = list(store.load())
    store.close()

    again = SqliteKeyStore(path)

    assert list(again.load()) == before
    again.close()


def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    store.add(record())
    store.close()

    assert list(store.load()) == [record()]
    store.close()


def test_another_connections_change_is_seen(tmp_path: Path) -> None:
    ours, theirs = SqliteKeyStore(tmp_path / "keys.db"), SqliteKeyStore(tmp_path / "keys.db")
    ours.add(record(1))
    before = ours.version()

    theirs.add(record(2))

    assert ours.version() != before
    assert len(ours.load()) == 2
    ours.close()
    theirs.close()


@pytest.mark.parametrize("verb", ["add", "revoke"])
def test_another_processes_change_is_seen(tmp_path: Path, verb: str) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    store.add(record(1))
    before = store.version()
    call = {
        "add": "store.add(KeyRecord(id='key_2', team='search', name='other', digest=b'2' * 32, created_at=9.0))",
        "revoke": "store.revoke('key_1', 5.0)",
    }[verb]

    run_elsewhere(tmp_path, call)

    assert store.version() != before
    assert (len(store.load()), store.load()[0].revoked_at) == {"add": (2, None), "revoke": (1, 5.0)}[verb]
    store.close()


def test_a_file_that_another_process_makes_is_seen(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    before = store.version()

    run_elsewhere(
        tmp_path, "store.add(KeyRecord(id='key_2', team='search', name='other', digest=b'2' * 32, created_at=9.0))"
    )

    assert store.version() != before
    assert len(store.load()) == 1
    store.close()


def run_elsewhere(folder: Path, call: str) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from policies.stores.keys.base import KeyRecord; from policies.stores.keys.sqlite import SqliteKeyStore\n"
        f"store = SqliteKeyStore(Path(sys.argv[1]) / 'keys.db'); {call}; store.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
