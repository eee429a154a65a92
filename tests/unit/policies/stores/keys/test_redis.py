"""Keys on Redis: what the other stores need not do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from policies.stores.keys.base import KeyExistsError, KeyRecord
from policies.stores.keys.redis import RedisKeyStore
from tests.support.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(("appendonly yes", "appendfsync always")) as started:
        yield started


def open_store(server: RedisServer, organisation: str = "acme") -> RedisKeyStore:
    return RedisKeyStore(parse_address(server.url), organisation)


def record(number: int = 1, **fields: Any) -> KeyRecord:
    made = {"id": f"key_{number}", "team": "search", "name": f"name-{number}", "digest": bytes([number]) * 32}
    return KeyRecord(**{**made, "created_at": 1000.0 + number, **fields})


def test_what_one_process_changes_another_sees(server: RedisServer) -> None:
    ours, theirs = open_store(server), open_store(server)
    ours.add(record(1))
    before = ours.version()

    theirs.add(record(2))
    between = ours.version()
    theirs.revoke("key_1", 5.0)

    assert len({before, between, ours.version()}) == 3
    assert [one.revoked_at for one in ours.load()] == [5.0, None]
    ours.close()
    theirs.close()


def test_organisations_do_not_see_each_other(server: RedisServer) -> None:
    ours, theirs = open_store(server), open_store(server, "other")

    ours.add(record())

    assert list(theirs.load()) == []
    assert theirs.version() == 0
    ours.close()
    theirs.close()


def test_every_key_carries_the_hash_tag_of_the_organisation(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(1))
    store.add(record(2))
    store.revoke("key_1", 5.0)

    kept = server.command("KEYS", "*")

    assert len(kept) == 4
    assert all(key.startswith(b"tierway:{acme}:keys") for key in kept)
    store.close()


def test_of_many_who_take_a_name_one_gets_it(server: RedisServer) -> None:
    stores = [open_store(server) for _ in range(4)]

    def take(number: int) -> bool:
        try:
            stores[number % 4].add(record(number, name="ci"))
        except KeyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(40)))

    assert sum(taken) == len(stores[0].load()) == 1
    for store in stores:
        store.close()


def test_a_key_whose_answer_was_lost_may_be_added_again(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(metadata={"b": "1", "a": "2"}))
    before = store.version()

    store.add(record(metadata={"b": "1", "a": "2"}))

    assert store.version() == before
    assert len(store.load()) == 1
    store.close()


def test_an_id_is_taken_once(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(1))

    with pytest.raises(KeyExistsError):
        store.add(record(1, name="other"))

    store.close()


def test_a_key_that_comes_revoked_takes_no_name(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(1, name="ci", revoked_at=4.0))
    store.add(record(2, name="ci"))

    assert store.revoke("key_1", 5.0) is False
    assert [one.revoked_at for one in store.load()] == [4.0, None]
    store.close()


def test_teams_and_names_are_not_mixed_up(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(1, team="a/b", name="c"))

    store.add(record(2, team="a", name="b/c"))

    assert len(store.load()) == 2
    store.close()


def test_keys_survive_a_restart(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record(1))
    store.revoke("key_1", 5.0)
    before = store.load(), store.version()
    server.kill()
    with pytest.raises(StageUnavailableError):
        store.load()
    server.start()

    assert (store.load(), store.version()) == before
    store.close()


def test_a_version_never_comes_twice_even_when_redis_has_lost_everything(server: RedisServer) -> None:
    store = open_store(server)
    store.add(record())
    before = store.version()

    server.command("FLUSHALL")
    empty = store.version()
    store.add(record())

    assert len({before, empty, store.version()}) == 3
    store.close()
